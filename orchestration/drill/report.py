"""What a drill came to: for programs as JSON, for people as a table."""

from dataclasses import asdict, dataclass, field
from typing import Any

from rich.markup import escape
from rich.table import Table

from spark.comparison import Comparison


@dataclass(frozen=True)
class Outcome:
    """A fault that was brought: the seconds until recovered, and what the audit after it found."""

    kind: str
    target: str
    seconds_to_recover: float
    missing: int
    twice: int


@dataclass(frozen=True)
class Refused:
    """A fault that could not be brought about on this machine; it counts for nothing."""

    kind: str
    target: str
    why: str


@dataclass
class DrillReport:
    """A drill. `failure` says what ended it early; `findings` are the audits' rows that did not balance."""

    seed: int
    faults: list[Outcome] = field(default_factory=list)
    not_injected: list[Refused] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    compared: list[Comparison] = field(default_factory=list)
    open_gaps: list[dict[str, str | int]] = field(default_factory=list)
    failure: str = ""

    @property
    def missing(self) -> int:
        """The most that an audit missed."""
        return max((one.missing for one in self.faults), default=0)

    @property
    def twice(self) -> int:
        """The most that an audit found twice."""
        return max((one.twice for one in self.faults), default=0)

    @property
    def bars_equal(self) -> bool:
        """Tell whether rows and bars were rebuilt from the tape as they had been streamed."""
        return bool(self.compared) and all(one.equal for one in self.compared)

    @property
    def balanced(self) -> bool:
        """Tell whether faults were brought, all were recovered from, and nothing is missing, twice or different."""
        return bool(self.faults) and not (self.failure or self.missing or self.twice) and self.bars_equal

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON takes it."""
        return {
            "seed": self.seed,
            "faults": [asdict(one) for one in self.faults],
            "not_injected": [asdict(one) for one in self.not_injected],
            "missing": self.missing,
            "twice": self.twice,
            "bars_equal": self.bars_equal,
            "open_gaps": self.open_gaps,
            "balanced": self.balanced,
            "findings": [*self.findings, *self.differences],
            "failure": self.failure,
        }

    @property
    def differences(self) -> list[str]:
        """Name each table that was rebuilt otherwise than streamed, and where."""
        return [f"rebuilt {one.table} differs: {one.first_difference}" for one in self.compared if not one.equal]

    def table(self) -> Table:
        """Return the report as a table for people."""
        from orchestration.cli.tables import plain

        verdict = "[green]balanced[/]" if self.balanced else "[red]not balanced[/]"
        shown = plain(
            "fault", "target", "recovered after", "missing", "twice", "remark",
            right=("recovered after", "missing", "twice"), title=f"drill, seed {self.seed}: {verdict}",
        )  # fmt: skip
        for one in self.faults:
            colour = "red" if one.missing or one.twice else "none"
            numbers = (f"{one.seconds_to_recover:.1f} s", f"{one.missing:,}", f"{one.twice:,}")
            shown.add_row(one.kind, one.target, *numbers, "", style=colour)
        for refused in self.not_injected:
            shown.add_row(
                refused.kind, refused.target, "", "", "", f"not injected: {escape(refused.why)}", style="yellow"
            )
        return shown

    def remarks(self) -> list[str]:
        """Return what the table has no place for."""
        equal = "equal" if self.bars_equal else "not equal" if self.compared else "not rebuilt"
        gaps = [
            f"open gap: {gap['venue']} {gap['instrument']} {gap['id_space']} ({gap['kind']}, {gap['state']}): "
            f"{gap['detail']}"
            for gap in self.open_gaps
        ]
        ended = [f"ended early: {self.failure}"] if self.failure else []
        return [f"rows and bars rebuilt from the tape: {equal}", *self.findings, *self.differences, *gaps, *ended]
