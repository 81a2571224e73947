"""W4: a day rebuilt from the lake's tape, and its bars from stored trades, beside others on the same Parquet."""

import json
import shutil
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake

from benchmarks.environments import OURS, environment_of
from benchmarks.events import (
    CONNECTION,
    ENDPOINT,
    ID_SPACE,
    PRICE_DIGITS,
    QUANTITY_DIGITS,
    SIDES,
    TRADES_A_MESSAGE,
    VENUE,
    Events,
    Shape,
    make_events,
)
from benchmarks.measure import Watch
from benchmarks.messages import payloads
from benchmarks.oracle import Bar, Bars, Oracle, as_bar, right_answer
from benchmarks.peers.rounds import Job
from benchmarks.platform import Platform
from benchmarks.script import Progress, Script, ScriptFailedError
from benchmarks.statistics import Result, Round
from contracts.bars import BARS
from contracts.dataset import Decimal as DecimalType
from contracts.tape import TAPE
from contracts.trades import PRICE, QUANTITY, TRADES
from orchestration.settings import BARS_QUERY
from spark.bars import refresh
from spark.comparison import Scratch
from stores import lake
from stores.arrow import arrow_schema
from stores.settings import LakeSettings
from stores.warehouse import Warehouse

TAPE_WORKLOAD, BARS_WORKLOAD = "W4 tape", "W4 bars"
DEADLINE_S = 1800.0
ROWS_AN_INSERT = 500_000
SCRATCH = "bench"
# Script, system, environment, what is said of it.
TAPE_SYSTEM = (
    "w4_tape_ours",
    "tapehouse",
    OURS,
    "parsed, judged, each trade once, stored in the warehouse, bars made; CPU and memory include the comparison with "
    "what was streamed",
)
BARS_SYSTEMS = (
    ("w4_bars_ours", "tapehouse", OURS, "the query that the streams use, from the warehouse's table to its table"),
    ("w4_bars_polars", "polars", OURS, "streaming engine, from Parquet, 128-bit whole numbers"),
    ("w4_bars_duckdb", "DuckDB", "duckdb", "from Parquet, DECIMAL(38, 24) for the notional"),
)


def run_w4(platform: Platform, counts: list[int], rounds: int, progress: Progress) -> list[Result]:
    """Rebuild days of several sizes; the largest is the result, the others tell whether memory grows."""
    found: list[Result] = []
    peaks: dict[tuple[str, str], dict[int, float]] = {}
    for count in sorted(counts):
        events = make_events(Shape(count))
        oracle = right_answer(events)
        found = _day(platform, events, oracle, rounds, progress)
        for result in found:
            if result.rounds:
                peaks.setdefault((result.workload, result.system), {})[count] = round(result.peak_mb)
    return [_with_peaks(result, peaks.get((result.workload, result.system), {})) for result in found]


def _with_peaks(result: Result, peaks: dict[int, float]) -> Result:
    told = ", ".join(f"{peak:,.0f} MiB at {count:,} trades" for count, peak in peaks.items())
    details = {**result.details, "peak_mb_by_trades": peaks}
    values = {**vars(result), "note": f"{result.note}; most memory {told}" if told else result.note, "details": details}
    return Result(**values)


def _day(platform: Platform, events: Events, oracle: Oracle, rounds: int, progress: Progress) -> list[Result]:
    settings = platform.settings
    folder = settings.data_dir / "bench"
    folder.mkdir(exist_ok=True)
    trades, out = folder / "trades.parquet", folder / "bars.json"
    day = datetime.fromtimestamp(events.shape.start / 1_000_000, UTC).date()
    progress.now(f"{TAPE_WORKLOAD}: writing {len(events):,} trades to the lake")
    write_tape(settings.lake, events)
    write_trades(events, trades)
    store_day(Warehouse(settings.warehouse), trades, oracle)
    scratch = Scratch.of(day, SCRATCH)
    more = {
        "data_dir": str(settings.data_dir),
        "port_offset": settings.port_offset,
        "day": day.isoformat(),
        "scratch": SCRATCH,
        "trades": str(trades),
        "out": str(out),
    }
    script, system, environment, note = TAPE_SYSTEM
    warehouse = Warehouse(settings.warehouse)
    results = [
        _measured(
            (TAPE_WORKLOAD, "delta, JSON payloads", script, system, environment, note),
            (platform, more, len(events), rounds, progress),
            oracle,
            lambda: _scratch_bars(warehouse, scratch, day),
        )
    ]
    once = int((~events.closing).sum()) - int(events.shape.count * events.shape.repeated)
    for script, system, environment, note in BARS_SYSTEMS:
        ours = system == "tapehouse"
        results.append(
            _measured(
                (BARS_WORKLOAD, "table" if ours else "parquet", script, system, environment, note),
                (platform, more, once, rounds, progress),
                oracle,
                (lambda: _scratch_bars(warehouse, scratch, day)) if ours else (lambda: read_bars(out)),
            )
        )
    scratch.drop(warehouse)
    shutil.rmtree(folder)
    return results


def _measured(
    what: tuple[str, str, str, str, str, str],
    given: tuple[Platform, dict[str, Any], int, int, Progress],
    oracle: Oracle,
    answer: Any,
) -> Result:
    workload, form, script, system, name, note = what
    platform, more, count, rounds, progress = given
    environment = environment_of(name)
    if environment.missing:
        return Result(workload, system, form, absent=environment.missing, note=note)
    settings = platform.settings
    job = Job(script, settings.broker.bootstrap, "", "", {0: count}, 2, platform.peer_port, more)
    running = Script(f"benchmarks.peers.{script}", environment, job)
    done: list[Round] = []
    absent = ""
    roots = [running.process] + ([platform.process("warehouse")] if system == "tapehouse" else [])
    try:
        for number in range(rounds + 1):
            progress.now(f"{workload} {system}: {'warm-up' if number == 0 else f'round {number}'}")
            with Watch(roots, [platform.process("kafka")]) as watch:
                told = running.round(number, DEADLINE_S)
            seconds = told.pop("ended") - told.pop("began")
            verdict = oracle.verdict(answer())
            one = Round(
                count, seconds, watch.cpu_s, watch.apart_cpu_s, watch.peak_mb, verdict.correct, verdict.note, told
            )
            progress.done(f"{workload} {system} {number or 'warm-up'}: {count / seconds:,.0f}/s, {one.note}")
            if number:
                done.append(one)
    except ScriptFailedError as error:
        absent = str(error)
        progress.done(f"{workload} {system}: {error}")
    finally:
        running.close()
    details = done[-1].details if done else {}
    return Result(workload, system, form, rounds=tuple(done), absent=absent, note=note, details=details)


def write_tape(settings: LakeSettings, events: Events) -> None:
    """Make the lake's tape anew, as the archive would have left it."""
    shutil.rmtree(lake.tape_path(settings), ignore_errors=True)
    lake.ensure_tape(settings)
    for table in _tape(events):
        write_deltalake(lake.tape_path(settings), table, mode="append", partition_by=["venue", lake.RECEIVED_DATE])


def _tape(events: Events) -> Iterator[pa.Table]:
    received = pl.Series("received_time", events.received_time[::TRADES_A_MESSAGE])
    written = 0
    for some in payloads(events):
        number = pl.int_range(written, written + len(some), eager=True)
        frame = pl.DataFrame({"payload": some, "received_time": received.slice(written, len(some))}).with_columns(
            venue=pl.lit(VENUE),
            endpoint=pl.lit(ENDPOINT),
            connection_id=pl.lit(CONNECTION),
            message_number=number + 1,
            request=pl.lit(""),
            ingested_time=pl.col("received_time"),
            topic_id=pl.lit("bench"),
            kafka_partition=pl.lit(0),
            kafka_offset=number,
            received_date=pl.from_epoch("received_time", "us").dt.date(),
        )
        schema = arrow_schema(TAPE.columns).append(pa.field(lake.RECEIVED_DATE, pa.date32()))
        yield frame.select(schema.names).to_arrow().cast(schema)
        written += len(some)


def write_trades(events: Events, path: Path) -> None:
    """Write the trades as the table holds them: each once, exact decimals, in the order of the table."""
    names = pl.Series(events.names)
    once = (
        events.frame()
        .filter(pl.Series(~events.closing))
        .unique(["instrument", "sequence"], keep="first", maintain_order=True)
        .sort("instrument", "sequence")
    )
    once.select(
        venue=pl.lit(VENUE),
        instrument=names.gather(once["instrument"]),
        id_space=pl.lit(ID_SPACE),
        trade_id=pl.col("sequence").cast(pl.String),
        venue_sequence="sequence",
        price=_exact("price", PRICE_DIGITS, PRICE),
        quantity=_exact("quantity", QUANTITY_DIGITS, QUANTITY),
        side=pl.Series(SIDES).gather(once["side"]),
        trade_count=pl.lit(1, pl.Int64),
        event_time=pl.from_epoch("event_time", "us").dt.replace_time_zone("UTC"),
        received_time=pl.from_epoch("received_time", "us").dt.replace_time_zone("UTC"),
    ).write_parquet(path, row_group_size=200_000)
    assert set(pl.read_parquet_schema(path)) <= set(TRADES.column_index)


def store_day(warehouse: Warehouse, trades: Path, oracle: Oracle) -> None:
    """Fill the tables as if the day had been streamed: a rebuild ends with the comparison with it."""
    for dataset in (TRADES, BARS):
        warehouse.run(f"TRUNCATE TABLE {dataset.table}")
    for number, batch in enumerate(pq.ParquetFile(trades).iter_batches(ROWS_AN_INSERT)):
        frame = pl.DataFrame(pl.from_arrow(batch)).with_columns(
            connection_id=pl.lit(CONNECTION),
            message_number=pl.lit(1, pl.Int64),
            message_index=pl.lit(0, pl.Int32),
            ingested_time=pl.col("received_time"),
            topic_id=pl.lit("bench"),
            kafka_partition=pl.lit(0, pl.Int32),
            kafka_offset=pl.lit(0, pl.Int64),
            kafka_index=pl.lit(0, pl.Int32),
            displaced_count=pl.lit(0, pl.Int32),
            displaced_hash=pl.lit(0, pl.UInt64),
        )
        names = [column.name for column in TRADES.columns]
        table = frame.select(names).to_arrow().cast(arrow_schema(TRADES.columns))
        warehouse.insert(TRADES.table, table, token=f"bench:{uuid.uuid4().hex}:{number}")
    minutes = [((VENUE, name, ID_SPACE, minute), "final") for name, minute in oracle.exact]
    refresh(warehouse, BARS_QUERY.read_text(), minutes, known_time=0)


def _exact(column: str, digits: int, kind: DecimalType) -> pl.Expr:
    whole = pl.col(column).cast(pl.Int128) * 10 ** (kind.scale - digits)
    exact: pl.Expr = whole.reinterpret(dtype=pl.Decimal(38, kind.scale)).cast(pl.Decimal(kind.precision, kind.scale))
    return exact


def _scratch_bars(warehouse: Warehouse, scratch: Scratch, day: date) -> Bars:
    names = ", ".join(f"toString({name})" for name in Bar._fields)
    found = warehouse.rows(
        f"SELECT instrument, toUnixTimestamp64Micro(bar_time), {names} FROM {scratch.table(BARS)} FINAL "
        f"WHERE toDate(bar_time) = '{day}'"
    )
    return {(str(row[0]), int(row[1])): as_bar(dict(zip(Bar._fields, row[2:], strict=True))) for row in found}


def read_bars(path: Path) -> Bars:
    """Return the bars that a script wrote, a line of JSON each."""
    lines = (json.loads(line, parse_float=Decimal) for line in path.read_bytes().splitlines())
    return {(told["instrument"], told["minute"]): as_bar(told) for told in lines}
