"""Precision and recall of every check over injected defects, as the table of docs/checks.md.

`PYTHONPATH=. python tests/quality/measuring.py SEEDS` over the shared recordings; `--generated` over generated files.
"""

import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from quality.history.examine import examine
from quality.history.finding import Finding
from sources.history.reading import read
from tests.quality.injecting import DEFECTS, Defect, Doc, Injected, generated, recordings

# What else a defect makes wrong: each is a true finding of its own.
FOLLOWS = {
    "swapped": ("vwap_outside_bar",),
    "scaled": ("vwap_outside_bar", "ohlc_bounds"),
    "scaled_stretch": ("vwap_outside_bar",),
    "scaled_cell": ("vwap_outside_bar", "ohlc_bounds", "crossed_quotes", "unit_slip"),
    "negative": ("ohlc_bounds", "vwap_outside_bar"),
    "stale": ("repeated_block",),
    "copied": ("stale_repeat",),
    "shifted": ("truncated_day", "hole"),
    "an_hour_off": ("truncated_day", "hole"),
    "part_off": ("non_trading_day",),
    "coarser": ("vwap_outside_bar",),
    "added_hours": ("vwap_outside_bar", "ohlc_bounds"),
    "appended": ("conflicting_rows",),
    "off_grid": ("unsorted_rows",),
    "garbage": ("id_gap",),
}


@dataclass
class Tally:
    """What became of one kind of defect."""

    tried: int = 0
    hit: int = 0
    rows_told: int = 0
    strange: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)


def looked_at(doc: Doc, folder: Path) -> list[Finding]:
    """Write the file, read and check it."""
    return examine(read(doc.write(folder)))


def new(found: Iterable[Finding], before: Iterable[Finding]) -> list[Finding]:
    """Return the findings that the clean file does not have."""
    known = {(one.check, one.severity, one.rows, one.since, one.until) for one in before}
    return [one for one in found if (one.check, one.severity, one.rows, one.since, one.until) not in known]


def told(injected: Injected, found: Iterable[Finding]) -> tuple[bool, bool]:
    """Return whether the defect was found, and whether with all of its rows."""
    mine = [one for one in found if one.check in injected.checks]
    rows = sum(one.rows for one in mine)
    return bool(mine), rows == injected.rows if injected.exact else rows >= injected.rows


def measure(docs: Iterable[Doc], seeds: Iterable[int], defects: Iterable[Defect] = DEFECTS) -> dict[str, Tally]:
    """Put every defect into every file that can have it, once a seed."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clean = [(doc, looked_at(doc.copy(), folder)) for doc in docs]
        for seed in seeds:
            for doc, before in clean:
                for defect in defects:
                    copy = doc.copy()
                    injected = defect(copy, random.Random(f"{seed} {doc.name} {defect.__name__}"))
                    if injected is None:
                        continue
                    found = new(looked_at(copy, folder), before)
                    tally = tallies[defect.__name__]
                    hit, rows = told(injected, found)
                    tally.tried += 1
                    tally.hit += hit
                    tally.rows_told += rows
                    expected = (*injected.checks, *FOLLOWS.get(defect.__name__, ()))
                    tally.strange.update(
                        one.check for one in found if one.severity == "error" and one.check not in expected
                    )
                    if not hit:
                        tally.missed.append(f"{doc.name} {seed}")
    return tallies


def main(words: list[str]) -> None:
    """Print the table."""
    docs = list(generated(1)) if "--generated" in words else list(recordings())
    tallies = measure(docs, range(int(words[0])))
    sys.stdout.write(
        "| defect | files tried | found | all its rows told | other errors told |\n|---|---|---|---|---|\n"
    )
    for name, one in tallies.items():
        strange = ", ".join(f"{check} {count}" for check, count in one.strange.items()) or "none"
        found, rows = (f"{100 * count / one.tried:.1f} %" for count in (one.hit, one.rows_told))
        sys.stdout.write(f"| {name} | {one.tried} | {found} | {rows} | {strange} |\n")
    for name, one in tallies.items():
        sys.stderr.write("".join(f"missed: {name} {place}\n" for place in one.missed))


if __name__ == "__main__":
    main(sys.argv[1:])
