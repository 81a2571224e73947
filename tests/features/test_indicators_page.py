"""docs/indicators.md says what is there. Run this file to write it; it needs the reference tables."""

import re
from pathlib import Path

import pytest

from features.indicators.catalog import INDICATORS
from features.indicators.declared import Indicator, Lookback, Use, chosen
from tests.features.agreement import CASES, Case, compared
from tests.features.tables import ABSENT, LEAN

PAGE = Path(__file__).resolve().parents[2] / "docs" / "indicators.md"
BEGIN, END = "<!-- {} -->\n", "<!-- end of {} -->"


def reach(lookback: Lookback) -> str:
    """Return a lookback in words."""
    if lookback.bars is not None:
        return f"{lookback.bars:,} bars"
    return f"since the {lookback.anchor} began" if lookback.anchor else "all bars before"


def catalogue() -> str:
    """Return the table of indicators as it stands on the page."""
    rows = [
        "| indicator | what it is | definition | parameters | inputs | outputs | unit | first row | lookback | by |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for indicator in INDICATORS.values():
        made = chosen(indicator, {})
        first = ", ".join(str(rows + 1) for rows in dict.fromkeys(made.warm_up))
        cells = [
            f"`{indicator.name}`",
            indicator.title,
            indicator.formula.replace("|", "\\|"),
            _parameters(indicator),
            ", ".join(made.inputs),
            ", ".join(f"`{column}`" for column in made.columns),
            ", ".join(dict.fromkeys(indicator.units)),
            first,
            reach(made.lookback),
            indicator.engine,
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _parameters(indicator: Indicator) -> str:
    told = [
        f"{name} {' or '.join(sorted(indicator.choices[name], key=lambda one: one != value))}"
        if isinstance(value, str)
        else f"{name} {value:g}"
        for name, value in indicator.parameters.items()
    ]
    return "; ".join(told) or "none"


def agreement(measured: dict[str, str]) -> str:
    """Return the table of comparisons, with the largest differences as they were measured."""
    rows = [
        "| table | column | held against | rows | largest difference | tolerance | the difference is |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in CASES:
        why = case.why or "rounding of double precision"
        rows.append(f"| {_case(case)} | {measured[_case(case)]} | {case.tolerance:g} | {why} |")
    return "\n".join(rows) + "\n"


def _case(case: Case) -> str:
    return f"{case.table} | {case.column} | `{case.label}`"


def _section(page: str, name: str) -> str:
    return page.split(BEGIN.format(name), 1)[1].split(END.format(name), 1)[0]


def test_the_page_lists_every_indicator_as_it_is_declared() -> None:
    assert _section(PAGE.read_text(), "indicators") == catalogue(), f"run {Path(__file__).name} to write it anew"


def test_the_page_lists_every_comparison_and_none_beyond_its_tolerance() -> None:
    section = _section(PAGE.read_text(), "agreement")
    measured = {
        "|".join(cells[1:4]).strip(): "|".join(cells[4:6]).strip()
        for cells in (line.split("|") for line in section.splitlines()[2:])
    }
    assert section == agreement(measured), f"run {Path(__file__).name} to write it anew"
    for case in CASES:
        assert float(measured[_case(case)].split("|")[1]) <= case.tolerance


@pytest.mark.parametrize("name", ["rsi", "macd"])
def test_a_lookback_is_told_in_bars(name: str) -> None:
    assert re.fullmatch(r"\d+ bars", reach(Use(INDICATORS[name], INDICATORS[name].parameters).lookback))


def write() -> None:
    """Write both tables into the page."""
    if not LEAN.is_dir():
        raise SystemExit(ABSENT)
    found = {_case(case): compared(case) for case in CASES}
    measured = {name: f"{one.rows} | {one.difference:.0e}" for name, one in found.items()}
    page = PAGE.read_text()
    for name, body in (("indicators", catalogue()), ("agreement", agreement(measured))):
        head, rest = page.split(BEGIN.format(name), 1)
        page = head + BEGIN.format(name) + body + END.format(name) + rest.split(END.format(name), 1)[1]
    PAGE.write_text(page)


if __name__ == "__main__":
    write()
