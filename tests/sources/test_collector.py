"""The collector against the replay server, a real Kafka and a real registry: nothing missing, nothing twice."""

import asyncio
import dataclasses
import itertools
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import TerminalError
from contracts.quarantine import QUARANTINE
from contracts.tape import tape_topic
from sources.collector.pipeline import Limits
from sources.collector.wire import Wire, topics_of
from sources.demo import TAPES, replayed
from sources.endpoints import Endpoint
from sources.events import Accepted, Event
from sources.tape_file import TapeRecord, TapeWriter, read_tape
from sources.venues import venue
from stores.broker import delete_topic, end_offsets, ensure_topics, make_producer, topic_names
from stores.records import RecordDecoder
from tests.sources.conftest import Kafka, Platform, Replay, StartCollector, WriteTape, free_port, until

TradeMaker = Callable[..., bytes]
SHARE = 12_000


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the first of the demo tape's payloads from the spot feed: trades, quotes, books, bars."""
    path = tmp_path_factory.mktemp("tape") / "share.tape.zst"
    dialect = venue("binance").dialects["spot"]
    spot = (r for r in read_tape(TAPES["binance"]) if r.endpoint == "spot" and not r.request)
    with TapeWriter(path, source="the demo tape", licence="as the demo tape", level=1) as writer:
        streams = set()
        for record in itertools.islice(spot, SHARE):
            writer.write(record)
            streams.add(dialect.stream_of(record.payload))
        writer.streams["spot"] = sorted(name for name in streams if name)
    return path


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["venue_sequence"] for row in rows]


async def test_recorded_payloads_arrive_whole_and_each_before_its_events(
    replay: Replay, start_collector: StartCollector, kafka: Kafka, tape: Path
) -> None:
    collector = await start_collector(*replayed("binance", replay.port, tape))
    await replay.play(tape)
    await replay.played()
    await collector.done(SHARE + 1)
    told = await collector.health()
    await collector.stop()
    stored = kafka.stored()
    stored.assert_balanced()
    sent = [row for rows in stored.events.values() for row in rows if row["connection_id"].count("-rest-") == 0]
    assert len(sent) == SHARE
    assert {name for name, rows in stored.events.items() if rows} >= {"market.trades", "market.quotes", "market.books"}
    assert stored.quarantine == []
    assert told["ignored"]["subscription_reply"] == 1
    assert told["reconnects"] == 0
    late = [p for p, at in stored.event_times.items() if at < stored.tape_times[p[:2]]]
    assert late == []


async def test_bad_payloads_are_quarantined_with_reason_and_bytes_and_the_rest_goes_on(
    replay: Replay, start_collector: StartCollector, kafka: Kafka, make_trade: TradeMaker
) -> None:
    bad = {
        "malformed_json": [b"{cut", b"\xff\xfe", b"", b"x" * 5_000_000],
        "unknown_message": [b"[]", b'{"stream":"s","data":{"e":"tirade"}}'],
        "price_digits": [make_trade(1, "0.0000000000001")],
        "not_a_number": [make_trade(2, "NaN")],
    }
    collector = await start_collector()
    await collector.running()
    for payloads in bad.values():
        for payload in payloads:
            assert await replay.inject(payload) == 1
            await replay.inject(make_trade(3, "-1"))  # absurd, but a row: Spark's rules have the last word
    count = sum(map(len, bad.values()))
    await collector.done(2 * count + 1)
    assert (await collector.health())["rejected"] == {reason: len(payloads) for reason, payloads in bad.items()}
    await collector.stop()
    stored = kafka.stored()
    stored.assert_balanced()
    found: dict[str, list[bytes]] = {}
    for row in stored.quarantine:
        found.setdefault(row["reason"], []).append(row["payload"])
    assert found == bad
    assert ids(stored.trades) == [3] * count


async def test_repeated_and_reordered_messages_are_all_written_down(
    replay: Replay, start_collector: StartCollector, kafka: Kafka, write_tape: WriteTape, make_trade: TradeMaker
) -> None:
    numbers = [5, 4, 4, 9, 1, 9]
    collector = await start_collector()
    await replay.play(write_tape([make_trade(n) for n in numbers]))
    await collector.done(len(numbers) + 1)
    await collector.stop()
    stored = kafka.stored()
    stored.assert_balanced()
    assert ids(sorted(stored.trades, key=lambda row: int(row["message_number"]))) == numbers


async def test_cut_stalled_and_refused_connections_lose_nothing_that_was_received(
    replay: Replay, start_collector: StartCollector, kafka: Kafka, write_tape: WriteTape, make_trade: TradeMaker
) -> None:
    # An instrument of its own: how far other tests' trades were heard stands in the marks, which outlive a collector.
    collector = await start_collector(replay.endpoint(streams=["solusdt@trade"], heartbeat_s=0.8))
    tape = [make_trade(n).replace(b"btcusdt", b"solusdt").replace(b"BTCUSDT", b"SOLUSDT") for n in range(2000)]
    await collector.running()
    await replay.post("/faults", endpoint="binance/spot", kind="disconnect", after=200)
    await replay.post("/faults", endpoint="binance/spot", kind="refuse", count=2)
    await replay.play(write_tape(tape), speed=1)
    await collector.reaches("it came back", lambda h: h["reconnects"] >= 3 and h["connections"][0]["state"] == "live")
    await replay.post("/faults", endpoint="binance/spot", kind="stall", seconds=60)
    await collector.reaches("it came back again", lambda h: h["reconnects"] >= 4)
    await replay.played()
    await collector.reaches(
        "all is done and every gap filled",
        lambda h: (
            h["lag"] == 0 and h["events"] >= 2000 and h["connections"][0]["state"] == "live" and h["gaps"]["open"] == 0
        ),
    )
    told = await collector.health()
    await collector.stop()
    stored = kafka.stored()
    stored.assert_balanced()
    assert len({row["connection_id"] for row in stored.tape if not row["request"]}) == 3
    # What was missed while it was away was asked for.
    assert sorted(set(ids(stored.trades))) == list(range(2000))
    assert told["gaps"]["filled"] >= 1
    assert told["gaps"]["unfillable"] == 0


async def test_narrow_limits_pause_reading_and_lose_nothing(
    replay: Replay, start_collector: StartCollector, kafka: Kafka, write_tape: WriteTape, make_trade: TradeMaker
) -> None:
    collector = await start_collector(limits=Limits(messages=20))
    await replay.play(write_tape([make_trade(n) for n in range(2000)]))
    await collector.done(2001)
    assert (await collector.health())["pauses"] > 10
    await collector.stop()
    stored = kafka.stored()
    stored.assert_balanced()
    assert sorted(ids(stored.trades)) == list(range(2000))


async def test_killed_kafka_is_waited_for_and_nothing_received_is_lost(
    replay: Replay, start_collector: StartCollector, kafka: Kafka, write_tape: WriteTape, make_trade: TradeMaker
) -> None:
    collector = await start_collector(limits=Limits(messages=500))
    await collector.running()
    await replay.play(write_tape([make_trade(n) for n in range(5000)]), speed=1)
    await collector.reaches("some arrived", lambda h: h["messages"] > 300)
    await asyncio.to_thread(kafka.platform.kill_kafka)
    await collector.reaches("reading paused", lambda h: h["pauses"] > 0)
    await replay.played()
    await collector.done(5001)
    assert (await collector.health())["reconnects"] == 0
    await collector.stop()
    stored = kafka.stored()
    stored.assert_balanced()
    assert sorted(ids(stored.trades)) == list(range(5000))


async def test_stop_amid_a_flood_finishes_what_was_received_and_commits_it(
    replay: Replay, start_collector: StartCollector, kafka: Kafka, tape: Path
) -> None:
    first = await start_collector(*replayed("binance", replay.port, tape))
    await replay.play(tape)
    await first.reaches("some arrived", lambda h: h["messages"] > 2000)
    await first.stop()
    kafka.stored().assert_balanced()
    second = await start_collector(*replayed("binance", replay.port, tape))
    await second.running()
    assert (await second.health())["recovery"]["tape_records"] == 0
    await second.stop()


# A collector that is killed by itself, the hard way, with payloads on the tape whose events were never sent.
KILLED = """
import json, os, signal, sys
from pathlib import Path
from sources.collector import pipeline
from sources.collector.main import CollectorSettings, serve
from sources.endpoints import Endpoint
from sources.events import Accepted, Event
from sources.tape_file import TapeRecord, TapeWriter, read_tape
from sources.venues import venue
from stores.settings import BrokerSettings, RegistrySettings

asked = json.loads(sys.argv[1])
derive = pipeline.Pipeline._derive
count = 0

def derive_or_die(self, entry):
    global count
    count += 1
    # Every third event stays unsent before the end, so that what is missing lies between what is not.
    if count > asked["after"] and self.flow.taped >= asked["taped"]:
        self._producer.flush(10)
        os.kill(os.getpid(), signal.SIGKILL)
    if count % 3:
        derive(self, entry)

pipeline.Pipeline._derive = derive_or_die
endpoints = tuple(Endpoint(**e | {"streams": tuple(e["streams"])}) for e in asked["endpoints"])
raise SystemExit(serve(CollectorSettings(
    BrokerSettings(**asked["broker"]), RegistrySettings(**asked["registry"]), "binance", endpoints, asked["port"],
)))
"""


async def killed(
    kafka: Kafka, endpoints: tuple[Endpoint, ...], *, after: int, taped: int
) -> asyncio.subprocess.Process:
    asked = {
        "broker": dataclasses.asdict(kafka.platform.broker),
        "registry": dataclasses.asdict(kafka.platform.registry),
        "endpoints": [dataclasses.asdict(endpoint) for endpoint in endpoints],
        "port": free_port(),
        "after": after,
        "taped": taped,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, json.dumps(asked), stderr=asyncio.subprocess.PIPE
    )


async def test_killed_collector_leaves_nothing_missing_and_nothing_twice(
    replay: Replay, start_collector: StartCollector, kafka: Kafka, tape: Path
) -> None:
    process = await killed(kafka, replayed("binance", replay.port, tape), after=5000, taped=6000)
    await replay.play(tape, wait_s=60)
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == -9, errors.decode()
    before = kafka.stored()
    missing = before.expected() - before.found()
    assert sum(missing.values()) > 1000
    collector = await start_collector()
    await collector.running()
    told = await collector.health()
    assert told["recovered"] == sum(missing.values())
    assert told["recovery"]["present"] > 2000
    await collector.stop()
    kafka.stored().assert_balanced()


async def test_recreated_events_topic_is_filled_again_from_the_tape(
    replay: Replay, start_collector: StartCollector, kafka: Kafka, write_tape: WriteTape, make_trade: TradeMaker
) -> None:
    first = await start_collector()
    await replay.play(write_tape([make_trade(n) for n in range(500)]))
    await first.done(501)

    def committed() -> dict[str, int]:
        # Asked each time: what REST answers about the time before the collector ran may come to the tape later.
        return {str(p): end for p, end in end_offsets(kafka.platform.broker, tape_topic("binance").name).items()}

    await first.reaches("all of it is committed", lambda h: h["committed"] == committed())
    await asyncio.to_thread(delete_topic, kafka.platform.broker, "market.trades")
    with pytest.raises(TerminalError, match=r"market\.trades"):
        await asyncio.wait_for(asyncio.shield(first.task), 30)

    async def gone() -> bool:
        return "market.trades" not in await asyncio.to_thread(topic_names, kafka.platform.broker)

    await until("the topic is gone", gone)
    kafka.forget("market.trades")
    second = await start_collector()
    await second.running()
    assert (await second.health())["recovered"] >= 500
    await replay.play(write_tape([make_trade(n) for n in range(500, 600)]))
    await second.done(101)
    await second.stop()
    stored = kafka.stored()
    stored.assert_balanced()
    assert sorted(ids(stored.trades)) == list(range(600))


async def test_topic_recreated_in_a_moment_ends_the_collector(start_collector: StartCollector, kafka: Kafka) -> None:
    collector = await start_collector(commit_s=1.0)
    await collector.running()

    def recreate() -> None:
        delete_topic(kafka.platform.broker, "system.quarantine")
        while "system.quarantine" not in topic_names(kafka.platform.broker):
            ensure_topics(kafka.platform.broker, topics_of("binance"))

    await asyncio.to_thread(recreate)
    with pytest.raises(TerminalError, match=r"system\.quarantine"):
        await asyncio.wait_for(asyncio.shield(collector.task), 30)


def test_row_that_does_not_fit_its_contract_is_quarantined(platform: Platform) -> None:
    def parse(endpoint: str, payload: bytes, request: str = "") -> list[Event]:
        return [Accepted("market.trades", {"venue": "binance", "instrument": endpoint, "price": payload})]

    wire = Wire(platform.registry, dataclasses.replace(venue("binance"), parse=parse))
    ((index, outgoing),) = wire.events(TapeRecord(1, "binance", "spot", "c", 1, b"payload"))
    row = RecordDecoder(platform.registry, QUARANTINE).decode(outgoing.value)
    assert (index, outgoing.topic, wire.accepted) == (0, "system.quarantine", Counter())
    assert (row["dataset"], row["reason"], row["payload"]) == ("market.trades", "contract_misfit", b"payload")


async def test_recreated_while_nobody_looked_is_noticed_too(
    replay: Replay, start_collector: StartCollector, kafka: Kafka, write_tape: WriteTape, make_trade: TradeMaker
) -> None:
    first = await start_collector()
    await replay.play(write_tape([make_trade(n) for n in range(50)]))
    await first.done(51)
    await first.stop()
    await asyncio.to_thread(delete_topic, kafka.platform.broker, tape_topic("binance").name)

    async def anew() -> bool:
        await asyncio.to_thread(ensure_topics, kafka.platform.broker, topics_of("binance"))
        return tape_topic("binance").name in await asyncio.to_thread(topic_names, kafka.platform.broker)

    await until("the tape was made anew", anew)
    kafka.forget(tape_topic("binance").name)
    second = await start_collector()
    await replay.play(write_tape([make_trade(n) for n in range(50, 80)]))
    await second.done(31)
    await second.stop()
    stored = kafka.stored()
    assert sorted(ids(stored.trades)) == list(range(80))
    assert sum(not row["request"] for row in stored.tape) == 31  # the old tape is gone


async def test_records_that_nobody_can_read_do_not_hold_up_recovery(
    replay: Replay, start_collector: StartCollector, kafka: Kafka, write_tape: WriteTape, make_trade: TradeMaker
) -> None:
    producer = make_producer(kafka.platform.broker)
    poison = [b"", b"no framing", b"\x00\x7f\xff\xff\xff unknown schema", b"\x00\x00\x00\x00\x01\xff\xff"]
    for topic in ("tape.binance", "market.trades"):
        for value in poison:
            producer.produce(topic, value, b"k")
    assert producer.flush(10) == 0
    kafka.began |= {t: _ends(kafka, t) for t in ("tape.binance", "market.trades")}
    collector = await start_collector()
    await replay.play(write_tape([make_trade(n) for n in range(20)]))
    await collector.done(21)
    assert (await collector.health())["recovery"]["unreadable"] >= len(poison)
    await collector.stop()
    kafka.stored().assert_balanced()


def _ends(kafka: Kafka, topic: str) -> dict[int, int]:
    return Kafka(kafka.platform).began[topic]


async def test_one_connection_failing_leaves_the_other_alone(
    replay: Replay, start_collector: StartCollector, kafka: Kafka, write_tape: WriteTape, make_trade: TradeMaker
) -> None:
    nowhere = dataclasses.replace(replay.endpoint("usdm"), base_url="ws://127.0.0.1:1/binance/usdm")
    collector = await start_collector(replay.endpoint(), nowhere)
    await replay.play(write_tape([make_trade(n) for n in range(100)]))
    await collector.done(101)
    told = {c["endpoint"]: c for c in (await collector.health())["connections"]}
    assert told["usdm"]["last_error"].startswith("ClientConnectorError")
    assert told["spot"]["reconnects"] == 0
    await collector.stop()
    kafka.stored().assert_balanced()
