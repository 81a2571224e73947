"""Whatever a venue or a producer sends: a stored row, or a quarantined one with its reason and payload."""

import random
from typing import Any

import orjson
import pytest

from contracts.tape import MAX_PAYLOAD_BYTES
from sources.collector.wire import Wire
from sources.venues import venue
from stores import broker

YEAR_MS = 365 * 24 * 3600 * 1000


def quarantined(road: Any, payload: bytes) -> list[str]:
    """Return the reasons for which the payload, byte for byte, lies in quarantine."""
    sql = "SELECT reason FROM system_quarantine FINAL WHERE hex(payload) = '{}'"
    return [row[0] for row in road.platform.ask(sql.format(payload.hex().upper()))]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda _: b'{"stream": "btcusdt@trade", "data": {"e": "tra', "malformed_json", id="truncated"),
        pytest.param(lambda _: b"\xff\xfe\x00not json at all", "malformed_json", id="not-utf8"),
        pytest.param(lambda _: b'{"e":"trade"}', "missing_field", id="missing-fields"),
        pytest.param(lambda r: r.trade(1, p=61837.63), "wrong_type", id="price-as-number"),
        pytest.param(lambda r: r.trade(1, t="x"), "wrong_type", id="id-as-text"),
        pytest.param(lambda r: r.trade(1, p="NaN"), "not_a_number", id="price-nan"),
        pytest.param(lambda r: r.trade(1, p="0.0000000000001"), "price_digits", id="too-many-digits"),
        pytest.param(lambda r: r.trade(1, q="1" * 13), "quantity_digits", id="too-many-digits-before-the-point"),
        pytest.param(lambda _: b'{"stream":"btcusdt@trade","pad":"' + b"x" * 5_000_000 + b'"}', None, id="5-MB"),
    ],
)
def test_a_payload_that_no_parser_accepts_is_quarantined_as_it_came(
    road: Any, wait_until: Any, make: Any, reason: str | None
) -> None:
    payload = make(road)
    assert len(payload) < MAX_PAYLOAD_BYTES
    road.inject(payload)
    if len(payload) < 1_000_000:
        wait_until(lambda: quarantined(road, payload) == [reason], f"quarantined for {reason}")
    else:  # too long for a comparison in a query's text
        long = "SELECT count() FROM system_quarantine FINAL WHERE length(payload) = {}"
        wait_until(lambda: road.platform.ask(long.format(len(payload)))[0][0] == 1, "the 5 MB quarantined whole")


def rejected_values(road: Any) -> list[tuple[str, bytes]]:
    now_ms = road.start // 1000
    far = now_ms + 40 * YEAR_MS  # also ahead of the day on which the tests run
    return [
        ("price_not_positive", road.trade(1, p="0.00000000")),
        ("price_not_positive", road.trade(2, p="-61837.63")),
        ("quantity_not_positive", road.trade(3, q="0.00000000")),
        ("price_absurd", road.trade(4, p="999999999999")),
        ("quantity_absurd", road.trade(5, q="999999999999")),
        ("notional_absurd", road.trade(6, p="99999999", q="99999999")),
        ("event_time_in_future", road.trade(7, T=far, E=far)),
        ("event_time_too_old", road.trade(8, T=1000, E=1000)),
    ]


def test_values_that_break_a_rule_are_quarantined_and_their_neighbours_stored(road: Any, wait_until: Any) -> None:
    cases = rejected_values(road)
    good = road.records(20)
    for record in good[:10]:
        road.inject(record.payload)
    for _, payload in cases:
        road.inject(payload)
    for record in good[10:]:
        road.inject(record.payload)
    wait_until(lambda: road.stored() == 20, "the good ones stored")
    for reason, payload in cases:
        trade = orjson.loads(payload)["data"]["t"]
        # The record's key and id stand in the Avro bytes that are kept as payload.
        sql = f"SELECT reason FROM system_quarantine FINAL WHERE position(payload, '{trade}') > 0"
        wait_until(lambda q=sql, r=reason: road.platform.ask(q) == [(r,)], f"{trade} quarantined for {reason}")
    road.platform.balances()
    road.rebuilt_equal()


def test_repeated_and_reordered_messages_are_stored_once(road: Any, wait_until: Any) -> None:
    payloads = [record.payload for record in road.records(60)] * 2
    random.Random(3).shuffle(payloads)
    for payload in payloads:
        road.inject(payload)
    wait_until(lambda: road.stored() == 60, "each stored once")
    road.platform.balances()
    road.rebuilt_equal()


def test_poison_records_amid_a_topic_are_quarantined_and_hold_nothing_up(road: Any, wait_until: Any) -> None:
    wire = Wire(road.platform.registry, venue("binance"))
    producer = broker.make_producer(road.platform.broker, max_message_bytes=17_000_000)
    records = road.records(40)
    good = wire.events(records[0])[0].outgoing
    poison = {
        "not_framed": b"poison " + str(road.number).encode(),
        "unknown_schema_id": b"\x00\x00\x0f\x42\x3f" + good.value[5:],
        "undecodable": good.value[:30],
    }
    empty = "SELECT count() FROM system_quarantine FINAL WHERE topic = 'market.trades' AND payload = ''"
    before = road.platform.ask(empty)[0][0]
    for record in records:
        for outgoing in [wire.tape(record), *(derived.outgoing for derived in wire.events(record))]:
            producer.produce(outgoing.topic, outgoing.value, outgoing.key)
        # With the same key, so in the same partition, between good records.
        for value in (*poison.values(), b"", None):
            producer.produce(good.topic, value, good.key)
    assert producer.flush(30) == 0
    wait_until(lambda: road.stored() == 40, "the good ones around them stored")
    for reason, value in poison.items():
        wait_until(lambda v=value, r=reason: quarantined(road, v) == [r] * 40, f"quarantined: {reason}")
    wait_until(lambda: road.platform.ask(empty)[0][0] == before + 80, "empty records and tombstones quarantined")
    road.platform.balances()
    road.rebuilt_equal()
