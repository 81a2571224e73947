"""Real recorded trades, re-dated so that tests do not meet, and played through the whole road."""

import base64
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pyspark.sql import SparkSession

from deploy import stack
from orchestration.settings import BARS_QUERY
from sources.demo import TAPES
from sources.derive import derive
from sources.tape_file import TapeRecord, TapeWriter, read_tape
from spark.comparison import Comparison, Scratch
from spark.rebuild import rebuild_day
from stores.warehouse import Warehouse

DAYS = itertools.count()
FIRST_DAY = date(2023, 1, 1)
STREAM = "btcusdt@trade"


@dataclass
class Road:
    """Tapes of a day of its own, and what became of them."""

    platform: Any
    folder: Path
    day: date
    number: int
    spark: SparkSession
    wait: Any

    @property
    def start(self) -> int:
        """The day's first microsecond."""
        return int(datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC).timestamp()) * 1_000_000

    @property
    def first_id(self) -> int:
        return (self.number + 1) * 10_000_000

    def trade(self, place: int, **changes: object) -> bytes:
        """Make a trade message as the venue sends it, the `place`-th of the day, one every 20 ms."""
        time_ms = self.start // 1000 + place * 20
        data: dict[str, object] = {
            "e": "trade", "E": time_ms + 1, "s": "BTCUSDT", "t": self.first_id + place, "p": "61837.63000000",
            "q": "0.02000000", "T": time_ms, "m": True, "M": True,
        }  # fmt: skip
        return orjson.dumps({"stream": STREAM, "data": {**data, **changes}})

    def records(self, count: int) -> list[TapeRecord]:
        """Re-date recorded spot trades: prices, sizes and sides as recorded, ids and times of this day."""
        found: list[TapeRecord] = []
        for record in read_tape(TAPES["binance"]):
            message = orjson.loads(record.payload)
            if record.endpoint != "spot" or message.get("stream") != STREAM:
                continue
            place = len(found)
            recorded = message["data"]
            payload = self.trade(place, p=recorded["p"], q=recorded["q"], m=recorded["m"])
            received = self.start + place * 20_000 + 3_000
            found.append(TapeRecord(received, "binance", "spot", f"test-{self.number}", place + 1, payload))
            if len(found) == count:
                break
        return found

    def write(self, records: list[TapeRecord]) -> Path:
        """Write a tape file."""
        path = self.folder / f"{self.day}-{len(list(self.folder.iterdir()))}.tape.zst"
        with TapeWriter(path, source="tests", licence="none") as writer:
            for record in records:
                writer.write(record)
                writer.streams.setdefault("spot", [STREAM])
        return path

    def play(
        self, records: list[TapeRecord], speed: float | str = "max", faults: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Start to play, with what is to go wrong; the collector hears it and nothing else."""
        self.wait(self.heard, f"somebody subscribed to {STREAM}")
        asked = {"tapes": [str(self.write(records))], "speed": speed, "partial": True, "faults": list(faults)}
        self.platform.post("replay", "/play", asked)

    def heard(self) -> bool:
        """Tell whether the collector is subscribed: it is healthy before its venue has answered."""
        connections = self.platform.get("replay", "/status")["connections"]
        return any(STREAM in connection["streams"] for connection in connections)

    def inject(self, payload: bytes, repeat: int = 1) -> None:
        """Send one frame to the collector."""
        body = {"endpoint": "binance/spot", "payload_base64": base64.b64encode(payload).decode(), "repeat": repeat}
        assert self.platform.post("replay", "/inject", body)["reached"] >= repeat

    def stored(self) -> int:
        """Count the day's stored trades."""
        span = f"event_time >= '{self.day}' AND event_time < '{self.day + timedelta(days=1)}'"
        return int(self.platform.ask(f"SELECT count() FROM market_trades FINAL WHERE {span}")[0][0])

    def gaps(self) -> list[tuple[str, str, int]]:
        """List kind, state and recovered rows of the gaps in the day's trades, oldest first."""
        found = self.platform.ask(
            "SELECT kind, state, recovered_count FROM system_gaps_current WHERE id_space = 'spot.trade' "
            f"AND toDate(from_time) = '{self.day}' ORDER BY gap_number"
        )
        return [(str(kind), str(state), int(recovered)) for kind, state, recovered in found]

    def rebuilt_equal(self) -> None:
        """Rebuild the day from the tape and claim that it is what was streamed."""
        for table in self.rebuild():
            assert table.equal, table
            assert table.streamed_count > 0, table

    def rebuild(self) -> list[Comparison]:
        """Rebuild the day from the tape and compare it with what was streamed."""
        streams = self.platform.settings.streams
        scratch = Scratch.of(self.day, str(self.number))
        tables = rebuild_day(
            self.spark, lake=streams.lake, warehouse_settings=streams.warehouse, derive=derive, day=self.day,
            bars_query=BARS_QUERY.read_text(), scratch=scratch,
        )  # fmt: skip
        scratch.drop(Warehouse(streams.warehouse))
        return tables

    def restarts(self, name: str) -> int:
        """Count how often the supervisor has started a process again."""
        return next(s.restarts for s in stack.status(self.platform.stack).services if s.name == name)


@pytest.fixture(scope="session")
def new_road(flow: Any, spark: SparkSession, wait_until: Any) -> Callable[[Path], Road]:
    """Make a road of a day of its own, its tapes in a folder."""

    def make(folder: Path) -> Road:
        number = next(DAYS)
        # Each test's ids begin anew: to the watch that would be a hole of millions.
        flow.post("collector-binance", "/forget", {})
        return Road(flow, folder, FIRST_DAY + timedelta(days=7 * number), number, spark, wait_until)

    return make


@pytest.fixture
def road(flow: Any, new_road: Callable[[Path], Road], tmp_path: Path) -> Iterator[Road]:
    yield new_road(tmp_path)
    flow.post("replay", "/stop", {})
