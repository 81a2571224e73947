"""Alerts arrive at a real receiver: once when an incident opens, once when it closes, never in a flood."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import TerminalError
from contracts.incidents import ALERTS
from quality.alerts import Attempt, Message, Pace, deliver, grouped, owed
from quality.incidents import SECOND, Finding, Incident, reconcile
from quality.receivers import check, receiver_name, receivers, send_text

NOON = 1_700_000_000 * SECOND
MINUTE = 60 * SECOND


def opened(subject: str = "stale/a", now: int = NOON, **more: Any) -> Incident:
    (one,) = reconcile([], [replace(Finding(subject, "stale", f"{subject} is stale", "look at it"), **more)], (), now)
    return one


def closed(one: Incident, now: int) -> Incident:
    return reconcile([one], [], {one.subject}, now)[0]


@dataclass
class Receiver:
    """A webhook that refuses as often as it is told to."""

    port: int = 0
    refuse: int = 0
    heard: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/alerts"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    # A proxy of the environment must not stand between the test and loopback.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if told.refuse:
                told.refuse -= 1
                self.send_response(503)
            else:
                told.heard.append(body)
                self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield told
    server.shutdown()
    server.server_close()


@dataclass
class Desk:
    """What the sensor does at each tick, the table in memory."""

    urls: tuple[str, ...]
    told: dict[tuple[str, str, str], Attempt] = field(default_factory=dict)

    def tick(self, incidents: list[Incident], now: int) -> list[str]:
        made = deliver(incidents, list(self.told.values()), receivers(self.urls), now)
        self.told |= {(one.incident_id, one.event, one.receiver): one for one in made}
        return [one.state for one in made]


def test_a_receiver_gets_one_alert_and_one_recovery_notice(receiver: Receiver) -> None:
    desk, one = Desk((receiver.url,)), opened(severity="error", affected_rows=1234)
    for minute in range(5):
        desk.tick([one], NOON + minute * MINUTE)
    assert [told["title"] for told in receiver.heard] == ["Tapehouse error: stale/a is stale"]
    assert "rows affected: 1,234" in receiver.heard[0]["message"]
    assert "what to do: look at it" in receiver.heard[0]["message"]
    done = closed(one, NOON + 90 * SECOND)
    for minute in range(5, 9):
        desk.tick([done], NOON + minute * MINUTE)
    assert [told["type"] for told in receiver.heard] == ["failure", "success"]
    assert receiver.heard[1]["title"] == "Tapehouse recovered: stale/a is stale"
    assert "repaired in 90 s" in receiver.heard[1]["message"]


def test_what_was_refused_twice_is_pending_and_then_sent_once(receiver: Receiver) -> None:
    receiver.refuse = 2
    desk, one = Desk((receiver.url,)), opened()
    states = [desk.tick([one], NOON + minute * MINUTE) for minute in range(6)]
    assert [s for tick in states for s in tick] == ["pending", "pending", "sent"]
    assert len(receiver.heard) == 1
    (last,) = desk.told.values()
    assert (last.attempt, last.detail) == (3, "")


def test_the_reason_of_a_refusal_is_kept(receiver: Receiver) -> None:
    receiver.refuse = 1
    assert "503" in send_text(receiver.url, "title", "body")


def test_nobody_at_the_address_is_a_reason_not_an_error() -> None:
    assert send_text("json://127.0.0.1:9/x", "title", "body")


def test_one_receiver_that_is_away_does_not_repeat_the_message_to_the_other(receiver: Receiver) -> None:
    desk, one = Desk(("json://127.0.0.1:9/away", receiver.url)), opened()
    for minute in range(4):
        desk.tick([one], NOON + minute * MINUTE)
    assert len(receiver.heard) == 1
    away, reached = sorted(desk.told.values(), key=lambda one: one.state)
    assert (away.state, reached.state, reached.attempt) == ("pending", "sent", 1)
    assert away.attempt > 1, "who could not be told is tried again"


def test_many_incidents_at_once_are_one_message(receiver: Receiver) -> None:
    incidents = [opened(f"stale/{n}") for n in range(30)]
    Desk((receiver.url,)).tick(incidents, NOON)
    (told,) = receiver.heard
    assert told["title"].endswith("and 29 more")
    assert "and 10 more: tapehouse incidents" in told["message"]


def test_a_message_says_what_is_touched_what_to_do_and_where_it_is_seen() -> None:
    (made,) = grouped(owed([opened(downstream=("market/bars",), evidence={"page": "http://ui/x"})], [], "r", NOON))
    assert {"what to do: look at it", "touches: market/bars", "evidence: http://ui/x"} <= set(made.body.splitlines())


def test_an_incident_over_before_it_could_be_told_is_told_once_as_recovered(receiver: Receiver) -> None:
    receiver.refuse = 1
    desk, one = Desk((receiver.url,)), opened()
    desk.tick([one], NOON)
    for minute in range(1, 4):
        desk.tick([closed(one, NOON + SECOND)], NOON + minute * MINUTE)
    assert [told["type"] for told in receiver.heard] == ["success"]


def test_the_first_receiver_configured_is_not_told_of_what_is_long_over() -> None:
    assert owed([closed(opened(), NOON + 1)], [], "r", NOON + MINUTE) == []


def test_a_message_beyond_the_limit_waits_and_is_not_lost() -> None:
    heard: list[Message] = []

    def send(message: Message) -> str:
        heard.append(message)
        return ""

    kinds = ("stale", "stream", "audit")
    incidents = [opened(f"{kind}/a", kind=kind) for kind in kinds]
    pace = Pace(messages=2)
    made = deliver(incidents, [], {"r": send}, NOON, sent_lately={"r": 1}, pace=pace)
    assert (len(heard), len(made)) == (1, 1)
    made += deliver(incidents, made, {"r": send}, NOON + pace.window, pace=pace)
    assert {one.incident.kind for message in heard for one in message.notices} == set(kinds)
    assert len(made) == 3


def test_an_address_that_apprise_does_not_know_is_named_without_its_secret() -> None:
    with pytest.raises(TerminalError, match=r"alert_urls\[1\] \(nonsense-[0-9a-f]{8}\)") as error:
        check(["json://127.0.0.1/x", "nonsense://user:secret@host"])
    assert "secret" not in str(error.value)
    assert "secret" not in receiver_name("json://user:secret@host/x")


def test_an_attempt_has_the_columns_of_its_contract_in_order() -> None:
    assert list(Attempt.__dataclass_fields__) == [column.name for column in ALERTS.columns]


SUBJECTS = ("a", "b", "c")
steps = st.lists(
    st.tuples(st.integers(1, 60), st.sets(st.sampled_from(SUBJECTS)), st.booleans()), min_size=1, max_size=20
)


@given(history=steps)
def test_whatever_happens_each_notice_is_sent_at_most_once_and_in_the_end_all_that_stand(
    history: list[tuple[int, set[str], bool]],
) -> None:
    now, table, told = NOON, {}, {}  # type: int, dict[str, Incident], dict[tuple[str, str], Attempt]
    sent: list[tuple[str, str]] = []

    def tick(broken: bool) -> None:
        made = deliver(list(table.values()), list(told.values()), {"r": lambda _: "away" if broken else ""}, now)
        for one in made:
            told[one.incident_id, one.event] = one
            if one.state == "sent":
                sent.append((one.incident_id, one.event))

    for minutes, wrong, broken in history:
        now += minutes * MINUTE
        found = [Finding(name, "stale", name, "look") for name in sorted(wrong)]
        for one in reconcile(table.values(), found, set(SUBJECTS) - wrong, now):
            table[one.incident_id] = one
        tick(broken)
    for _ in range(3):
        now += 60 * MINUTE
        tick(broken=False)
    assert len(sent) == len(set(sent)), "nothing is told twice"
    assert {one.incident_id for one in table.values() if one.is_open} <= {i for i, event in sent if event == "opened"}
    recovered = {i for i, event in sent if event == "closed"}
    assert recovered == {i for i, _ in told if not table[i].is_open}, "who heard, or could not hear, hears of the end"


def test_a_receiver_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("quality.receivers.TIMEOUT_S", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        assert send_text(f"json://127.0.0.1:{silent.getsockname()[1]}/x", "title", "body")
        assert time.monotonic() - began < 2
