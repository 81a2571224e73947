"""Streamed equals rebuilt, bit for bit, and nothing is missing or twice, whatever happens on the way."""

import random
import shutil
from decimal import Decimal
from typing import Any

import orjson
import pytest

from contracts.tape import tape_topic
from contracts.trades import TRADES
from deploy import stack
from sources.collector.wire import Wire
from sources.tape_file import TapeRecord
from sources.venues import venue
from stores import broker

MINUTE = 60_000_000


def brute_force_bars(records: list[TapeRecord]) -> dict[int, tuple[Decimal, ...]]:
    """Make bars from payloads with nothing but Python's decimals."""
    minutes: dict[int, list[tuple[int, int, Decimal, Decimal]]] = {}
    for record in records:
        data = orjson.loads(record.payload)["data"]
        time = data["T"] * 1000
        minutes.setdefault(time - time % MINUTE, []).append((time, data["t"], Decimal(data["p"]), Decimal(data["q"])))
    bars: dict[int, tuple[Decimal, ...]] = {}
    for minute, trades in minutes.items():
        trades.sort()
        prices = [price for _, _, price, _ in trades]
        volume = sum((quantity for *_, quantity in trades), Decimal(0))
        notional = sum((price * quantity for *_, price, quantity in trades), Decimal(0))
        bars[minute] = (prices[0], max(prices), min(prices), prices[-1], volume, notional, Decimal(len(trades)))
    return bars


def test_played_trades_become_exact_bars_and_rebuild_equal(road: Any, wait_until: Any) -> None:
    records = road.records(6000)
    road.play(records)
    wait_until(lambda: road.stored() == 6000, "6,000 trades stored")
    road.platform.balances()
    expected = brute_force_bars(records)
    found = road.platform.ask(
        "SELECT toUnixTimestamp64Micro(bar_time), open, high, low, close, volume, notional, "
        "toDecimal64(trade_count, 0) "
        f"FROM market_bars_current WHERE toDate(bar_time) = '{road.day}'"
    )
    assert {row[0]: tuple(row[1:]) for row in found} == expected
    road.rebuilt_equal()


def test_the_same_tape_twice_adds_nothing(road: Any, wait_until: Any) -> None:
    records = road.records(500)
    road.play(records)
    wait_until(lambda: road.stored() == 500, "500 trades stored")
    before = duplicates(road)
    road.play(records)
    wait_until(lambda: duplicates(road) == before + 500, "500 duplicates counted")
    assert road.stored() == 500
    road.platform.balances()


def duplicates(road: Any) -> int:
    return int(road.platform.ask("SELECT sum(duplicate_count) FROM delivery_ledger FINAL")[0][0])


def test_shuffled_arrival_with_conflicting_messages_rebuilds_equal(road: Any, wait_until: Any) -> None:
    # Every tenth trade comes again later on the tape with another price: the earliest is the one to be read,
    # also when it is the last to arrive.
    records = road.records(2000)
    wrong = [
        r._replace(message_number=r.message_number + 2000, received_time=r.received_time + 7, payload=other_price(r))
        for r in records[::10]
    ]
    tape = records + wrong
    random.Random(7).shuffle(tape)
    wire = Wire(road.platform.registry, venue("binance"))
    producer = broker.make_producer(road.platform.broker, max_message_bytes=17_000_000)
    for record in tape:
        for outgoing in [wire.tape(record), *(derived.outgoing for derived in wire.events(record))]:
            producer.produce(outgoing.topic, outgoing.value, outgoing.key)
        producer.poll(0)
    assert producer.flush(30) == 0
    wait_until(lambda: road.stored() == 2000, "2,000 trades stored")
    road.platform.balances()
    expected = {minute: bar[:-1] for minute, bar in brute_force_bars(records).items()}
    found = road.platform.ask(
        "SELECT toUnixTimestamp64Micro(bar_time), open, high, low, close, volume, notional "
        f"FROM market_bars_current WHERE toDate(bar_time) = '{road.day}'"
    )
    assert {row[0]: tuple(row[1:]) for row in found} == expected
    road.rebuilt_equal()


def other_price(record: TapeRecord) -> bytes:
    message = orjson.loads(record.payload)
    message["data"]["p"] = "1.5"
    return bytes(orjson.dumps(message))


def test_kill_9_of_streams_warehouse_and_collector_in_mid_stream_loses_nothing(road: Any, wait_until: Any) -> None:
    road.play(road.records(9000), speed=8)  # three minutes in 22 s
    for name, share in (("streams", 0.2), ("warehouse", 0.4), ("collector-binance", 0.6)):
        wait_until(lambda s=share: played(road) > 9000 * s, f"{share:.0%} played")
        before = road.restarts(name)
        stack.kill(road.platform.stack, name)
        wait_until(lambda n=name, b=before: road.restarts(n) > b, f"{name} started again")
    wait_until(lambda: road.platform.get("replay", "/status")["state"] == "finished", "the tape is played")
    wait_until(lambda: road.platform.get("streams")["status"] == "ok", "the streams run again", 120)
    # What the venue sent while the collector was dead is asked for by REST once it is back.
    wait_until(lambda: road.stored() == 9000, "every trade stored", 120)
    road.platform.balances(wait_s=150)
    road.rebuilt_equal()


def played(road: Any) -> int:
    return int(road.platform.get("replay", "/status")["played"])


def test_a_lost_checkpoint_directory_neither_skips_nor_repeats(road: Any, wait_until: Any) -> None:
    road.play(road.records(3000), speed=8)
    wait_until(lambda: road.stored() > 300, "some trades stored")
    stack.kill(road.platform.stack, "streams")
    shutil.rmtree(road.platform.settings.data_dir / "spark" / "checkpoints", ignore_errors=True)
    wait_until(lambda: road.stored() == 3000, "all trades stored", 120)
    road.platform.balances()
    road.rebuilt_equal()


@pytest.mark.parametrize("which", ["events", "tape"])
def test_a_topic_deleted_under_the_stream_is_made_again_and_nothing_is_lost(
    road: Any, wait_until: Any, which: str
) -> None:
    topic = TRADES.topic.name if which == "events" else tape_topic("binance").name  # type: ignore[union-attr]
    first, second = road.records(1000)[:500], road.records(1000)[500:]
    road.play(first)
    wait_until(lambda: road.stored() == 500, "the first half stored")
    # What the lake does not hold yet would go with the tape's topic, and nobody could tell it again.
    road.platform.balances()
    old = broker.topic_id(road.platform.broker, topic)
    broker.delete_topic(road.platform.broker, topic)
    wait_until(lambda: made_again(road, topic, old), f"{topic} made again", 120)
    wait_until(lambda: road.platform.get("collector-binance")["status"] == "running", "the collector listens again", 90)
    wait_until(lambda: road.platform.get("streams")["status"] == "ok", "the streams run again", 120)
    road.play(second)
    wait_until(lambda: road.stored() == 1000, "the second half stored", 120)
    road.platform.balances()
    road.rebuilt_equal()


def made_again(road: Any, topic: str, old: str) -> bool:
    names = broker.topic_names(road.platform.broker)
    return topic in names and broker.topic_id(road.platform.broker, topic) != old
