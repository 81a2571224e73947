"""What the name of a Lean file says, as a path in Lean's Data folder or with the slashes written as `__`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

_SECURITY = r"(?P<security>crypto|cryptofuture|equity|forex|cfd|option|indexoption|futureoption|index|future)"
_DAY = r"(?P<day>[0-9]{8})"
_FORMS = tuple(
    re.compile(rf"(?:^|/){_SECURITY}/(?P<market>[a-z0-9.-]+)/{rest}$")
    for rest in (
        rf"(?P<resolution>minute|second|tick)/(?P<symbol>[^/]+)/{_DAY}_(?P<what>trade|quote|openinterest)"
        r"(?:_(?P<style>american|european))?\.(?:zip|csv)",
        r"(?P<resolution>daily|hour)/(?P<symbol>[^/_]+)(?:_[0-9]{4,6})?(?:_(?P<what>trade|quote|openinterest))?"
        r"(?:_(?P<style>american|european))?\.(?:zip|csv)",
        rf"(?P<what>universes)/(?P<symbol>[^/]+)/{_DAY}\.csv",
        r"(?P<what>factor_files|map_files)/(?P<symbol>[^/]+)\.csv",
    )
)
_INNER = re.compile(r"(?P<day>[0-9]{8})_(?P<symbol>[^_]+)_(?:minute|second|tick|trade|quote)", re.IGNORECASE)
WIDTHS_S = {"minute": 60, "second": 1, "daily": 86_400, "hour": 3_600}
QUOTED = ("forex", "cfd")
# So many days on either side of a file's own are looked at beside it.
NEIGHBOURS = 3


@dataclass(frozen=True)
class LeanName:
    """A Lean file by its name; `what` is trade, quote, openinterest, universes, factor_files or map_files."""

    security: str
    market: str
    symbol: str
    what: str
    resolution: str = ""
    day: date | None = None
    style: str = ""

    @property
    def dataset(self) -> str:
        """Return the path in Lean's Data folder without the ending."""
        return self.path.rpartition(".")[0]

    @property
    def path(self) -> str:
        """Return the path in Lean's Data folder."""
        front = f"{self.security}/{self.market}"
        day = f"{self.day:%Y%m%d}" if self.day else ""
        if self.what == "universes":
            return f"{front}/universes/{self.symbol}/{day}.csv"
        if self.what in ("factor_files", "map_files"):
            return f"{front}/{self.what}/{self.symbol}.csv"
        style = f"_{self.style}" if self.style else ""
        if self.resolution in ("daily", "hour"):
            # Daily files of equities don't say that they hold trades, those of currencies not that they hold quotes.
            usual = "quote" if self.security in QUOTED else "trade"
            what = "" if self.security in ("equity", *QUOTED) and self.what == usual else f"_{self.what}"
            return f"{front}/{self.resolution}/{self.symbol}{what}{style}.zip"
        return f"{front}/{self.resolution}/{self.symbol}/{day}_{self.what}{style}.zip"

    @property
    def zone(self) -> str:
        """Return the clock that the file's times are told by."""
        return "UTC" if self.security in ("crypto", "cryptofuture", "forex", "cfd") else "America/New_York"

    @property
    def kind(self) -> str:
        """Return the kind of its rows (contracts.history.KINDS)."""
        kinds = {
            "universes": "universe",
            "factor_files": "factors",
            "map_files": "maps",
            "openinterest": "open_interest",
        }
        if self.what in kinds:
            return kinds[self.what]
        if self.resolution == "tick":
            return f"{self.what}s"
        return "bars" if self.what == "trade" else "quote_bars"


def lean_name(path: Path) -> LeanName | None:
    """Return what the path says, or None when it is not that of a Lean file."""
    text = path.as_posix().replace("__", "/").lower()
    for form in _FORMS:
        if match := form.search(text):
            said = match.groupdict()
            day = _day(said["day"]) if said.get("day") else None
            if said.get("day") and day is None:
                return None
            return LeanName(
                said["security"],
                said["market"],
                said["symbol"],
                # Currencies are quoted, and their files don't say so.
                said.get("what") or ("quote" if said["security"] in QUOTED else "trade"),
                said.get("resolution") or "",
                day,
                said.get("style") or "",
            )
    return None


def inner_day(name: str) -> date | None:
    """Return the day that the name of a file inside a zip says, None where it says none."""
    match = _INNER.search(name)
    return _day(match["day"]) if match else None


def beside(path: Path, name: LeanName) -> Iterator[Path]:
    """Yield the files that belong to this one: its other side, other days, daily bars, corporate actions."""
    wanted: list[LeanName] = []
    if name.what in ("trade", "quote") and name.resolution not in ("daily", "hour"):
        other = "quote" if name.what == "trade" else "trade"
        # Ticks are many: minutes are not held against them unless they are named.
        resolutions = {name.resolution, "minute"}
        wanted += [_with(name, what=other, resolution=one) for one in sorted(resolutions)]
        wanted += [_with(name, resolution=one) for one in sorted(resolutions - {name.resolution})]
        wanted += [_with(name, what="trade", resolution="daily", day=None)]
    if name.day:
        wanted += [_with(name, day=name.day + timedelta(days=n)) for n in range(-NEIGHBOURS, NEIGHBOURS + 1) if n]
    if name.security == "equity":
        wanted += [LeanName("equity", name.market, name.symbol, what) for what in ("factor_files", "map_files")]
    if name.security == "option" and name.what == "universes":
        wanted += [LeanName("equity", name.market, name.symbol, "factor_files")]
    for one in wanted:
        found = place_of(path, name, one)
        if found.is_file() and found != path:
            yield found
        elif "+" in path.parent.name and one.what in ("factor_files", "map_files"):
            # Collections of recordings are kept as topic/owner+repository: corporate actions lie in another topic.
            elsewhere = path.parent.parent.parent.glob(f"*/{path.parent.name}/{found.name}")
            yield from (there for there in elsewhere if there.is_file())
    if name.what == "map_files":
        yield from sorted(found for found in path.parent.glob("*.csv") if found != path and _is_map(found))


def _is_map(path: Path) -> bool:
    name = lean_name(path)
    return name is not None and name.what == "map_files"


def _with(name: LeanName, **changes: Any) -> LeanName:
    return replace(name, **changes)


def place_of(path: Path, name: LeanName, other: LeanName) -> Path:
    """Return where another file of the same Data folder would be: flat beside it, or in Lean's tree."""
    if "__" in path.name:
        return path.with_name(other.path.replace("/", "__"))
    return path.parents[name.path.count("/")] / other.path


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007
    except ValueError:
        return None
