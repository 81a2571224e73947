"""Latest values: never an older one over a newer one, whatever the order; carried on after a kill; read as written."""

import json
import subprocess
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.errors import RetryableError
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from orchestration.settings import REPOSITORY
from orchestration.values import environment_of
from serving.latest import GROUP, Board, connect, key, rank, read
from stores import broker, groups
from stores.settings import CacheSettings

TTL_S = 1000


def row(number: int, event_time: int, sequence: int, received: int, message: int, index: int, connection: str) -> Any:
    """Make a trade of which the price alone tells it from the others."""
    return {
        "venue": "v", "instrument": "LA-ORDER", "price": Decimal(number), "quantity": Decimal(1), "side": "buy",
        "event_time": event_time, "venue_sequence": sequence, "received_time": received, "message_number": message,
        "message_index": index, "connection_id": connection,
    }  # fmt: skip


@pytest.fixture(scope="module")
def redis(platform: Any) -> Iterator[Any]:
    client = connect(platform.settings.cache)
    yield client
    client.close()


small = st.integers(-3, 3)
places = st.lists(
    st.tuples(small.map(abs), small, small.map(abs), small.map(abs), small.map(abs), st.sampled_from("ab")),
    min_size=1, max_size=12, unique=True,
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_newest_stands_whatever_the_order_the_batches_and_the_repeats(redis: Any, data: Any) -> None:
    rows = [row(number, *place) for number, place in enumerate(data.draw(places))]
    newest = max(rows, key=lambda r: tuple(r[n] for n in ("event_time", "venue_sequence", "received_time",
                                                          "message_number", "message_index")))  # fmt: skip
    arrived = data.draw(st.permutations(rows + data.draw(st.lists(st.sampled_from(rows), max_size=4))))
    board = Board(redis, TTL_S)
    name = key(TRADES.name, "v", "LA-ORDER")
    redis.delete(name)
    shown: list[str] = []
    while arrived:
        size = data.draw(st.integers(1, len(arrived)))
        board.show((TRADES, r) for r in arrived[:size])
        arrived = arrived[size:]
        shown.append(redis.hget(name, "rank"))
    assert shown == sorted(shown)
    assert shown[-1] == max(map(rank, rows))
    stands = next(r for r in rows if rank(r) == shown[-1])
    assert redis.hget(name, "price") == str(stands["price"])
    # Two connections that heard the same at one place of their own have no order but that of their names.
    assert [
        stands[n] for n in ("event_time", "venue_sequence", "received_time", "message_number", "message_index")
    ] == [newest[n] for n in ("event_time", "venue_sequence", "received_time", "message_number", "message_index")]
    assert 0 < redis.pttl(name) <= TTL_S * 1000


def test_two_writers_at_once_leave_the_newest(platform: Any) -> None:
    rows = [row(number, number, 0, 0, 0, 0, "a") for number in range(400)]

    def write(mine: list[Any]) -> None:
        client = connect(platform.settings.cache)
        board = Board(client, TTL_S)
        for one in mine:
            board.show([(TRADES, one | {"instrument": "LA-RACE"})])
        client.close()

    writers = [threading.Thread(target=write, args=(rows[part::3],)) for part in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    (found,) = read(platform.settings.cache, instrument="LA-RACE")
    assert found.price == 399


def test_values_reach_redis_and_the_command_line_digit_for_digit_also_after_a_kill(
    platform: Any, run: Any, events: Any, wait_until: Any
) -> None:
    cache = platform.settings.cache
    broken = events.trade(
        "LA-ONE", "1", event_time=events.trade("LA-ONE", "1")["event_time"] + 2 * 24 * 3600 * 1_000_000
    )
    with run("latest") as process:
        process.start()
        events.send(
            events.trade("LA-ONE", "61837.630000000001"),
            events.quote("LA-ONE", "61837.6", "61837.7"),
            events.quote("LA-TWO", "1", "2", venue="v2"),
            broken,
        )
        wait_until(lambda: len(read(cache, instrument="LA-ONE")) == 1 and len(read(cache, venue="v2")) >= 1, "shown")
        wait_until(lambda: read(cache, instrument="LA-ONE")[0].bid_price is not None, "the quote, too")
        wait_until(lambda: process.health()["loops"]["latest"]["unreadable"] >= 1, "the broken one is passed over")
        process.kill()
        events.send(events.trade("LA-ONE", "3"))
        process.start()
        wait_until(lambda: read(cache, instrument="LA-ONE")[0].price == 3, "it goes on where it was killed")
        unreadable = process.health()["loops"]["latest"]["unreadable"]
        many = [events.trade("LA-MANY", "4"), events.trade("LA-MANY", "0"), events.trade("LA-MORE", "5")]
        events.send(many[0], value=events.together(*many))
        wait_until(lambda: read(cache, instrument="LA-MORE") != [], "the last of a record of many is shown")
        assert read(cache, instrument="LA-MANY")[0].price == 4
        assert process.health()["loops"]["latest"]["unreadable"] == unreadable + 1
        wait_until(
            lambda: (
                groups.committed(platform.broker, GROUP, QUOTES.name)
                == broker.end_offsets(platform.broker, QUOTES.name)
            ),
            "how far it came is entered",
        )
    (one,) = read(cache, "v1", "LA-ONE")
    assert (one.bid_price, one.ask_price, one.side) == (Decimal("61837.6"), Decimal("61837.7"), "buy")
    told = _command(platform, "--instrument", "LA-ONE", "--json")
    assert [(r["venue"], r["price"], r["bid_price"]) for r in json.loads(told)] == [("v1", "3", "61837.6")]
    assert "LA-TWO" in _command(platform, "--venue", "v2") and "LA-ONE" not in _command(platform, "--venue", "v2")


def _command(platform: Any, *arguments: str) -> str:
    answer = subprocess.run(
        [str(platform.stack.python.with_name("tapehouse")), "latest", *arguments],
        env=environment_of(platform.settings) | {"PATH": "/usr/bin:/bin"},
        cwd=REPOSITORY, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_redis_away_is_told_as_what_passes(platform: Any) -> None:
    nobody = CacheSettings("redis://127.0.0.1:1/0")
    with pytest.raises(RetryableError, match="Redis did not tell"):
        read(nobody)
    with pytest.raises(RetryableError, match="Redis did not take"):
        Board(connect(nobody), TTL_S).show([(TRADES, row(1, 1, 1, 1, 1, 1, "a"))])
