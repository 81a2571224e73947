"""What must be known to read lines of a file one by one; it stands on the tape beside each piece of the file."""

import hashlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import orjson

# What a line may become, by the kinds of contracts.history.
ROW_KINDS = ("bars", "quote_bars", "trades", "quotes", "factors", "maps")
# How times are written: milliseconds of a day, a count since 1970 told by its length, or text in one of some forms.
DAY_MS, EPOCH, TEXT = "day_ms", "epoch", "text"


@dataclass(frozen=True)
class TimeForm:
    """How a file writes its times. `day` is that of DAY_MS, `forms` those of TEXT; `zone` is that of local times."""

    how: str
    day: str = ""
    zone: str = "UTC"
    forms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """Which cell of a line is what, and what no cell tells.

    `columns` are our names in the file's order, empty for cells that are passed over. `names` are spans of days (both
    included, YYYY-MM-DD) with the instrument's name in them; where it is empty the column `instrument` tells it.
    `content` begins the hash of the unpacked content: with the line it is the identity of rows that carry none. `scale`
    is what prices are divided by.
    """

    kind: str
    venue: str
    space: str
    content: str
    columns: tuple[str, ...]
    time: TimeForm
    names: tuple[tuple[str, str, str], ...] = ()
    separator: str = ","
    fewest: int = 0
    scale: int = 1
    width_s: int = 0

    def describes(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @property
    def fingerprint(self) -> str:
        """Return a few characters that differ where lines are read otherwise."""
        text = orjson.dumps(self.describes(), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(text).hexdigest()[:8]


@dataclass(frozen=True)
class Piece:
    """Lines of a file on the tape: which file, from which line on (from 1), and how they are read."""

    layout: Layout
    first_line: int
    file: str
    sha256: str
    member: str = ""

    @property
    def request(self) -> str:
        """Return it as the tape keeps it."""
        told: dict[str, Any] = {"file": self.file, "sha256": self.sha256, "line": self.first_line}
        if self.member:
            told["member"] = self.member
        return orjson.dumps(told | {"layout": self.layout.describes()}).decode()


def read_request(request: str) -> tuple[Layout, int]:
    """Return the layout and the first line's number; ValueError when the text is no piece's request."""
    try:
        told = orjson.loads(request)
        return _layout(orjson.dumps(told["layout"], option=orjson.OPT_SORT_KEYS)), int(told["line"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no request of an import: {error}") from error


@lru_cache(maxsize=256)
def _layout(text: bytes) -> Layout:
    told = orjson.loads(text)
    time = told.pop("time")
    layout = Layout(
        **{
            **told,
            "columns": tuple(told["columns"]),
            "names": tuple((str(first), str(last), str(name)) for first, last, name in told["names"]),
            "time": TimeForm(**{**time, "forms": tuple(time["forms"])}),
        }
    )
    if layout.kind not in ROW_KINDS or "time" not in layout.columns or len(layout.separator) != 1:
        raise ValueError(f"kind {layout.kind!r}, columns {layout.columns}")
    return layout
