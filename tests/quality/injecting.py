"""Defects put into clean files of history, and what must be found of each; tests/quality/measuring.py counts."""

import random
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson

from quality.history.sessions import sessions

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
BARS = ("open", "high", "low", "close")
SIDES = [f"{side}_{name}" for side in ("bid", "ask") for name in BARS]
PRICES = (*BARS, "price", *SIDES)


@dataclass
class Doc:
    """A file as rows of text cells; `columns` say which cell is what, `clock` how times are written."""

    name: str
    rows: list[list[str]]
    columns: dict[str, int]
    clock: str  # ms, lean (daily), a strptime format, or epoch
    header: list[str] = field(default_factory=list)
    inner: str = ""
    kraken: str = ""
    beside: tuple[Path, ...] = ()

    def write(self, folder: Path) -> Path:
        """Write the file as its original is packed."""
        path = folder / self.name
        if self.kraken:
            rows = [[_json(cell, at, self.columns) for at, cell in enumerate(row)] for row in self.rows]
            path.write_bytes(orjson.dumps({"error": [], "result": {self.kraken: rows}}))
            return path
        text = "\n".join([*self.header, *(",".join(row) for row in self.rows)]) + "\n"
        if self.inner:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
                packed.writestr(self.inner, text)
        else:
            path.write_text(text)
        return path

    def copy(self) -> "Doc":
        """Return it with rows of its own."""
        return replace(self, rows=[list(row) for row in self.rows])

    def get(self, row: list[str], name: str) -> float:
        """Return a cell's number."""
        return float(row[self.columns[name]])

    def put(self, row: list[str], name: str, value: float | str) -> None:
        """Write a cell; Lean's prices are whole numbers."""
        whole = self.inner and "equity" in self.name and not isinstance(value, str)
        row[self.columns[name]] = value if isinstance(value, str) else str(round(value)) if whole else f"{value:.10g}"

    @property
    def prices(self) -> list[str]:
        """The names of its price columns."""
        return [name for name in PRICES if name in self.columns]


def _json(cell: str, at: int, columns: dict[str, int]) -> object:
    if at == columns["time"]:
        return float(cell) if "." in cell else int(cell)
    return int(cell) if at in (columns.get("trade_id"), columns.get("trade_count")) else cell


@dataclass(frozen=True)
class Injected:
    """What was done: any of `checks` must tell it, over at least `rows` rows (0: any number)."""

    checks: tuple[str, ...]
    rows: int = 0
    exact: bool = False


Defect = Callable[[Doc, random.Random], Injected | None]


def _some(doc: Doc, rng: random.Random, most: int = 8) -> list[int]:
    """Choose rows: some apart, or some in a row; never the first and last."""
    count = min(rng.randint(1, most), max(1, len(doc.rows) // 10))
    if rng.random() < 0.5:
        start = rng.randrange(1, len(doc.rows) - count - 1)
        return list(range(start, start + count))
    return sorted(rng.sample(range(1, len(doc.rows) - 1), count))


def dropped(doc: Doc, rng: random.Random) -> Injected | None:
    """Remove rows."""
    if "trade_id" in doc.columns or not ({"close", "bid_close"} & set(doc.columns)):
        return None
    chosen = _some(doc, rng, 25)
    doc.rows = [row for at, row in enumerate(doc.rows) if at not in set(chosen)]
    return Injected(("missing_bars", "hole", "silence", "truncated_day"), len(chosen))


def duplicated(doc: Doc, rng: random.Random) -> Injected | None:
    """Repeat rows where they stand."""
    if ("price" in doc.columns and "trade_id" not in doc.columns) or "bid_price" in doc.columns:
        return None
    chosen = _some(doc, rng)
    for at in reversed(chosen):
        doc.rows.insert(at + 1, list(doc.rows[at]))
    return Injected(("duplicate_rows",), len(chosen), exact=True)


def swapped(doc: Doc, rng: random.Random) -> Injected | None:
    """Swap high and low."""
    front = "" if "high" in doc.columns else rng.choice(("bid_", "ask_"))
    if f"{front}high" not in doc.columns:
        return None
    high, low = doc.columns[f"{front}high"], doc.columns[f"{front}low"]
    able = [at for at, row in enumerate(doc.rows) if row[high] and row[low] and float(row[high]) > float(row[low])]
    chosen = rng.sample(able, min(len(able), rng.randint(1, 8)))
    for at in chosen:
        row = doc.rows[at]
        row[high], row[low] = row[low], row[high]
    return Injected(("ohlc_bounds",), len(chosen), exact=True)


def scaled(doc: Doc, rng: random.Random) -> Injected | None:
    """Multiply prices of some rows by a power of ten."""
    factor = rng.choice((100.0, 10_000.0, 0.01))
    chosen = _some(doc, rng, 20)
    for at in chosen:
        for name in doc.prices:
            if doc.rows[at][doc.columns[name]] not in ("", "0"):
                doc.put(doc.rows[at], name, doc.get(doc.rows[at], name) * factor)
    return Injected(("unit_slip",), len(chosen))


def negative(doc: Doc, rng: random.Random) -> Injected | None:
    """Turn prices below zero."""
    chosen = _some(doc, rng)
    name = rng.choice(doc.prices)
    for at in chosen:
        value = doc.get(doc.rows[at], name) if doc.rows[at][doc.columns[name]] else 0.0
        doc.put(doc.rows[at], name, -(value or 100.0))
    return Injected(("non_positive_price",), len(chosen), exact=True)


def blanked(doc: Doc, rng: random.Random) -> Injected | None:
    """Empty cells, or write NaN."""
    if "bid_price" in doc.columns:
        return None
    chosen = _some(doc, rng)
    name = rng.choice([one for one in doc.prices if not one.endswith("high")] or doc.prices)
    word = rng.choice(("", "NaN", "nan", "null"))
    for at in chosen:
        doc.rows[at][doc.columns[name]] = word
    return Injected(("blank_values",), len(chosen), exact=True)


def garbage(doc: Doc, rng: random.Random) -> Injected | None:
    """Write words, or cut lines off."""
    if doc.kraken:
        return None
    chosen = _some(doc, rng, 4)
    for at in chosen:
        row = doc.rows[at]
        if rng.random() < 0.5:
            row[doc.columns[rng.choice(doc.prices)]] = rng.choice(("abc", "12,3x".replace(",", ""), "1.2.3", "#REF!"))
        else:
            del row[max(1, len(row) // 2) :]
    return Injected(("unreadable_rows",), len(chosen))


def shuffled(doc: Doc, rng: random.Random) -> Injected | None:
    """Mix the order of a stretch."""
    count = rng.randint(20, min(400, len(doc.rows)))
    start = rng.randrange(0, len(doc.rows) - count + 1)
    part = doc.rows[start : start + count]
    times = {row[doc.columns["time"]] for row in part}
    if len(times) < 10:
        return None
    rng.shuffle(part)
    doc.rows[start : start + count] = part
    return Injected(("unsorted_rows",), 1)


def turned(doc: Doc, rng: random.Random) -> Injected | None:
    """Turn the file around."""
    doc.rows.reverse()
    return Injected(("descending_order",), len(doc.rows))


def stale(doc: Doc, rng: random.Random) -> Injected | None:
    """Let the feed stand still: all but the time is that of the row before."""
    if "close" not in doc.columns or "volume" not in doc.columns or len(doc.rows) < 40:
        return None
    count = rng.randint(5, 30)
    able = [
        at
        for at, row in enumerate(doc.rows[: -count - 1])
        if doc.get(row, "high") > doc.get(row, "low") and doc.get(row, "volume") > 0
    ]
    start = rng.choice(able)
    for at in range(start + 1, start + count + 1):
        kept = doc.rows[at][doc.columns["time"]]
        doc.rows[at] = list(doc.rows[start])
        doc.rows[at][doc.columns["time"]] = kept
    return Injected(("stale_repeat",), count)


def copied(doc: Doc, rng: random.Random) -> Injected | None:
    """Write a stretch of bars again under later times."""
    if "close" not in doc.columns or "volume" not in doc.columns or len(doc.rows) < 200 or doc.kraken:
        return None
    count = rng.randint(20, 60)
    start = rng.randrange(0, len(doc.rows) - 2 * count - 1)
    to = rng.randrange(start + count, len(doc.rows) - count)
    for n in range(count):
        kept = doc.rows[to + n][doc.columns["time"]]
        doc.rows[to + n] = list(doc.rows[start + n])
        doc.rows[to + n][doc.columns["time"]] = kept
    return Injected(("repeated_block",), 5)


def moved(row: list[str], doc: Doc, seconds: int) -> None:
    """Move a row's time."""
    at = doc.columns["time"]
    if doc.clock == "ms":
        row[at] = str(int(float(row[at])) + seconds * 1000)
    elif doc.clock == "epoch":
        unit = 1000 if len(row[at]) == 13 else 1
        row[at] = str(int(row[at]) + seconds * unit) if "." not in row[at] else f"{float(row[at]) + seconds:.6f}"
    else:
        form = "%Y%m%d %H:%M" if doc.clock == "lean" else doc.clock
        time = datetime.strptime(row[at], form).replace(tzinfo=UTC) + timedelta(seconds=seconds)
        row[at] = time.strftime(form if "%H" in form else f"{form} %H:%M")


def shifted(doc: Doc, rng: random.Random) -> Injected | None:
    """Move all times by the hours between two zones."""
    if doc.clock == "epoch":  # one clock, and nothing beside it: no shift can be told
        return None
    hours = rng.choice((-8, -5, -4, 4, 5, 8, 9))
    for row in doc.rows:
        moved(row, doc, hours * 3600)
    return Injected(("clock_shift", "non_trading_day"), 1)


def truncated(doc: Doc, rng: random.Random) -> Injected | None:
    """Cut the end of a day off: at least an hour, of American stocks an hour of the session."""
    if doc.clock != "ms":
        return None
    last = 86_400_000 if "crypto" in doc.name else 57_600_000
    first = 0 if "crypto" in doc.name else 36_000_000
    cut = rng.randrange(first + 3_600_000, last - 3_600_000)
    kept = [row for row in doc.rows if int(float(row[0])) < cut]
    if len(kept) < 50:
        return None
    doc.rows = kept
    return Injected(("truncated_day",), 1)


def split(doc: Doc, rng: random.Random) -> Injected | None:
    """Multiply what was before a day by the ratio of a split that no factor file knows."""
    if doc.clock in ("ms", "epoch") or "close" not in doc.columns or "crypto" in doc.name or len(doc.rows) < 100:
        return None
    ratio, at = rng.choice((2, 3, 4, 7, 10)), rng.randrange(30, len(doc.rows) - 30)
    with_volume = rng.random() < 0.7
    for row in doc.rows[:at]:
        for name in doc.prices:
            doc.put(row, name, doc.get(row, name) * ratio)
        if with_volume and "volume" in doc.columns:
            doc.put(row, "volume", round(doc.get(row, "volume") / ratio))
    return Injected(("split_unadjusted",), 1)


def _crossable(doc: Doc, row: list[str], pairs: list[tuple[str, str]]) -> bool:
    cells = [(row[doc.columns[bid]], row[doc.columns[ask]]) for bid, ask in pairs]
    return cells[-1][0] != cells[-1][1] and all(cell not in ("", "0") for pair in cells for cell in pair)


def crossed(doc: Doc, rng: random.Random) -> Injected | None:
    """Exchange bids and asks."""
    pairs = [(name, name.replace("bid", "ask")) for name in doc.prices if name.startswith("bid")]
    able = [at for at, row in enumerate(doc.rows) if pairs and _crossable(doc, row, pairs)]
    if not able:
        return None
    chosen = rng.sample(able, min(len(able), rng.randint(1, 8)))
    for at in chosen:
        row = doc.rows[at]
        for bid, ask in pairs:
            row[doc.columns[bid]], row[doc.columns[ask]] = row[doc.columns[ask]], row[doc.columns[bid]]
    return Injected(("crossed_quotes",), len(chosen), exact=True)


def coarser(doc: Doc, rng: random.Random) -> Injected | None:
    """Join a stretch of bars to bars of five."""
    if not {*BARS, "volume"} <= set(doc.columns) or doc.clock not in ("ms", "epoch") or len(doc.rows) < 300:
        return None
    if "second" in doc.name or "spy" in doc.name:
        return None
    groups = rng.randint(10, 40)
    start = rng.randrange(10, len(doc.rows) - groups * 5 - 10)
    joined = [_joined(doc, doc.rows[start + 5 * n : start + 5 * n + 5]) for n in range(groups)]
    doc.rows[start : start + groups * 5] = joined
    return Injected(("mixed_granularity",), groups)


def added_hours(doc: Doc, rng: random.Random) -> Injected | None:
    """Put bars of an hour (a month of days) in the place of their first bar, which stand beside the others."""
    if not {*BARS, "volume"} <= set(doc.columns) or len(doc.rows) < 300 or "second" in doc.name:
        return None
    size = 60 if doc.clock in ("ms", "epoch") or "%H" in doc.clock else 21
    at = rng.randrange(1, len(doc.rows) - size - 1)
    bar = _joined(doc, doc.rows[at : at + size])
    if rng.random() < 0.5:
        doc.rows.insert(at, bar)
        return Injected(("conflicting_rows", "mixed_granularity"), 1)
    doc.rows[at] = bar
    if doc.get(bar, "high") == doc.get(bar, "low"):
        return None
    return Injected(("mixed_granularity",), 1)


def off_grid(doc: Doc, rng: random.Random) -> Injected | None:
    """Put rows of another clock's time among the others."""
    if "close" not in doc.columns or "%H" in doc.clock:
        return None
    chosen = _some(doc, rng, 5)
    seconds = rng.choice((7, 13, 29)) if doc.clock in ("ms", "epoch") else rng.choice((11 * 3600 + 34 * 60, 15 * 3600))
    if "second" in doc.name:
        return None
    for at in chosen:
        moved(doc.rows[at], doc, seconds)
    return Injected(("mixed_granularity",), len(chosen))


def time_of_day(doc: Doc, rng: random.Random) -> Injected | None:
    """Write a time of day where a date belongs."""
    if not doc.clock.startswith("%"):
        return None
    at = rng.randrange(0, len(doc.rows))
    doc.rows[at][doc.columns["time"]] = f"{rng.randrange(9, 16)}:{rng.randrange(10, 60)}"
    return Injected(("mixed_granularity",), 1)


def ids_missing(doc: Doc, rng: random.Random) -> Injected | None:
    """Remove trades."""
    if "trade_id" not in doc.columns:
        return None
    chosen = _some(doc, rng, 20)
    doc.rows = [row for at, row in enumerate(doc.rows) if at not in set(chosen)]
    return Injected(("id_gap",), len(chosen), exact=True)


def below_zero_volume(doc: Doc, rng: random.Random) -> Injected | None:
    """Turn volumes below zero."""
    name = next((one for one in ("volume", "quantity") if one in doc.columns), None)
    if name is None:
        return None
    chosen = [at for at in _some(doc, rng) if doc.get(doc.rows[at], name) > 0]
    for at in chosen:
        doc.put(doc.rows[at], name, -doc.get(doc.rows[at], name))
    return Injected(("negative_volume",), len(chosen), exact=True) if chosen else None


def other_day(doc: Doc, rng: random.Random) -> Injected | None:
    """Put another day's file under this name, with that day's file beside it or its name inside."""
    if doc.clock != "ms" or not doc.inner:
        return None
    day = doc.inner[:8]
    other = f"{int(day) + 1:08d}"
    doc.inner = doc.inner.replace(day, other)
    return Injected(("wrong_day",), len(doc.rows), exact=True)


def _joined(doc: Doc, rows: list[list[str]]) -> list[str]:
    bar = list(rows[0])
    doc.put(bar, "high", max(doc.get(row, "high") for row in rows))
    doc.put(bar, "low", min(doc.get(row, "low") for row in rows))
    bar[doc.columns["close"]] = rows[-1][doc.columns["close"]]
    doc.put(bar, "volume", sum(doc.get(row, "volume") for row in rows))
    return bar


def thinned(doc: Doc, rng: random.Random) -> Injected | None:
    """Remove a fifth of all bars, here and there."""
    if not ({"close", "bid_close"} & set(doc.columns)) or "second" in doc.name or "spy__2013" in doc.name:
        return None
    kept = [row for at, row in enumerate(doc.rows) if at in (0, len(doc.rows) - 1) or rng.random() > 0.2]
    gone = len(doc.rows) - len(kept)
    doc.rows = kept
    return Injected(("missing_bars", "hole"), gone)


def appended(doc: Doc, rng: random.Random) -> Injected | None:
    """Write a stretch again at the end."""
    count = rng.randint(10, 50)
    start = rng.randrange(0, len(doc.rows) - count - 50)
    doc.rows += [list(row) for row in doc.rows[start : start + count]]
    return Injected(("duplicate_rows", "unsorted_rows"), count)


def scaled_stretch(doc: Doc, rng: random.Random) -> Injected | None:
    """Write all before a row in another unit."""
    at = rng.randrange(20, len(doc.rows) // 2 - 10)
    factor = rng.choice((100.0, 1000.0, 0.01))
    for row in doc.rows[:at]:
        for name in doc.prices:
            if row[doc.columns[name]] not in ("", "0"):
                doc.put(row, name, doc.get(row, name) * factor)
    return Injected(("unit_slip",), at)


def scaled_cell(doc: Doc, rng: random.Random) -> Injected | None:
    """Write one price of a row a hundred times too large."""
    row = doc.rows[rng.randrange(1, len(doc.rows) - 1)]
    name = rng.choice(doc.prices)
    if row[doc.columns[name]] in ("", "0"):
        return None
    doc.put(row, name, doc.get(row, name) * 100)
    return Injected(("unit_slip", "ohlc_bounds", "crossed_quotes"), 1)


def an_hour_off(doc: Doc, rng: random.Random) -> Injected | None:
    """Move all times by the hour of summer time."""
    if doc.clock == "epoch":
        return None
    hours = rng.choice((-1, 1))
    for row in doc.rows:
        moved(row, doc, hours * 3600)
    return Injected(("clock_shift", "non_trading_day"), 1)


PART_OFF = ("clock_shift", "unsorted_rows", "hole", "silence", "mixed_granularity", "truncated_day", "conflicting_rows")


def part_off(doc: Doc, rng: random.Random) -> Injected | None:
    """Move the times of the later part."""
    if doc.kraken or (doc.clock.startswith("%") and "%H" not in doc.clock):
        return None
    at, hours = rng.randrange(len(doc.rows) // 3, 2 * len(doc.rows) // 3), rng.choice((-5, -1, 1, 5))
    for row in doc.rows[at:]:
        moved(row, doc, hours * 3600)
    return Injected(PART_OFF)


def still_quotes(doc: Doc, rng: random.Random) -> Injected | None:
    """Let quotes stand still."""
    if "bid_close" not in doc.columns:
        return None
    count = rng.randint(16, 60)
    start = rng.randrange(1, len(doc.rows) - count - 1)
    for at in range(start + 1, start + count + 1):
        doc.rows[at] = [doc.rows[at][0], *doc.rows[start][1:]]
    return Injected(("stale_repeat",), count)


def blank_row(doc: Doc, rng: random.Random) -> Injected | None:
    """Leave all cells of a row but the time empty."""
    if "close" not in doc.columns or doc.kraken:
        return None
    chosen = _some(doc, rng, 4)
    for at in chosen:
        doc.rows[at] = [cell if n == doc.columns["time"] else "" for n, cell in enumerate(doc.rows[at])]
    return Injected(("blank_values", "unreadable_rows"), len(chosen))


def filled(doc: Doc, rng: random.Random) -> Injected | None:
    """Fill a stretch with the last price, without volume."""
    if "volume" not in doc.columns or "close" not in doc.columns or doc.kraken or len(doc.rows) < 250:
        return None
    count = rng.randint(6, 12)
    start = rng.randrange(1, len(doc.rows) - count - 1)
    close = doc.rows[start][doc.columns["close"]]
    for at in range(start + 1, start + count + 1):
        for name in BARS:
            doc.rows[at][doc.columns[name]] = close
        doc.rows[at][doc.columns["volume"]] = "0"
    return Injected(("stale_repeat",), count)


DEFECTS: tuple[Defect, ...] = (
    dropped, duplicated, swapped, scaled, negative, blanked, garbage, shuffled, turned, stale, copied, shifted,
    truncated, split, crossed, coarser, added_hours, off_grid, time_of_day, ids_missing, below_zero_volume, other_day,
    thinned, appended, scaled_stretch, scaled_cell, an_hour_off, part_off, still_quotes, blank_row, filled,
)  # fmt: skip

LEAN_BAR = {name: at for at, name in enumerate(("time", *BARS, "volume"))}
_SIDES = [f"{side}_{name}" for side in ("bid", "ask") for name in (*BARS, "quantity")]
LEAN_QUOTE = {name: at for at, name in enumerate(["time", *_SIDES])}
LEAN_TRADE = {"time": 0, "price": 1, "quantity": 2}


def recordings() -> Iterator[Doc]:
    """Yield the clean files of the shared recordings."""
    lean = DATA / "crypto_ohlcv" / "QuantConnect+Lean"
    for day in ("20180405", "20180406"):
        yield _lean(lean / f"crypto__coinbase__minute__btcusd__{day}_trade.zip", LEAN_BAR, "ms")
    for day in ("20180404", "20180405"):
        yield _lean(lean / f"crypto__coinbase__minute__btcusd__{day}_quote.zip", LEAN_QUOTE, "ms")
    yield _lean(lean / "crypto__coinbase__second__btcusd__20161007_trade.zip", LEAN_BAR, "ms")
    lean = DATA / "equities" / "QuantConnect+Lean"
    for symbol in ("aapl", "bac", "spy"):
        yield _lean(lean / f"equity__usa__daily__{symbol}.zip", LEAN_BAR, "lean")
    for day in ("20131004", "20131007"):
        yield _lean(lean / f"equity__usa__minute__spy__{day}_trade.zip", LEAN_BAR, "ms")
        yield _lean(lean / f"equity__usa__minute__spy__{day}_quote.zip", LEAN_QUOTE, "ms")
    yield _lean(lean / "equity__usa__tick__ibm__20131007_trade.zip", LEAN_TRADE, "ms")
    plotly, skender = DATA / "equities" / "plotly+datasets", DATA / "reference" / "DaveSkender+Stock.Indicators"
    yield _csv(plotly / "finance-charts-apple.csv", "Date", "AAPL.", "%Y-%m-%d", str.title)
    yield _csv(DATA / "equities/quantopian+zipline/tests__resources__pipeline_inputs__AAPL.csv", "day", "", "%Y-%m-%d")
    front = "tests__indicators___testdata__quotes__"
    yield _csv(skender / f"{front}default.csv", "date", "", "%Y-%m-%d")
    yield _csv(skender / f"{front}compare.csv", "date", "", "%Y-%m-%d")
    yield _csv(skender / f"{front}intraday.csv", "date", "", "%Y-%m-%d %H:%M")
    kraken = DATA / "crypto_rest" / "nautechsystems+nautilus_trader"
    for what, columns in (
        ("ohlc", {"time": 0, "open": 1, "high": 2, "low": 3, "close": 4, "volume": 6, "trade_count": 7}),
        ("trades", {"price": 0, "quantity": 1, "time": 2, "trade_id": 6}),
    ):
        path = kraken / f"crates__adapters__kraken__test_data__http_{what}.json"
        rows = orjson.loads(path.read_bytes())["result"]["XBTUSDT"]
        texts = [[f"{cell:.6f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
        yield Doc(path.name, texts, columns, "epoch", kraken="XBTUSDT")


def _lean(path: Path, columns: dict[str, int], clock: str) -> Doc:
    with zipfile.ZipFile(path) as packed:
        inner = packed.namelist()[0]
        rows = [line.split(",") for line in packed.read(inner).decode().split()] if clock == "ms" else [
            line.split(",") for line in packed.read(inner).decode().splitlines()
        ]  # fmt: skip
    return Doc(path.name, rows, columns, clock, inner=inner)


def _csv(path: Path, time: str, front: str, clock: str, case: Callable[[str], str] = str) -> Doc:
    lines = path.read_text("utf-8-sig").splitlines()
    header = lines[0].split(",")
    columns = {name: header.index(front + case(name)) for name in (*BARS, "volume")} | {"time": header.index(time)}
    return Doc(path.name, [line.split(",") for line in lines[1:]], columns, clock, header=[lines[0]])


def generated(seed: int) -> Iterator[Doc]:
    """Yield clean files of every kind that nobody recorded, for a fresh clone."""
    rng = random.Random(seed)
    yield Doc(
        "crypto__coinbase__minute__ethusd__20210304_trade.zip",
        [[str(at * 60_000), *bar] for at, bar in enumerate(_walk(rng, 1440, 1500.0, 0.0006, 2))],
        LEAN_BAR, "ms", inner="20210304_ethusd_minute_trade.csv",
    )  # fmt: skip
    quotes = []
    for at, (first, high, low, last, size) in enumerate(_walk(rng, 1440, 1500.0, 0.0006, 2)):
        asks = [f"{float(price) + 0.07:.2f}" for price in (first, high, low, last)]
        quotes.append([str(at * 60_000), first, high, low, last, size, *asks, f"{float(size) * 1.7:.8f}"])
    name = "crypto__coinbase__minute__ethusd__20210304_quote.zip"
    yield Doc(name, quotes, LEAN_QUOTE, "ms", inner="20210304_ethusd_minute_quote.csv")
    open_days = sessions(date(2015, 1, 2), date(2018, 12, 31))["day"].to_list()
    rows = []
    for day, bar in zip(open_days, _walk(rng, len(open_days), 80.0, 0.012, 2, 3_000_000), strict=True):
        rows.append([f"{day:%Y%m%d} 00:00", *(str(round(float(price) * 10_000)) for price in bar[:4]), bar[4]])
    yield Doc("equity__usa__daily__zzz.zip", rows, LEAN_BAR, "lean", inner="zzz.csv")
    bars = _walk(rng, len(open_days), 80.0, 0.012, 2, 3_000_000)
    rows = [[f"{day}", *bar] for day, bar in zip(open_days, bars, strict=True)]
    yield Doc("zzz.csv", rows, LEAN_BAR, "%Y-%m-%d", header=["Date,Open,High,Low,Close,Volume"])
    time, price, trades = 1_600_000_000_000.0, 400.0, []
    for number in range(900):
        time, price = time + rng.expovariate(1 / 700), price * (1 + rng.gauss(0, 0.0001))
        trades.append([str(5_000 + number), f"{price:.2f}", f"{rng.lognormvariate(0, 1):.6f}", str(int(time))])
    columns = {"trade_id": 0, "price": 1, "quantity": 2, "time": 3}
    yield Doc("trades.csv", trades, columns, "epoch", header=["id,price,qty,time"])


def _walk(
    rng: random.Random, count: int, price: float, step: float, digits: int, volume: float = 0
) -> Iterator[list[str]]:
    """Yield open, high, low, close and volume of bars that follow each other."""
    for _ in range(count):
        moves = [price]
        for _ in range(6):
            moves.append(moves[-1] * (1 + rng.gauss(0, step)))
        price = moves[-1]
        size = rng.lognormvariate(0, 0.25 if volume else 0.8)
        told = f"{round(volume * size)}" if volume else f"{size * 7:.8f}"
        yield [f"{one:.{digits}f}" for one in (moves[0], max(moves), min(moves), moves[-1])] + [told]
