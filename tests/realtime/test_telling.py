"""Receivers of alerts: each alert once, no flood, nothing lost, and what was held back is counted."""

import threading
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.alerts import MARKET_ALERTS, alert_id
from quality.receivers import text_senders
from serving.latest import connect
from serving.pace import Pace, Series, Verdict
from serving.reader import Progress
from serving.telling import Memory, Teller, series_of, text_of
from stores import broker, groups
from stores.records import RecordEncoder, record_key
from stores.settings import CacheSettings

PAUSE_S = 10


def alert(number: int, rule: str = "r", instrument: str = "TE-ONE", **more: Any) -> dict[str, Any]:
    return {
        "venue": "v", "instrument": instrument, "id_space": "made", "venue_sequence": number, "event_id": str(number),
        "rule": rule, "kind": "price_move", "limit_percent": Decimal("0.5"), "price": Decimal(101),
        "other_price": Decimal(100), "reference_time": 1_700_000_000_000_000, "event_time": 1_700_000_000_000_000,
        "received_time": 1_700_000_000_000_000, "connection_id": "c", "message_number": number, "message_index": 0,
    } | more  # fmt: skip


@given(
    heard=st.lists(st.tuples(st.floats(0, 30), st.integers(0, 8), st.sampled_from("ab")), max_size=40),
    restart=st.integers(0, 40),
)
def test_every_alert_is_told_held_or_known_and_no_series_speaks_twice_in_a_pause(
    heard: list[tuple[float, int, str]], restart: int
) -> None:
    pace, now, spoke, told = Pace(PAUSE_S), 0.0, dict[str, float](), Counter[str]()
    verdicts: Counter[Verdict] = Counter()
    for place, (passed, number, name) in enumerate(heard):
        if place == restart:
            pace = Pace(PAUSE_S, pace.series)
        now += passed
        over = {one for one, at in spoke.items() if pace.held(one) and now - at >= PAUSE_S}
        found = pace.due(now)
        assert set(found) == over
        for due in found:
            told[due] += pace.held(due)
            assert now - spoke[due] >= PAUSE_S
            spoke[due] = now
            pace.told(due, now)
        verdict = pace.admit(name, f"{name}{number}-{place >= restart}", now)
        verdicts[verdict] += 1
        if verdict is Verdict.TELL:
            assert now - spoke.get(name, -PAUSE_S) >= PAUSE_S
            spoke[name] = now
            told[name] += 1 + pace.held(name)
            pace.told(name, now, f"{name}{number}-{place >= restart}")
    still = sum(one.held for one in pace.series.values())
    different = {(number, name, place >= restart) for place, (_, number, name) in enumerate(heard)}
    assert sum(told.values()) + still == len(different)
    assert verdicts[Verdict.TELL] + verdicts[Verdict.HOLD] == len(different)


def test_what_is_remembered_is_bounded() -> None:
    pace = Pace(0, remembered=3)
    for number in range(5):
        assert pace.admit("s", str(number), number) is Verdict.TELL
        pace.told("s", number, str(number))
    assert [pace.admit("s", str(n), 9).value for n in (0, 4)] == ["tell", "known"]
    assert pace.due(9) == [] and pace.series == {}


@pytest.fixture
def told() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def memory(platform: Any) -> Any:
    redis = connect(platform.settings.cache)
    yield Memory(redis, "tests")
    for name in redis.scan_iter(match="alerts:tests:*"):
        redis.delete(name)
    redis.close()


def teller(told: list[tuple[str, str]], memory: Memory, pause_s: float = 3600) -> Teller:
    def send(title: str, text: str) -> str:
        told.append((title, text))
        return ""

    return Teller(send, memory, pause_s, threading.Event(), Progress("tests"))


def test_a_flood_is_one_message_and_a_count_also_over_a_restart(memory: Any, told: list[tuple[str, str]]) -> None:
    first = teller(told, memory)
    for number in (1, 2, 1, 3):
        assert first.hear(alert(number))
    assert first.hear(alert(4, rule="other"))
    assert [title.split(":")[0] for title, _ in told] == ["r", "other"]
    # The next process knows what was told, what is held back, and since when.
    second = teller(told, memory)
    assert second.hear(alert(1)) and second.hear(alert(5))
    second.tell_due()
    assert len(told) == 2
    third = teller(told, memory, pause_s=0)
    third.tell_due()
    assert told[2] == ("r: v TE-ONE, 3 more", told[2][1]) and "3 more were held back since" in told[2][1]
    third.tell_due()
    assert third.hear(alert(1))
    assert len(told) == 3
    assert memory.series() == {}


def test_the_next_message_says_what_was_held_back(memory: Any, told: list[tuple[str, str]]) -> None:
    memory.keep({"r|v|TE-ONE": Series(0.0, 7)})
    assert teller(told, memory, pause_s=1).hear(alert(1))
    assert told[0][0] == "r: v TE-ONE traded at 101, last closed at 100, +1.00 %"
    assert told[0][1].endswith(f"alert {alert_id(alert(1))}\n7 more were held back before")
    assert "above 0.5 %" in told[0][1] and "2023-11-14 22:13:20.000000 UTC" in told[0][1]


def test_while_redis_is_away_a_process_knows_by_itself(told: list[tuple[str, str]]) -> None:
    one = teller(told, Memory(connect(CacheSettings("redis://127.0.0.1:1/0")), "tests"))
    for number in (1, 1, 2):
        assert one.hear(alert(number))
    assert len(told) == 1


@pytest.mark.parametrize(
    ("kind", "price", "other", "said"),
    [
        ("crossed", "100.5", "100", "is bid 100.5 and asked 100"),
        ("spread", "99", "101", "is bid 99 and asked 101, +2.00 % apart"),
        ("venue_jump", "95", "100", "traded at 95, elsewhere 100, -5.00 %"),
    ],
)
def test_each_kind_says_what_it_saw(kind: str, price: str, other: str, said: str) -> None:
    row = alert(1, kind=kind, price=Decimal(price), other_price=Decimal(other))
    assert said in text_of(row, 0)
    assert series_of(row) == "r|v|TE-ONE"


def test_a_killed_teller_loses_no_alert_and_repeats_at_most_the_one_it_was_at(
    platform: Any, run: Any, webhook: Any, wait_until: Any
) -> None:
    encoder = RecordEncoder(platform.registry, MARKET_ALERTS, MARKET_ALERTS.name)
    producer = broker.make_producer(platform.broker)
    assert MARKET_ALERTS.topic is not None
    rows = [alert(number, instrument=f"TE-KILL-{number % 7}") for number in range(1000, 1100)]
    with run("latest", market_alert_urls=(webhook.url,), market_alert_pause_s=0) as process:
        process.start()
        group = f"tapehouse-alerts-{next(iter(text_senders((webhook.url,), 'market_alert_urls')))}"
        wait_until(lambda: bool(groups.committed(platform.broker, group, MARKET_ALERTS.name)), "its place is entered")
        webhook.refuse = True
        for row in rows[:50]:
            producer.produce(MARKET_ALERTS.name, encoder.encode(row), key=record_key(MARKET_ALERTS.topic, row))
        assert producer.flush(30) == 0
        wait_until(lambda: bool(process.health()["detail"]), "the receiver's refusal is told")
        webhook.refuse = False
        wait_until(lambda: len(webhook.taken) >= 10, "it tries again")
        process.kill()
        for row in rows[30:]:
            producer.produce(MARKET_ALERTS.name, encoder.encode(row), key=record_key(MARKET_ALERTS.topic, row))
        assert producer.flush(30) == 0
        process.start()
        wanted = {alert_id(row) for row in rows}
        wait_until(lambda: wanted <= set(webhook.ids()), "the webhook has them all")
        end = broker.end_offsets(platform.broker, MARKET_ALERTS.name)
        wait_until(lambda: groups.committed(platform.broker, group, MARKET_ALERTS.name) == end, "all are read")
    assert len(webhook.ids()) - len(wanted) <= 1
