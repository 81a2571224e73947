"""docs/features.md lists every feature as it is declared. Run this file to write it."""

from datetime import timedelta
from pathlib import Path

from features.catalog import FEATURES
from features.declared import Feature
from features.market import SOURCES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"
BEGIN, END = "<!-- {} -->\n", "<!-- end of {} -->"


def span(length: timedelta) -> str:
    """Return a length of time as people write it."""
    minutes = length // timedelta(minutes=1)
    if not minutes:
        return "its minute"
    return (
        f"{minutes // 1440} d"
        if minutes % 1440 == 0
        else f"{minutes // 60} h"
        if minutes % 60 == 0
        else f"{minutes} min"
    )


def catalogue() -> str:
    """Return the table of features."""
    head = ["| feature | what it is | unit | source | window | lives | owner |", "|---|---|---|---|---|---|---|"]
    return "\n".join([*head, *(_row(feature) for feature in FEATURES)]) + "\n"


def _row(feature: Feature) -> str:
    cells = (
        f"`{feature.name}`",
        feature.description,
        feature.unit,
        feature.source.name,
        span(feature.window),
        span(feature.time_to_live),
        feature.owner,
    )
    return f"| {' | '.join(cells)} |"


def sources() -> str:
    """Return the table of sources."""
    head = ["| source | made from | entity | event time | known time |", "|---|---|---|---|---|"]
    rows = [
        f"| {one.name} | {', '.join(one.frames)} | {', '.join(one.entity)} | {one.event_time} | {one.known_time} |"
        for one in SOURCES
    ]
    return "\n".join([*head, *rows]) + "\n"


TABLES = {"features": catalogue, "sources": sources}


def test_the_page_lists_every_feature_and_source_as_it_is_declared() -> None:
    page = PAGE.read_text()
    for name, made in TABLES.items():
        held = page.split(BEGIN.format(name), 1)[1].split(END.format(name), 1)[0]
        assert held == made(), f"run {Path(__file__).name} to write it anew"


def test_every_feature_is_declared_once_and_whole() -> None:
    assert len(FEATURES) >= 30
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    for feature in FEATURES:
        assert feature.source in SOURCES
        assert feature.description.endswith("."), feature.name
        assert feature.unit, feature.name
        assert feature.owner, feature.name


def write() -> None:
    """Write both tables into the page."""
    page = PAGE.read_text()
    for name, made in TABLES.items():
        head, rest = page.split(BEGIN.format(name), 1)
        page = head + BEGIN.format(name) + made() + END.format(name) + rest.split(END.format(name), 1)[1]
    PAGE.write_text(page)


if __name__ == "__main__":
    write()
