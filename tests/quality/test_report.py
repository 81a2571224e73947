"""The report: what it reads of a day, how it judges it, and that nothing that came over the wire breaks its page."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import TerminalError
from quality.audit import AuditReport, AuditRow
from quality.report.changes import Changes, DaySummary, compare
from quality.report.charts import closes_svg, merged
from quality.report.facts import (
    BarTotals,
    CheckOutcome,
    Deduction,
    Facts,
    Freshness,
    FreshnessView,
    Gap,
    GapGroup,
    Incident,
    RebuiltTable,
    Refusal,
    Sample,
    Score,
    Series,
)
from quality.report.files import report_path, write_page
from quality.report.page import extract, render, sample_rows, span, visible
from quality.report.verdict import Level, judge

DAY = date(2022, 7, 2)
START = datetime(2022, 7, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ONE = Decimal("1.000000")


def series(**changes: Any) -> Series:
    points = tuple((START + n * MINUTE, 10.0 + n % 7) for n in range(40))
    return replace(Series("v", "A", "s", 40, 120, 0, ONE, ONE, points, (), ()), **changes)


def gap(state: str, begin: int, end: int) -> Gap:
    return Gap("v", "A", "s", "silence", state, START + begin * MINUTE, START + end * MINUTE, -1, 0, 1, -1, "away")


def check(level: str, passed: bool) -> CheckOutcome:
    return CheckOutcome("v", "market.bars", "high_is_highest", level, passed, 9, int(not passed), "[]", "d", START)


def rebuilt(table: str, difference: str = "", position: str = "") -> RebuiltTable:
    return RebuiltTable(table, 5, 5, 3, 2 if difference else 3, difference, position, START)


GOOD = Facts(
    day=DAY,
    made_time=START + timedelta(days=2),
    min_score=Decimal("0.8"),
    totals=BarTotals(40, 120, 0, 0, 1, 1, 1),
    scores=(Score("v", "A", Decimal("0.970000"), (ONE,) * 5, START),),
    gap_groups=(),
    gaps=(),
    refusals=(),
    freshness=FreshnessView({}, ()),
    series=(series(),),
    checks=(check("stop", True), check("warn", True)),
    incidents=(),
    changes=Changes(),
    audit=AuditReport([AuditRow("tape to tables", "tape.v", 0, 5, 5, 0, 0)]),
)
LOW = Score("v", "B", Decimal("0.799999"), (ONE,) * 5, START)
# Each is one thing that speaks against a good day, with what the verdict must then be at least.
TROUBLES: dict[str, tuple[Level, dict[str, Any]]] = {
    "audit": (Level.DISTRUST, {"audit": AuditReport([AuditRow("tape to tables", "tape.v", 0, 5, 4, 1, 0)])}),
    "rebuild": (Level.DISTRUST, {"rebuild": (rebuilt("market.bars", "the first bar"),)}),
    "stop": (Level.DISTRUST, {"checks": (check("warn", True), check("stop", False))}),
    "score": (Level.DISTRUST, {"scores": (LOW, *GOOD.scores)}),
    "no bars": (Level.UNKNOWN, {"totals": replace(GOOD.totals, bar_count=0)}),
    "gap": (Level.CARE, {"gap_groups": (GapGroup("v", "silence", "unfillable", 1, 0, 1, 0),)}),
    "provisional": (Level.CARE, {"totals": replace(GOOD.totals, provisional_count=1)}),
    "running": (Level.CARE, {"made_time": START + MINUTE}),
    "unscored": (Level.CARE, {"totals": replace(GOOD.totals, instrument_count=7)}),
    "incident": (Level.CARE, {"incidents": (Incident("1", "gap", "d", "v", "A", "warn", START, "t", "", 0, "n"),)}),
}


def test_a_day_that_everything_speaks_for_is_trusted_and_says_by_what() -> None:
    verdict = judge(GOOD)
    assert verdict.level is Level.TRUSTED
    assert verdict.reasons == ()
    assert verdict.sentence == (
        "These numbers can be trusted: nothing is missing or there twice, 2 claims held, and the lowest score is 0.970."
    )


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_alone_costs_the_trust_that_it_should(trouble: str) -> None:
    level, changes = TROUBLES[trouble]
    verdict = judge(replace(GOOD, **changes))
    assert verdict.level is level
    assert [reason.level for reason in verdict.reasons] == [level]
    assert f'href="#{verdict.reasons[0].section}"' in render(replace(GOOD, **changes))


def test_the_rebuild_is_shown_with_its_share_and_the_place_of_the_first_difference() -> None:
    equal = Elements(render(replace(GOOD, rebuild=(rebuilt("market.trades"), rebuilt("market.bars"))))).text
    assert "Rebuilt from the tape 2022-07-02 00:00:00: equal, bit for bit, for every instrument." in equal
    assert judge(replace(GOOD, rebuild=(rebuilt("market.trades"),))).level is Level.TRUSTED
    broken = replace(GOOD, rebuild=(rebuilt("market.trades", "price is 1", "message 7"), rebuilt("market.bars")))
    page = Elements(render(broken)).text
    assert "5 of 6 equal" in page
    assert "price is 1On the tape: message 7" in page
    assert (
        judge(broken).sentence == "Do not trust these numbers yet: the rebuild from the tape differs in market.trades."
    )
    assert "The rebuild was not run: tapehouse rebuild --day 2022-07-02" in Elements(render(GOOD)).text


def test_the_newest_certificate_is_told_in_a_line_and_without_one_the_command_is() -> None:
    assert "Certificate: The same throughout." in render(replace(GOOD, certificate="The same throughout."))
    assert "<code>tapehouse certify</code>" in render(GOOD)


def test_a_warning_that_failed_asks_for_care_and_a_filled_gap_for_none() -> None:
    assert judge(replace(GOOD, checks=(check("stop", True), check("warn", False)))).level is Level.CARE
    filled = (GapGroup("v", "silence", "filled", 3, 0, 0, 12),)
    assert judge(replace(GOOD, gap_groups=filled)).level is Level.TRUSTED


@pytest.mark.parametrize("missing", ["scores", "checks", "audit"])
def test_what_nobody_looked_at_is_not_trusted(missing: str) -> None:
    changes: dict[str, Any] = {missing: None if missing == "audit" else ()}
    without = replace(GOOD, **changes)
    assert judge(without).level is Level.CARE
    nothing = replace(GOOD, scores=(), checks=(), audit=None)
    assert judge(nothing).level is Level.UNKNOWN


@given(st.sets(st.sampled_from(sorted(TROUBLES))), st.sampled_from(sorted(TROUBLES)))
def test_another_trouble_never_makes_the_verdict_better(some: set[str], another: str) -> None:
    def judged(names: set[str]) -> Level:
        facts = GOOD
        for name in sorted(names):
            # Two troubles may concern the same field; of the totals both are kept.
            changes = TROUBLES[name][1]
            if "totals" in changes:
                bad = {k: v for k, v in vars(changes["totals"]).items() if v != vars(GOOD.totals)[k]}
                changes = {"totals": replace(facts.totals, **bad)}
            facts = replace(facts, **changes)
        return judge(facts).level

    assert judged(some | {another}) >= judged(some)


class Elements(HTMLParser):
    """The elements of a page with their attributes' names, its text, and where it leads to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.links: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action", "data", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", ()))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)


def hostile(text: str) -> Facts:
    """Return a day in which every field that may come from outside holds the text."""
    lost = Deduction("validity", text, 1, 2, ONE, Decimal("0.100000"), text)
    sample = Sample(START, text, text, text, len(text.encode()))
    return replace(
        GOOD,
        scores=(Score(text, text, Decimal("0.900000"), (ONE,) * 5, START, (lost,)),),
        gap_groups=(GapGroup(text, text, text, 1, 0, 0, 0),),
        gaps=(replace(gap("open", 1, 2), venue=text, instrument=f"i{text}", id_space=text, kind=text, detail=text),),
        refusals=(Refusal(f"v{text}", text, text, 1, (sample,)),),
        freshness=FreshnessView({"stale": 1}, (Freshness(text, f"i{text}", text, START, 1, 1, "stale", START),)),
        series=(series(venue=text, instrument=text, id_space=text),),
        checks=(
            replace(check("stop", False), check_name=text, detail=text, sample=json.dumps([{"key": text}])),
            replace(check("stop", True), check_name=text, venue=text, dataset=text),
        ),
        incidents=(Incident(text, text, text, text, text, "error", START, text, text, 1, text),),
        changes=compare(
            DAY - timedelta(days=1),
            DaySummary({(text, text): 5}, frozenset({(text, "gone")}), {("v", text): ONE}),
            DAY,
            DaySummary({(text, text): 6}, frozenset({(text, "new")}), {("v", text): Decimal("0.5")}),
        ),
        audit=AuditReport([AuditRow(text, text, 0, 2, 1, 1, 0, text)]),
        rebuild=(rebuilt(text, text, text),),
        certificate=text,
    )


PLAIN = Elements(render(hostile("harmless"))).tags
MARKUP = (
    *("</pre>", "<script>alert(1)</script>", "<!--", "-->", "]]>", "</style>", "</title>", "<b", "'\"", "onload=x"),
    *("&lt;", "&#60;", "{{ 7*7 }}", "{% raw %}", "javascript:x", "\x00", "\x1b[31m", "\u202e", "\u2028", "a", " "),
)
nasty = st.one_of(st.text(min_size=1), st.lists(st.sampled_from(MARKUP), min_size=1).map("".join))


@settings(max_examples=40)
@given(nasty)
def test_no_text_from_outside_breaks_out_of_the_page(text: str) -> None:
    page = Elements(render(hostile(text)))
    assert page.tags == PLAIN
    assert all(link.startswith("#") for link in page.links)
    assert not set(page.text) & {chr(code) for code in (0, 0x1B, 0x7F, 0x202E, 0x2066, 0x2028)}
    assert visible(text).replace("\r", "") in page.text.replace("\r", "")


def test_the_page_asks_nothing_of_any_network_and_runs_nothing() -> None:
    page = render(hostile("http-like text"))
    assert not {tag for tag, _ in Elements(page).tags} & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    for word in ("@import", "url(", "https://", "onclick"):
        assert word not in page.replace('clip-path="url(#', "")
    # The names of XML's languages are no addresses that anybody asks.
    assert {part.split('"')[0] for part in page.split("http://")[1:]} <= {
        "www.w3.org/2000/svg",
        "www.w3.org/1999/xlink",
    }


def test_a_busy_day_is_a_page_of_less_than_300_kilobytes() -> None:
    points = tuple((START + n * MINUTE, 100 + (n * 7919 % 97) / 10) for n in range(1440))
    many = tuple(
        series(instrument=f"I{n}", points=points, corrected=tuple(t for t, _ in points[::3])) for n in range(12)
    )
    lost = tuple(Deduction("validity", "refused", 1, 2, ONE, Decimal("0.1"), "a line of words " * 5) for _ in range(8))
    scores = tuple(replace(GOOD.scores[0], instrument=f"I{n}", deductions=lost) for n in range(900))
    page = render(replace(GOOD, series=many, scores=scores, gaps=(gap("open", 1, 2),) * 40))
    assert len(page.encode()) < 300_000
    assert "860 more instruments" in page


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)).map(lambda s: (float(s[0]), float(s[0] + s[1]))))


@given(spans)
def test_merged_spans_cover_the_same_moments_apart_and_in_order(drawn: list[tuple[float, float]]) -> None:
    found = merged(drawn)

    def covered(some: list[tuple[float, float]]) -> set[float]:
        return {half / 2 for half in range(150) if any(a <= half / 2 <= b for a, b in some)}

    assert covered(found) == covered(drawn)
    assert all(left[1] < right[0] for left, right in pairwise(found))


def test_the_chart_shades_holes_and_refills_apart_and_keeps_the_digits_of_small_prices() -> None:
    points = tuple((START + n * MINUTE, 0.0000121 + n * 1e-9) for n in range(60))
    end = START + timedelta(hours=1)
    plain = closes_svg(series(points=points), START, end)
    assert "0.00001213" in plain
    assert not [name for name in ("bad", "good", "accent") if f"var(--{name})" in plain]
    for state, variable in (("open", "bad"), ("unfillable", "bad"), ("filled", "good"), ("resynced", "good")):
        chart = closes_svg(series(points=points, gaps=(gap(state, 10, 20),)), START, end)
        assert [name for name in ("bad", "good") if f"fill: var(--{name})" in chart] == [variable]
    assert "fill: var(--accent)" in closes_svg(series(points=points, corrected=(START + MINUTE,)), START, end)
    ten = closes_svg(series(points=points[:10]), START, START + 10 * MINUTE)
    assert [f">00:{minute:02}<" in ten for minute in (0, 2, 4, 6, 8, 10)] == [True] * 6
    # Two breaks of the line make three strokes of it.
    torn = closes_svg(series(points=points[:20] + points[30:40] + points[55:]), START, end)
    assert torn.split("stroke: var(--ink)")[0].rpartition(' d="')[2].count("M") == 3


names = st.frozensets(st.tuples(st.sampled_from("vw"), st.sampled_from("ABC")))
scored = st.dictionaries(st.tuples(st.just("v"), st.sampled_from("ABC")), st.decimals(0, 1, places=3))
summaries = st.builds(
    DaySummary, st.dictionaries(st.tuples(st.just("d"), st.just("v")), st.integers(0, 9)), names, scored
)


@given(summaries, summaries)
def test_changes_seen_from_the_other_side_are_the_opposite(one: DaySummary, other: DaySummary) -> None:
    there, back = compare(DAY, one, DAY + timedelta(days=1), other), compare(DAY, other, DAY, one)
    assert (there.appeared, there.disappeared) == (back.disappeared, back.appeared)
    assert set(there.appeared) == other.instruments - one.instruments
    assert [(row.before, row.now) for row in there.rows] == [(row.now, row.before) for row in back.rows]
    assert [change.difference for change in there.scores] == [-change.difference for change in reversed(back.scores)]
    assert all(abs(change.difference) >= Decimal("0.01") for change in there.scores)
    assert there.adjacent
    assert not back.adjacent


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(320, "320 ms"), (1240, "1.2 s"), (250_000, "4 m 10 s"), (11_100_000, "3 h 05 m"), (187_200_000, "2 d 4 h")],
)
def test_a_span_is_told_in_the_units_that_it_has(milliseconds: int, text: str) -> None:
    assert span(milliseconds) == text


def test_samples_are_rows_whatever_was_stored() -> None:
    assert sample_rows('[{"a": 1, "b": "x"}]') == ["a=1, b=x"]
    assert sample_rows("not json") == ["not json"]
    assert sample_rows("") == []
    assert sample_rows(json.dumps([1] * 9)) == ["1"] * 5 + ["..."]


def test_the_extract_is_markdown_in_which_nothing_from_outside_is_markup() -> None:
    verdict = judge(replace(GOOD, rebuild=(rebuilt("<b>|x|`y`", "a price"),)))
    assert "\\<b\\>\\|x\\|\\`y\\`" in extract(GOOD, verdict)


def test_a_page_is_replaced_whole_and_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = report_path(tmp_path / "reports", DAY)
    assert write_page(path, "first, longer") == 13
    write_page(path, "new")
    assert path.read_text() == "new"
    assert [one.name for one in path.parent.iterdir()] == ["report-2022-07-02.html"]
    with pytest.raises(TerminalError, match="--out"):
        write_page(path / "below a file" / "x.html", "x")


def test_a_score_below_the_threshold_never_looks_like_one_that_reaches_it() -> None:
    page = Elements(render(replace(GOOD, scores=(LOW, replace(GOOD.scores[0], score=Decimal("0.999999")))))).text
    assert ("0.799" in page, "0.800" in page, "0.999" in page) == (True, False, True)


def test_the_lines_under_a_score_have_all_that_its_arithmetic_needs() -> None:
    lost = Deduction("completeness", "completeness_unknown", 3, 7, Decimal("0.050000"), Decimal("0.021429"), "no ids")
    page = Elements(render(replace(GOOD, scores=(replace(LOW, deductions=(lost,)),)))).text
    assert (
        "\N{MINUS SIGN}0.021429 completeness: completeness unknown, 0.05 \N{MULTIPLICATION SIGN} 3 of 7; no ids" in page
    )
