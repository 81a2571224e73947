"""The real-time query: each rule finds what breaks it and nothing else, exactly, whatever is killed meanwhile."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema

from contracts.alerts import alert_id
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from spark.alert_stream import GROUP
from stores import broker, groups, registry
from stores.records import MAGIC
from stores.warehouse import Warehouse

# Rules for this module's instruments alone: other tests send trades, too.
RULES = (
    {"name": "move", "kind": "price_move", "limit": "1", "instrument": "al-*"},
    {"name": "move-of-two", "kind": "price_move", "limit": "0.5", "venue": "v2", "instrument": "AL-O?E"},
    {"name": "jump", "kind": "venue_jump", "limit": "2", "instrument": "AL-*"},
    {"name": "wide", "kind": "spread", "limit": "0.5", "instrument": "AL-*"},
    {"name": "crossed", "kind": "crossed", "instrument": "AL-*"},
)
MINUTE = timedelta(minutes=1)


def close_bar(platform: Any, venue: str, instrument: str, price: str, *, ago: timedelta = timedelta(0)) -> None:
    """Store a final bar that ended at the last full minute."""
    end = datetime.now(UTC).replace(second=0, microsecond=0) - ago
    Warehouse(platform.warehouse).run(
        "INSERT INTO market_bars SELECT {venue:String}, {instrument:String}, 'made', {begin:DateTime64(6, 'UTC')}, "
        "toDecimal128({price:String}, 12) AS p, p, p, p, 1, 1, 1, 'final', 1, now64(6, 'UTC')",
        {"venue": venue, "instrument": instrument, "begin": end - MINUTE, "price": price},
    )


def tell_pair(platform: Any, venue: str, instrument: str, base: str, quote: str) -> None:
    """Store what the venue tells of an instrument."""
    Warehouse(platform.warehouse).run(
        "INSERT INTO reference_instruments (venue, instrument, id_space, update_id, kind, base, quote, event_time) "
        "VALUES ({venue:String}, {instrument:String}, 'made', '1', 'spot', {base:String}, {quote:String}, now64(6))",
        {"venue": venue, "instrument": instrument, "base": base, "quote": quote},
    )


@pytest.fixture(scope="module")
def stream(platform: Any, run: Any, wait_until: Any) -> Iterator[Any]:
    for venue, instrument, price, quote in (
        ("v1", "AL-ONE", "100", "USD"),
        ("v2", "AL-ONE", "100", "USDT"),
        ("v3", "AL-ONE", "104", "USD"),
    ):
        close_bar(platform, venue, instrument, price)
        tell_pair(platform, venue, instrument, "AL", quote)
    close_bar(platform, "v1", "AL-OLD", "100", ago=timedelta(hours=2))
    with run("alert-stream", alert_rules=RULES, alert_batch_s=5) as process:
        process.start()
        wait_until(lambda: process.health()["status"] == "ok", "a batch has ended", 240)
        yield process


def broken(rows: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(row["rule"], row["event_id"]) for row in rows}


def test_each_rule_finds_what_breaks_it_and_nothing_else(stream: Any, events: Any, said: Any, wait_until: Any) -> None:
    hour = 3_600_000_000
    now = time.time_ns() // 1000
    expected: dict[tuple[str, ...], list[dict[str, Any]]] = {
        # The limit itself is no breach, the last digit beyond it is one. The others of v1 stand at 100 and 104.
        (): [
            events.trade("AL-ONE", "101"),
            events.trade("AL-ONE", "99"),
            events.trade("AL-ONE", "101.000000000001", event_time=now - hour),
            events.trade("AL-OLD", "500"),
            events.trade("AL-NEW", "500"),
            events.trade("BL-ONE", "500"),
            events.trade("AL-ONE", "-500"),
            events.quote("AL-ONE", "99.75", "100.25"),
            events.quote("AL-ONE", "100", "100"),
            events.quote("AL-ONE", "100", "0"),
            events.quote("BL-ONE", "101", "100"),
        ],
        ("move",): [events.trade("AL-ONE", "101.000000000001"), events.trade("AL-ONE", "98.999999999999")],
        ("move", "jump"): [events.trade("AL-ONE", "102.000000000001"), events.trade("AL-ONE", "97")],
        ("move-of-two",): [events.trade("AL-ONE", "100.6", venue="v2")],
        # v3 is held against the lower of the others' middle two: 100.
        ("jump",): [events.trade("AL-ONE", "104", venue="v3")],
        ("wide",): [events.quote("AL-ONE", "99.749999999999", "100.25"), events.quote("AL-ZWEI", "1", "2")],
        ("crossed",): [events.quote("AL-ONE", "100.000000000001", "100")],
    }
    rows = [row for several in expected.values() for row in several]
    last = events.trade("AL-ONE", "150", event_time=now)
    events.send(*rows, last)
    wanted = {
        (rule, row.get("trade_id") or row["update_id"])
        for rules, several in expected.items() for rule in rules for row in several
    } | {("move", last["trade_id"]), ("jump", last["trade_id"])}  # fmt: skip
    wait_until(lambda: broken(said("AL-")) >= wanted, "every breach was told", 60)
    told = said("AL-")
    assert broken(told) == wanted
    assert len(told) == len(wanted)
    one = next(row for row in told if (row["rule"], row["event_id"]) == ("move", expected["move",][0]["trade_id"]))
    assert (one["price"], one["other_price"], one["limit_percent"]) == (
        Decimal("101.000000000001"), Decimal(100), Decimal(1),
    )  # fmt: skip
    assert one["message_number"] == expected["move",][0]["message_number"]


def test_new_references_take_effect_without_a_restart(
    stream: Any, platform: Any, events: Any, said: Any, wait_until: Any
) -> None:
    batches = stream.health()["batches"]
    close_bar(platform, "v1", "AL-LATER", "10")
    sent: list[str] = []

    def found() -> bool:
        trade = events.trade("AL-LATER", "10.5")
        events.send(trade)
        sent.append(trade["trade_id"])
        return bool({row["event_id"] for row in said("AL-LATER")} & set(sent))

    wait_until(found, "the new bar is compared with", 60)
    assert stream.health()["batches"] > batches


def test_a_schema_that_is_registered_later_loses_no_event(
    stream: Any, platform: Any, events: Any, said: Any, wait_until: Any
) -> None:
    client = registry.make_client(platform.registry)
    known = registry.schemas_of(platform.registry, TRADES.name)
    text = known[max(known)].replace('"When the venue matched the trade."', '"When it was matched."')
    assert text != known[max(known)]
    schema_id = client.register_schema(registry.subject(TRADES.name), Schema(text, "AVRO"))
    assert schema_id not in known
    trade, unknown = events.trade("AL-ONE", "200"), events.trade("AL-ONE", "200")
    value = events.encoded(trade)
    events.send(unknown, value=bytes([MAGIC]) + (987_654).to_bytes(4, "big") + value[5:])
    events.send(trade, value=bytes([MAGIC]) + schema_id.to_bytes(4, "big") + value[5:])
    wait_until(lambda: ("move", trade["trade_id"]) in broken(said("AL-ONE")), "the newer schema's trade is judged", 90)
    assert ("move", unknown["trade_id"]) not in broken(said("AL-ONE"))


def test_a_killed_stream_loses_no_alert_and_the_webhook_gets_each_once(
    stream: Any, platform: Any, run: Any, webhook: Any, events: Any, said: Any, wait_until: Any
) -> None:
    with run("latest", market_alert_urls=(webhook.url,), market_alert_pause_s=0) as latest:
        latest.start()
        trades = [events.trade("AL-ONE", str(200 + number)) for number in range(60)]
        for trade in trades[:30]:
            events.send(trade)
        stream.kill()
        for trade in trades[30:]:
            events.send(trade)
        stream.start()
        wanted = {(rule, trade["trade_id"]) for trade in trades for rule in ("move", "jump")}
        wait_until(lambda: broken(said("AL-ONE")) >= wanted, "every breach was told", 240)
        keys = {alert_id(row) for row in said("AL-ONE") if (row["rule"], row["event_id"]) in wanted}
        wait_until(lambda: keys <= set(webhook.ids()), "the webhook has them all", 60)
        # What was told twice in the topic comes after all the first times; once it is read, nothing is to come.
        wait_until(lambda: _read_all(platform, latest), "the topic is read", 60)
    assert len(webhook.ids()) == len(set(webhook.ids()))


def _read_all(platform: Any, latest: Any) -> bool:
    (name,) = [name for name in latest.health()["loops"] if name != "latest"]
    done = groups.committed(platform.broker, f"tapehouse-alerts-{name}", "market.alerts")
    return done == broker.end_offsets(platform.broker, "market.alerts")


def test_how_far_it_came_is_entered_after_each_batch(stream: Any, platform: Any, events: Any, wait_until: Any) -> None:
    events.send(events.trade("BL-ONE", "1"), events.quote("BL-ONE", "1", "2"))
    ends = {topic: broker.end_offsets(platform.broker, topic) for topic in (TRADES.name, QUOTES.name)}
    wait_until(
        lambda: {topic: groups.committed(platform.broker, GROUP, topic) for topic in ends} == ends, "all is entered", 60
    )
