"""Gaps that are open for too long, as findings: one a series, whatever the number of its gaps."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from contracts.gaps import GAPS, UNKNOWN
from quality.incidents import SECOND, Finding, Findings
from quality.lineage import Lineage

if TYPE_CHECKING:
    from stores.warehouse import Warehouse

# What was tried in vain stays in the table and in the scores; it is news for a day.
NEWS = 24 * 3600 * SECOND
OPEN, UNFILLABLE = "open", "unfillable"
# By words in the names of feeds; the first that is found counts.
_OF_FEED = (
    ("ticker", "market.quotes"),
    ("spread", "market.quotes"),
    ("kline", "market.venue_bars"),
    ("candle", "market.venue_bars"),
    ("depth", "market.books"),
    ("book", "market.books"),
    ("level2", "market.books"),
)


def read_gaps(warehouse: "Warehouse", now: int) -> list[dict[str, Any]]:
    """Read the gaps that are not repaired: all open ones, and the day's unfillable ones."""
    from quality.stored import read

    where = "state = 'open' OR (state = 'unfillable' AND gap_number >= {since:Int64})"
    return read(warehouse, GAPS, where, {"since": now - NEWS})


def findings(
    gaps: Iterable[Mapping[str, Any]],
    standing: Iterable[str],
    now: int,
    *,
    open_after_s: float,
    lineage: Lineage | None = None,
    page_of: Callable[[str], str] = lambda _: "",
) -> Findings:
    """Return the series with gaps that are open for longer than `open_after_s`, or can't be filled.

    `standing` are the subjects with an open incident: what is not wrong any more is cleared.
    """
    series: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for one in gaps:
        if one["state"] == UNFILLABLE or now - one["gap_number"] > open_after_s * SECOND:
            series.setdefault((one["venue"], one["instrument"], one["id_space"]), []).append(one)
    wrong = tuple(_finding(key, found, lineage or Lineage(), page_of) for key, found in sorted(series.items()))
    return Findings(wrong, frozenset(standing) - {one.subject for one in wrong})


def _finding(
    series: tuple[str, str, str], gaps: list[Mapping[str, Any]], lineage: Lineage, page_of: Callable[[str], str]
) -> Finding:
    venue, instrument, id_space = series
    still_open = [one for one in gaps if one["state"] == OPEN]
    missing = sum(one["missing_count"] for one in gaps if one["missing_count"] != UNKNOWN)
    dataset = next((name for word, name in _OF_FEED if word in id_space), "market.trades")
    key = dataset.replace(".", "/")
    first = min(gaps, key=lambda one: one["gap_number"])
    what = f"{len(still_open)} open" if still_open else f"{len(gaps)} that can't be filled"
    step = (
        f"Look at collector-{venue} in tapehouse status: it asks again with growing pauses, also after a restart."
        if still_open
        else "The venue does not have it any more: it stays in system.gaps and in the scores. Import it from a file "
        "(tapehouse import) if you have one."
    )
    return Finding(
        subject=f"gap/{venue}/{instrument}/{id_space}",
        kind="gap",
        title=f"{venue} {instrument} has gaps in {id_space}: {what}",
        dataset=dataset,
        venue=venue,
        instrument=instrument,
        severity="error" if still_open else "warn",
        evidence={
            "gaps": len(gaps),
            "kinds": ", ".join(sorted({one["kind"] for one in gaps})),
            "first_noticed": first["gap_number"],
            "detail": first["detail"],
            **({"page": page} if (page := page_of(GAPS.name.replace(".", "/"))) else {}),
        },
        upstream=lineage.upstream(key, venue),
        downstream=lineage.downstream(key),
        affected_rows=missing,
        next_step=step,
    )
