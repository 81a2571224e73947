"""Which security a ticker was on a day, by Lean's map files.

A security is named by its first ticker and the day of its listing (GOOG.20040819): the only name that no renaming
changes, and that no other company which takes over the ticker ever has.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from contracts.errors import TerminalError
from sources.history.lean_names import LeanName, lean_name, place_of

Names = tuple[tuple[str, str, str], ...]
_MAPS = "map_files"


@dataclass(frozen=True)
class Security:
    """A security: the symbol of its map file, its name for ever, and its tickers with their first and last days."""

    symbol: str
    name: str
    tickers: tuple[tuple[str, date, date], ...]

    @property
    def life(self) -> tuple[date, date]:
        """Return its first and last day."""
        return self.tickers[0][1], self.tickers[-1][2]


def names_of(path: Path, name: LeanName, maps: Path | None = None) -> Names:
    """Return the names of what a Lean file of equities holds, by spans of days; none where no map file tells them.

    A file of a day is of the security that had the ticker then. One of many days is of each for its days; the days on
    which nobody had it belong to the security whose map file has its symbol. TerminalError where two had it at once.
    """
    securities = _securities(path, name, maps)
    own = next((one for one in securities if one.symbol == name.symbol), None)
    if name.what in (_MAPS, "factor_files"):
        return _always(own) if own else ()
    had = [
        (first, last, one.name)
        for one in securities
        for ticker, first, last in one.tickers
        if ticker == name.symbol.upper()
    ]
    if name.day is not None:
        found = sorted({one for first, last, one in had if first <= name.day <= last})
        if len(found) > 1:
            raise TerminalError(f"{path}: on {name.day} {' and '.join(found)} were both called {name.symbol.upper()}")
        if found:
            return (("0001-01-01", "9999-12-31", found[0]),)
        return _always(own) if own and own.life[0] <= name.day <= own.life[1] else ()
    spans = [(str(first), str(last), one) for first, last, one in sorted(had)]
    if own:
        spans.append((str(own.life[0]), str(own.life[1]), own.name))
    if len({one for *_, one in spans}) == 1:
        return (("0001-01-01", "9999-12-31", spans[0][2]),)
    return tuple(spans)


def _always(security: Security) -> Names:
    return (("0001-01-01", "9999-12-31", security.name),)


def _securities(path: Path, name: LeanName, maps: Path | None) -> tuple[Security, ...]:
    beside = place_of(path, name, LeanName("equity", name.market, name.symbol, _MAPS))
    folder = maps or beside.parent
    return _read(folder) if folder.is_dir() else ()


@lru_cache(maxsize=16)
def _read(folder: Path) -> tuple[Security, ...]:
    found = []
    for path in sorted(folder.glob("*.csv")):
        known = lean_name(path)
        if known is not None and known.what != _MAPS:
            continue
        if known is None and folder.name != _MAPS:
            continue
        symbol = known.symbol if known else path.stem.lower()
        if security := _security(path, symbol):
            found.append(security)
    return tuple(found)


def _security(path: Path, symbol: str) -> Security | None:
    told = []
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        day, _, rest = line.partition(",")
        ticker = rest.partition(",")[0].strip().upper()
        try:
            told.append((datetime.strptime(day.strip(), "%Y%m%d").date(), ticker))  # noqa: DTZ007 - a day
        except ValueError:
            raise TerminalError(f"{path} line {number} is no line of a map file: {line[:60]!r}") from None
    if not told:
        return None
    told.sort(key=lambda one: one[0])
    listed, first = told[0]
    begins = listed
    tickers = []
    # Each line tells the last day of a ticker; the first is the day of the listing.
    for last, ticker in told[1:] or told:
        tickers.append((ticker, begins, last))
        begins = last + timedelta(days=1)
    return Security(symbol, f"{first}.{listed:%Y%m%d}", tuple(tickers))
