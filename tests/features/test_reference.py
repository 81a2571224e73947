"""Indicators agree with the published tables, each within the tolerance that its case states."""

import pytest

from tests.features.agreement import CASES, Case, compared
from tests.features.tables import ABSENT, LEAN, SKENDER

pytestmark = pytest.mark.skipif(not (SKENDER.is_dir() and LEAN.is_dir()), reason=ABSENT)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.table} {case.column}")
def test_the_indicator_agrees_with_the_table(case: Case) -> None:
    found = compared(case)
    assert found.rows > 150, "too few rows are compared to claim anything"
    assert found.difference <= case.tolerance
    # Warm-up agrees row by row: where the table has no value there is none, and the other way round.
    assert found.one_sided == case.late
