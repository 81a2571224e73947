"""A finding: what a check saw in which rows, what decided it, and what that means."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from contracts.history import Recorded

# info: good to know; warn: whoever uses the rows must know it; error: a number is wrong or missing.
SEVERITIES = ("info", "warn", "error")
LINES_SHOWN = 20
SAMPLE_SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """What one check found; `rows` counts the rows (or missing bars) concerned, times are UTC."""

    check: str
    severity: str
    dataset: str
    instrument: str
    since: datetime | None
    until: datetime | None
    rows: int
    evidence: dict[str, Any] = field(default_factory=dict)
    deduction: str = ""

    def told(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "check": self.check,
            "severity": self.severity,
            "dataset": self.dataset,
            "instrument": self.instrument,
            "from": self.since.isoformat() if self.since else None,
            "to": self.until.isoformat() if self.until else None,
            "rows": self.rows,
            "evidence": {name: _plain(value) for name, value in self.evidence.items()},
            "deduction": self.deduction,
        }


def found(
    recorded: Recorded,
    check: str,
    severity: str,
    deduction: str,
    rows: pl.DataFrame | None = None,
    *,
    count: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    **evidence: Any,
) -> Finding:
    """Return a finding about these rows: their count, their span, the first of their lines and a small sample."""
    shown: dict[str, Any] = {}
    if rows is not None and rows.height:
        if "time" in rows.columns:
            since, until = since or _moment(rows["time"].min()), until or _moment(rows["time"].max())
        if "line" in rows.columns:
            shown["lines"] = rows["line"].head(LINES_SHOWN).to_list()
        kept = [name for name in rows.columns if not name.startswith("_")]
        shown["sample"] = rows.select(kept).head(SAMPLE_SHOWN).to_dicts()
    number = count if count is not None else (rows.height if rows is not None else 0)
    return Finding(
        check, severity, recorded.dataset, recorded.instrument, since, until, number, shown | evidence, deduction
    )


def worst(findings: Iterable[Finding]) -> str:
    """Return the worst severity, info where there is none."""
    return max((one.severity for one in findings), key=SEVERITIES.index, default="info")


def _moment(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return round(value, 8) if value == value and abs(value) != float("inf") else None
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    text = str(value)
    return text.rstrip("0").rstrip(".") if "." in text and text.replace(".", "").lstrip("-").isdigit() else text
