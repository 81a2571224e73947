"""No file, however broken, ends a check with anything but findings or one error that says why."""

import json
import random
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import TerminalError
from quality.history.examine import examine
from sources.history.reading import read
from tests.quality.injecting import DEFECTS, Doc, generated

WORDS = (
    "",
    "0",
    "-1",
    "1e30",
    "NaN",
    "-0",
    "9" * 22,
    "abc",
    "0." + "0" * 21 + "1",
    "inf",
    "20200101",
    "1e-400",
    "11:34",
)


@cache
def docs() -> tuple[Doc, ...]:
    return tuple(generated(4))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 4), st.sampled_from((0, 1, 2, 3, 9, 10, 11, 60, 300)), st.integers(0, 2**32))
def test_broken_files_are_told_not_raised(which: int, rows: int, seed: int) -> None:
    rng, doc = random.Random(seed), docs()[which].copy()
    doc.rows = doc.rows[:rows]
    for _ in range(rng.randint(0, 2)):
        if len(doc.rows) >= 300:
            rng.choice(DEFECTS)(doc, rng)
    for _ in range(rng.randint(0, 40)):
        row = rng.choice(doc.rows) if doc.rows else []
        if row:
            row[rng.randrange(len(row))] = rng.choice(WORDS)
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = examine(read(doc.write(Path(folder))))
        except TerminalError as error:
            assert str(error)
            return
    told = json.loads(json.dumps([one.told() for one in found], allow_nan=False))
    for one in told:
        assert (one["severity"] in ("info", "warn", "error"), one["rows"] >= 0, bool(one["deduction"])) == (True,) * 3
