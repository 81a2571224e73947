"""From paths to the parts of an import."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from contracts.errors import TerminalError
from contracts.imports import FILE, LEAN
from sources.events import Accepted
from sources.fields import Fault
from sources.history import generic
from sources.history.columns import mapped
from sources.history.lean import AT_LEAST, COLUMNS, IN_WHOLE_UNITS, instrument_of
from sources.history.lean_names import WIDTHS_S, LeanName, lean_name
from sources.importing import content, parquet
from sources.importing.forms import form_of
from sources.importing.layout import DAY_MS, TEXT, Layout, TimeForm
from sources.importing.names import names_of
from sources.importing.parse import cells
from sources.importing.part import Part
from sources.importing.rows import Line, always, readers

ENDINGS = (".csv", ".zip", ".gz", ".zst", ".parquet", ".txt", ".tsv")
_NEEDED = {
    "bars": ("time", "open", "high", "low", "close"),
    "trades": ("time", "price", "quantity"),
    "quotes": ("time", "bid_price", "ask_price"),
}
_REFERENCE = {
    "factors": ("time", "price_factor", "split_factor", "reference_price"),
    "maps": ("time", "ticker", "exchange"),
}
_REASONS = 5


@dataclass(frozen=True)
class Wish:
    """What the user says of the files; empty: what their names and columns tell."""

    venue: str = ""
    instrument: str = ""
    kind: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    zone: str = "UTC"
    width_s: int = 0
    space: str = ""
    maps: Path | None = None


def found_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files named, and those of a known ending in the folders named, in the order of their names."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(one for one in path.rglob("*") if one.is_file() and one.name.lower().endswith(ENDINGS))
        elif path.is_file():
            found.append(path)
        else:
            raise TerminalError(f"{path} is neither a file nor a folder")
    if not found:
        raise TerminalError(f"no files to import there; their names end in {', '.join(ENDINGS)}")
    return list(dict.fromkeys(found))


def plan(path: Path, wish: Wish) -> list[Part]:
    """Look through a file and return its parts. TerminalError says what is missing where they can't be told."""
    name = None if wish.kind or wish.columns else lean_name(path)
    parts = list(_lean(path, name, wish) if name else _table(path, wish))
    for part in parts:
        if part.sampled and part.unread * 2 > part.sampled:
            raise TerminalError(
                f"{path}: {part.unread} of {part.sampled} lines looked at can't be read as {part.layout.kind} "
                f"({'; '.join(part.reasons[:2])}); say what the columns are with --as and --columns"
            )
    return parts


def _lean(path: Path, name: LeanName, wish: Wish) -> Iterator[Part]:
    kind = name.kind
    if kind not in (*COLUMNS, *_REFERENCE) or kind == "open_interest":
        raise TerminalError(f"{path} holds {kind}, which nothing stores yet; bars, quotes, trades and factors are")
    digest = content.file_hash(path)
    for member in content.members(path):
        layout = _lean_layout(path, name, member, wish)
        lines = partial(content.lines_of, path, member)
        yield _surveyed(Part(path.name, digest, layout, 0, lines, 0, member), content.survey(lines()))


def _lean_layout(path: Path, name: LeanName, member: str, wish: Wish) -> Layout:
    kind, width_s = name.kind, WIDTHS_S.get(name.resolution, 0)
    whole = name.security in IN_WHOLE_UNITS
    reference = _REFERENCE.get(kind)
    if name.day is not None:
        time = TimeForm(DAY_MS, name.day.isoformat(), name.zone)
    else:
        zone = "UTC" if reference or name.resolution == "daily" else name.zone
        time = TimeForm(TEXT, "", zone, ("%Y%m%d %H:%M", "%Y%m%d"))
    series = {"trades": "trade", "quotes": "quote"}.get(kind, f"bars_{label(width_s)}")
    columns = reference or ("time", *COLUMNS[kind])
    return Layout(
        kind=kind,
        venue=wish.venue or name.market,
        space=wish.space or f"{LEAN}.{'actions' if reference else series}",
        content="",
        columns=columns,
        time=time,
        names=always(wish.instrument) if wish.instrument else _lean_names(path, name, member, wish),
        fewest=len(columns) - 1 if reference else AT_LEAST.get(kind, 0) if whole else 0,
        scale=1 if whole or reference else 10_000,
        width_s=width_s,
    )


def _lean_names(path: Path, name: LeanName, member: str, wish: Wish) -> tuple[tuple[str, str, str], ...]:
    if name.security == "equity":
        return names_of(path, name, wish.maps) or always(name.symbol.upper())
    return always(instrument_of(name, member) if member else name.symbol.upper())


def _table(path: Path, wish: Wish) -> Iterator[Part]:
    digest = content.file_hash(path)
    if parquet.is_parquet(path):
        header, separator, skip = parquet.names(path), ",", 0
        kind, columns = mapped(header, wish.kind, wish.columns)
        chosen = [theirs for theirs in header if theirs in columns.values()]
        lines = partial(parquet.lines, path, tuple(chosen))
        surveyed = content.survey(lines())
        yield _tabled(path, digest, wish, kind, columns, chosen, separator, skip, "", lines, surveyed)
        return
    for member in content.members(path):
        lines = partial(content.lines_of, path, member)
        surveyed = content.survey(lines())
        first = "\n".join(line.decode("utf-8", "replace") for _, line in surveyed.sample[:5])
        top = generic.heading(first, bool(wish.columns))
        if top is None:
            raise _untold(path)
        kind, columns = mapped(top.names, wish.kind, wish.columns)
        yield _tabled(path, digest, wish, kind, columns, top.names, top.separator, top.skip, member, lines, surveyed)


def _tabled(
    path: Path,
    digest: str,
    wish: Wish,
    kind: str,
    columns: Mapping[str, str],
    header: Sequence[str],
    separator: str,
    skip: int,
    member: str,
    lines: content.Lines,
    surveyed: content.Surveyed,
) -> Part:
    if not kind:
        raise _untold(path)
    if kind not in _NEEDED:
        raise TerminalError(f"{path} holds {kind}, which nothing imports yet; valid: {', '.join(_NEEDED)}")
    missing = [one for one in _NEEDED[kind] if one not in columns]
    if missing:
        raise TerminalError(
            f"{path} tells no {', '.join(missing)}, without which there are no {kind}; name them with --columns "
            f"{missing[0]}=..., or what it holds instead with --as; it has {', '.join(header)}"
        )
    ours = {theirs: one for one, theirs in columns.items()}
    names = tuple(ours.get(theirs, "buyer_maker" if theirs == "buyer_maker" else "") for theirs in header)
    if not wish.venue:
        raise TerminalError(f"nothing says where {path.name} was traded; name it with --venue")
    instrument = wish.instrument or ("" if "instrument" in columns else generic.named_by(path, columns))
    layout = Layout(
        kind=kind,
        venue=wish.venue,
        space=wish.space,
        content=surveyed.content,
        columns=names,
        time=TimeForm(TEXT, "", wish.zone),
        names=always(instrument) if instrument else (),
        separator=separator,
    )
    times = [cell for line in surveyed.sample if line[0] > skip and (cell := _time_cell(layout, line[1]))]
    layout = replace(layout, time=form_of(path, times, wish.zone))
    if kind == "bars":
        width_s = wish.width_s or _usual_step(layout, surveyed.sample, skip)
        if not width_s:
            raise TerminalError(f"{path}: nothing tells how long its bars are; say so with --width, in seconds")
        layout = replace(layout, width_s=width_s, space=layout.space or f"{FILE}.bars_{label(width_s)}")
    elif not layout.space:
        told = "trade" if "trade_id" in columns else "trade_row"
        layout = replace(layout, space=f"{FILE}.{'quote' if kind == 'quotes' else told}")
    return _surveyed(Part(path.name, digest, layout, 0, lines, skip, member), surveyed)


def _untold(path: Path) -> TerminalError:
    return TerminalError(
        f"nothing tells what {path} holds; name it with --as bars|trades|quotes and --columns time=DATE,open=OPEN,..."
    )


def _time_cell(layout: Layout, raw: bytes) -> str:
    try:
        return cells(layout, raw).get("time", "")
    except Fault:
        return ""


def _surveyed(part: Part, surveyed: content.Surveyed) -> Part:
    """Fill in what the sample tells: how many of its lines are rows, and from when to when."""
    layout = replace(part.layout, content=surveyed.content)
    read = readers(layout)
    times, reasons, sampled = [], Counter[str](), 0
    for number, raw in surveyed.sample:
        if number <= part.skip or not raw.strip():
            continue
        sampled += 1
        try:
            rows = read(Line(number, cells(layout, raw)))
        except Fault as fault:
            reasons[f"line {number}: {fault.detail}"] += 1
        else:
            times += [_row_time(row) for row in rows]
    return replace(
        part,
        layout=layout,
        lines=max(surveyed.lines - part.skip, 0),
        first_time=min(times, default=0),
        last_time=max(times, default=0),
        sampled=sampled,
        unread=reasons.total(),
        reasons=tuple(list(reasons)[:_REASONS]),
    )


def _row_time(event: Accepted) -> int:
    found: Any = event.row.get("bar_time", event.row["event_time"])
    return int(found)


def _usual_step(layout: Layout, sample: Sequence[tuple[int, bytes]], skip: int) -> int:
    """Return the commonest time from one line to the next, in seconds; 0 where there is none."""
    read = readers(replace(layout, width_s=1))
    times = []
    for number, raw in sample:
        if number <= skip or not raw.strip():
            continue
        try:
            times.append((number, _row_time(read(Line(number, cells(layout, raw)))[0])))
        except Fault:
            continue
    steps = Counter(
        abs(later - earlier) // 1_000_000 for (one, earlier), (other, later) in pairwise(times) if other == one + 1
    )
    steps.pop(0, None)
    return steps.most_common(1)[0][0] if steps else 0


def label(width_s: int) -> str:
    """Name a bar's width as 1s, 5m, 1h, 1d."""
    for seconds, letter in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if width_s and width_s % seconds == 0:
            return f"{width_s // seconds}{letter}"
    return f"{width_s}s"
