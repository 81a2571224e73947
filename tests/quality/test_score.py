"""The score's arithmetic: what the document works by hand, and what must hold whatever is deducted."""

from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.scores import DIMENSIONS
from quality.cadence import cadence, silent_minutes
from quality.pairs import Pair, pair_of
from quality.score import REASONS, Deduction, Finding, deduct, deducted, deductions_of, score_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "quality-score.md"


def tables() -> list[list[list[str]]]:
    """Return the document's tables as rows of cells, heads included."""
    found: list[list[list[str]]] = [[]]
    for line in PAGE.read_text().splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [[rows[0], *rows[2:]] for rows in found if rows]


def test_the_example_of_the_document_comes_out_to_the_digit() -> None:
    _, worked, result, *_ = tables()
    head, *rows = worked
    assert head == ["dimension", "reason", "affected", "total", "weight", "deducted"]
    made = [deduct(Finding(reason, int(affected), int(total))) for _, reason, affected, total, _, _ in rows]
    assert len(made) == 10
    for one, (dimension, _, _, _, weight, lost) in zip(made, rows, strict=True):
        assert (one.dimension, one.weight, str(one.deducted)) == (dimension, Decimal(weight), lost)
    score = score_of(made)
    assert dict(zip(*result, strict=True)) == {
        name: str(value) for name, value in zip(("score", *DIMENSIONS), score.values, strict=True)
    }


def test_the_document_lists_the_reasons_and_weights_that_count() -> None:
    head, *rows = tables()[0]
    assert head[:3] == ["reason", "dimension", "weight"]
    listed = {reason: (dimension, Decimal(weight)) for reason, dimension, weight, _ in rows}
    assert listed == {name: (one.dimension, one.weight) for name, one in REASONS.items()}
    assert {one.dimension for one in REASONS.values()} == set(DIMENSIONS)


findings = st.builds(
    lambda reason, affected, more: Finding(reason, affected, max(affected + more, 1)),
    st.sampled_from(sorted(REASONS)),
    st.integers(0, 10**12),
    st.integers(0, 10**12),
)


@given(findings)
def test_a_deduction_is_the_weighted_share_rounded_half_up_whatever_the_context_rounds_to(finding: Finding) -> None:
    with localcontext(prec=3):
        lost = deduct(finding).deducted
    exact = Fraction(REASONS[finding.reason].weight) * Fraction(finding.affected, finding.total)
    off = Fraction(lost) - exact
    assert -Fraction(1, 2_000_000) < off <= Fraction(1, 2_000_000)


@given(st.lists(findings, max_size=12))
def test_scores_lie_between_0_and_1_and_are_1_less_what_was_deducted(drawn: list[Finding]) -> None:
    deductions = deductions_of(drawn)
    score = score_of(deductions)
    assert all(0 <= value <= 1 and value.as_tuple().exponent == -6 for value in score.values)
    assert score.score == max(1 - sum(one.deducted for one in deductions), Decimal(0))
    for name in DIMENSIONS:
        own = sum(one.deducted for one in deductions if one.dimension == name)
        assert getattr(score, name) == max(1 - own, Decimal(0))


@given(st.lists(findings, max_size=8), findings)
def test_another_deduction_raises_no_number_of_the_score(drawn: list[Finding], more: Finding) -> None:
    before, after = score_of(deductions_of(drawn)), score_of(deductions_of([*drawn, more]))
    assert all(b >= a for b, a in zip(before.values, after.values, strict=True))


@given(st.lists(findings, max_size=8).flatmap(lambda drawn: st.tuples(st.just(drawn), st.permutations(drawn))))
def test_the_order_of_findings_does_not_matter(both: tuple[list[Finding], list[Finding]]) -> None:
    one, other = both
    assert score_of(deductions_of(one)) == score_of(deductions_of(other))


def test_nothing_deducted_is_1_and_what_affects_nothing_deducts_nothing() -> None:
    assert {str(value) for value in score_of(()).values} == {"1.000000"}
    assert deductions_of([Finding("quotes_crossed", 0, 9), Finding("trades_missing", 0, 0)]) == ()


@pytest.mark.parametrize(("affected", "total"), [(2, 1), (-1, 4), (1, 0)])
def test_more_than_all_can_not_be_affected(affected: int, total: int) -> None:
    with pytest.raises(ValueError, match="valid: 0 <= affected <= total"):
        deducted(Decimal(1), affected, total)


def test_deductions_know_no_reason_that_is_not_listed() -> None:
    with pytest.raises(KeyError):
        deduct(Finding("bad_mood", 1, 2))
    assert isinstance(deduct(Finding("trades_missing", 1, 2)), Deduction)


def test_an_outage_moves_no_cadence_and_is_silent_whole() -> None:
    minutes = [*range(100), *range(400, 500)]
    assert cadence(minutes) == 1
    assert silent_minutes(minutes, 0, 499) == set(range(100, 400))


def test_who_trades_every_ten_minutes_is_not_silent_for_twenty_nine() -> None:
    minutes = [*range(0, 400, 10), 420]
    assert silent_minutes(minutes, 0, 440) == set()
    assert silent_minutes([*minutes, 451], 0, 460) == set(range(421, 451))


def test_silence_at_either_end_of_the_day_counts_and_a_few_trades_have_no_cadence() -> None:
    assert silent_minutes(range(50, 100), 0, 200) == {*range(50), *range(100, 201)}
    assert silent_minutes([3, 4, 900], 0, 1439) == set()


@given(st.sets(st.integers(0, 1439), min_size=30), st.integers(0, 1439))
def test_silent_minutes_have_no_trades_and_lie_in_the_day(minutes: set[int], last: int) -> None:
    first, last = min(minutes), max(*minutes, last)
    silent = silent_minutes(minutes, first, last)
    assert not silent & minutes
    assert silent <= set(range(first, last + 1))


@pytest.mark.parametrize(
    ("symbol", "pair"),
    [
        ("BTCUSDT", Pair("BTC", "USD")),
        ("BTC-USD", Pair("BTC", "USD")),
        ("XBT/USD", Pair("BTC", "USD")),
        ("ETH/XBT", Pair("ETH", "BTC")),
        ("ETHBTC", Pair("ETH", "BTC")),
        ("XDG/EUR", Pair("DOGE", "EUR")),
        ("1INCHFDUSD", Pair("1INCH", "USD")),
        ("BTCUSDT-PERP", None),
        ("BTCUSDT_240927", None),
        ("BTC/USDT:USDT", None),
        ("USDT", None),
    ],
)
def test_symbols_of_the_same_thing_are_one_pair_and_derivatives_none(symbol: str, pair: Pair | None) -> None:
    assert pair_of(symbol) == pair
