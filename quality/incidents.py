"""The life of an incident: opened by a finding, kept while it is found, closed when its evidence is gone.

Plain functions of plain values; times are microseconds since the epoch.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from contracts.errors import TerminalError
from contracts.incidents import INCIDENTS, KINDS, SEVERITIES

if TYPE_CHECKING:
    from stores.warehouse import Warehouse

SECOND = 1_000_000
ID_DIGITS = 12


@dataclass(frozen=True)
class Finding:
    """Something that is wrong now.

    `subject` is the same whenever the same thing is wrong. `evidence` holds what changes only when the trouble does,
    never its age: each change of it is a revision of the incident.
    """

    subject: str
    kind: str
    title: str
    next_step: str
    dataset: str = ""
    venue: str = ""
    instrument: str = ""
    severity: str = "error"
    evidence: Mapping[str, Any] = field(default_factory=dict)
    upstream: tuple[str, ...] = ()
    downstream: tuple[str, ...] = ()
    affected_rows: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.severity not in SEVERITIES or not self.subject:
            raise TerminalError(
                f"no finding can have the subject {self.subject!r}, kind {self.kind!r} and severity {self.severity!r}; "
                f"kinds: {', '.join(KINDS)}; severities: {', '.join(SEVERITIES)}"
            )


@dataclass(frozen=True)
class Findings:
    """What looking came to: `wrong`, and the subjects that were looked at and are in order.

    A subject in neither was not looked at, and an incident about it stays as it is.
    """

    wrong: tuple[Finding, ...] = ()
    cleared: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Incident:
    """One revision of an incident, as the table holds it."""

    incident_id: str
    revision: int
    subject: str
    kind: str
    dataset: str
    venue: str
    instrument: str
    state: str
    severity: str
    opened_time: int
    closed_time: int
    title: str
    evidence: str
    upstream: str
    downstream: str
    affected_rows: int
    next_step: str
    known_time: int

    @property
    def is_open(self) -> bool:
        """Tell whether its evidence still stands."""
        return self.state == "open"

    @property
    def repair_s(self) -> float | None:
        """Return the seconds from its notice to its repair; None while it is open."""
        return None if self.is_open else (self.closed_time - self.opened_time) / SECOND


def reconcile(
    standing: Iterable[Incident], wrong: Iterable[Finding], cleared: Collection[str], now: int
) -> list[Incident]:
    """Return the revisions that these findings add: incidents opened, changed and closed.

    A subject that is both wrong and cleared is wrong. Of several findings about one subject the worst counts.
    """
    worst: dict[str, Finding] = {}
    for finding in sorted(wrong, key=_rank):
        worst.setdefault(finding.subject, finding)
    held = {one.subject: one for one in standing if one.is_open}
    told = []
    for subject, finding in worst.items():
        current = held.get(subject)
        revision = _opened(finding, now) if current is None else _updated(current, finding, now)
        if revision != current:
            told.append(revision)
    gone = (one for subject, one in held.items() if subject in cleared and subject not in worst)
    return told + [_next(one, now, state="closed", closed_time=now) for one in gone]


def _rank(finding: Finding) -> tuple[int, int, str, str]:
    return SEVERITIES.index(finding.severity), -finding.affected_rows, finding.title, _json(finding.evidence)


def _json(evidence: Mapping[str, Any]) -> str:
    return json.dumps(evidence, sort_keys=True, default=str)


def _told(finding: Finding) -> dict[str, Any]:
    return {
        "severity": finding.severity,
        "title": finding.title,
        "evidence": _json(finding.evidence),
        "upstream": ", ".join(finding.upstream),
        "downstream": ", ".join(finding.downstream),
        "affected_rows": finding.affected_rows,
        "next_step": finding.next_step,
    }


def _opened(finding: Finding, now: int) -> Incident:
    digest = hashlib.sha256(f"{finding.subject}\n{now}".encode()).hexdigest()
    return Incident(
        incident_id=digest[:ID_DIGITS],
        revision=1,
        subject=finding.subject,
        kind=finding.kind,
        dataset=finding.dataset,
        venue=finding.venue,
        instrument=finding.instrument,
        state="open",
        opened_time=now,
        closed_time=0,
        known_time=now,
        **_told(finding),
    )


def _updated(current: Incident, finding: Finding, now: int) -> Incident:
    told = _told(finding)
    if all(getattr(current, name) == value for name, value in told.items()):
        return current
    return _next(current, now, **told)


def _next(current: Incident, now: int, **changes: Any) -> Incident:
    return replace(current, revision=current.revision + 1, known_time=now, **changes)


def read_open(warehouse: "Warehouse", kinds: Collection[str] = KINDS) -> list[Incident]:
    """Read the open incidents of these kinds, oldest first."""
    return _read(warehouse, "state = 'open' AND kind IN {kinds:Array(String)}", {"kinds": sorted(kinds)})


def read_since(warehouse: "Warehouse", since: int) -> list[Incident]:
    """Read the incidents that are open, or were closed at `since` or later."""
    where = "state = 'open' OR closed_time >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')"
    return _read(warehouse, where, {"since": since})


def _read(warehouse: "Warehouse", where: str, parameters: dict[str, Any]) -> list[Incident]:
    from quality.stored import read

    found = [Incident(**row) for row in read(warehouse, INCIDENTS, where, parameters)]
    return sorted(found, key=lambda one: (one.opened_time, one.incident_id))


def record(warehouse: "Warehouse", findings: Findings, kinds: Collection[str], now: int) -> list[Incident]:
    """Hold findings against the open incidents of these kinds, write what changes, and return it."""
    from dataclasses import asdict

    from quality.stored import append

    told = reconcile(read_open(warehouse, kinds), findings.wrong, findings.cleared, now)
    append(warehouse, INCIDENTS, (asdict(one) for one in told))
    return told
