"""Defects put into clean files, at random places and in random sizes, are found; the clean files have none."""

import random
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.quality.injecting import DATA, DEFECTS, Defect, Doc, generated, recordings
from tests.quality.measuring import FOLLOWS, looked_at, measure, new, told

recorded = pytest.mark.skipif(not DATA.is_dir(), reason=f"the shared recordings are not on this machine: {DATA}")
# In a market that trades in few of its minutes or seconds nobody can tell which of them were removed, and bars of one
# price look alike; a day of American minutes written in UTC is as good as one written in New York's time.
THIN = {"dropped": ("second", "minute__spy"), "copied": ("second",), "shifted": ("intraday",)}


@cache
def clean(seed: int) -> tuple[tuple[Doc, tuple[object, ...]], ...]:
    """Return generated files, each with what is found in it as it is."""
    with tempfile.TemporaryDirectory() as folder:
        return tuple((doc, tuple(looked_at(doc.copy(), Path(folder)))) for doc in generated(seed))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_clean_files_have_nothing_worse_than_a_note(seed: int) -> None:
    for doc, found in clean(seed):
        assert [one for one in found if one.severity != "info"] == [], doc.name  # type: ignore[attr-defined]


# The checks judge by what is likely, so that some draw of chance is always missed: docs/checks.md says how many are.
# The same draws each time tell a change of the code from that.
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 3), st.integers(0, 4), st.sampled_from(DEFECTS), st.integers(0, 2**32))
def test_a_defect_is_found_with_its_rows_and_nothing_else_is_called_wrong(
    files: int, which: int, defect: Defect, seed: int
) -> None:
    doc, before = clean(files)[which]
    copy = doc.copy()
    injected = defect(copy, random.Random(seed))
    if injected is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        found = new(looked_at(copy, Path(folder)), before)  # type: ignore[arg-type]
    assert told(injected, found) == (True, True), [(one.check, one.rows) for one in found]
    expected = (*injected.checks, *FOLLOWS.get(defect.__name__, ()))
    assert [one.check for one in found if one.severity == "error" and one.check not in expected] == []
    for one in found:
        assert one.deduction and one.rows >= 0 and (one.since is None or one.until is None or one.since <= one.until)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda one: one.__name__)
def test_every_defect_is_found_in_every_kind_of_file(defect: Defect) -> None:
    tally = measure([doc for doc, _ in clean(1)], [7], [defect])[defect.__name__]
    assert tally.tried
    assert (tally.missed, dict(tally.strange)) == ([], {})


@recorded
def test_defects_are_found_in_real_files_too() -> None:
    """Each defect in a quarter of the files; tests/quality/measuring.py takes all of them, many times."""
    chosen = [doc for doc in recordings() if not any(name in doc.name for name in ("tick", "daily__bac", "daily__spy"))]
    for number, defect in enumerate(DEFECTS):
        tally = measure(chosen[number % 4 :: 4], [11], [defect])[defect.__name__]
        missed = [place for place in tally.missed if not any(thin in place for thin in THIN.get(defect.__name__, ()))]
        assert (defect.__name__, missed, dict(tally.strange)) == (defect.__name__, [], {})
