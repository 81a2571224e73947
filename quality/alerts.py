"""Who is told of which incident, and when: once when it opens, once when it closes, never in a flood.

Plain functions of plain values; quality/receivers.py sends. Times are microseconds since the epoch.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from quality.incidents import SECOND, Incident

OPENED, CLOSED = "opened", "closed"
SENT, PENDING = "sent", "pending"
INCIDENTS_SHOWN = 20
DETAIL_LENGTH = 500


@dataclass(frozen=True)
class Pace:
    """How often a receiver may be bothered: messages in a window, and the pauses after one that failed."""

    messages: int = 10
    window: int = 600 * SECOND
    first_pause: int = 30 * SECOND
    longest_pause: int = 1800 * SECOND

    def pause(self, attempts: int) -> int:
        """Return how long to wait after so many tries in vain."""
        return min(self.first_pause << min(attempts - 1, 20), self.longest_pause)


@dataclass(frozen=True)
class Attempt:
    """One try to tell a receiver of one incident, as the table holds it."""

    incident_id: str
    event: str
    receiver: str
    attempt: int
    state: str
    message_id: str
    detail: str
    known_time: int


@dataclass(frozen=True)
class Notice:
    """One incident to be told of, and how often that was tried."""

    incident: Incident
    event: str
    attempts: int = 0


@dataclass(frozen=True)
class Message:
    """Notices of one event and kind of incident, told together."""

    event: str
    notices: tuple[Notice, ...]

    @property
    def severe(self) -> bool:
        """Tell whether any of the incidents is an error."""
        return any(one.incident.severity == "error" for one in self.notices)

    @property
    def title(self) -> str:
        """Say in a line what happened."""
        word = "recovered" if self.event == CLOSED else "error" if self.severe else "warning"
        first = self.notices[0].incident
        more = f" and {len(self.notices) - 1} more" if len(self.notices) > 1 else ""
        return f"Tapehouse {word}: {first.title}{more}"

    @property
    def body(self) -> str:
        """Tell of each incident what a person needs first."""
        shown = [_paragraph(one) for one in self.notices[:INCIDENTS_SHOWN]]
        left = len(self.notices) - len(shown)
        return "\n\n".join([*shown, *([f"and {left} more: tapehouse incidents"] if left else [])])

    @property
    def message_id(self) -> str:
        """Name the message: a hash of what it tells of, and of the tries before."""
        text = "\n".join(f"{one.incident.incident_id} {one.event} {one.attempts}" for one in self.notices)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _paragraph(notice: Notice) -> str:
    one = notice.incident
    lines = [one.title, f"since {_utc(one.opened_time)}"]
    if notice.event == CLOSED:
        lines[1] = f"from {_utc(one.opened_time)} to {_utc(one.closed_time)}, repaired in {one.repair_s or 0:,.0f} s"
    if one.affected_rows:
        lines.append(f"rows affected: {one.affected_rows:,}")
    if notice.event == OPENED:
        lines.append(f"what to do: {one.next_step}")
        if one.downstream:
            lines.append(f"touches: {one.downstream}")
        if page := json.loads(one.evidence or "{}").get("page"):
            lines.append(f"evidence: {page}")
    return "\n".join([*lines, f"incident {one.incident_id}"])


def _utc(micros: int) -> str:
    return f"{datetime.fromtimestamp(micros // SECOND, UTC):%Y-%m-%d %H:%M:%S} UTC"


def owed(
    incidents: Iterable[Incident], attempts: Iterable[Attempt], receiver: str, now: int, pace: Pace | None = None
) -> list[Notice]:
    """Return what the receiver is to be told now; `attempts` are the last ones of each incident and event.

    An incident that was over before anybody was told of it is told once, when somebody had tried to: as recovered.
    """
    pace = pace or Pace()
    tried = {(one.incident_id, one.event): one for one in attempts if one.receiver == receiver}
    notices = []
    for incident in incidents:
        event = OPENED if incident.is_open else CLOSED
        last = tried.get((incident.incident_id, event))
        if event == CLOSED and (incident.incident_id, OPENED) not in tried:
            continue
        if last is not None and (last.state == SENT or now - last.known_time < pace.pause(last.attempt)):
            continue
        notices.append(Notice(incident, event, last.attempt if last else 0))
    return notices


def grouped(notices: Iterable[Notice]) -> list[Message]:
    """Put notices together: one message an event and kind, the severe ones first."""
    groups: dict[tuple[str, str], list[Notice]] = {}
    for one in notices:
        groups.setdefault((one.event, one.incident.kind), []).append(one)
    messages = [Message(event, tuple(sorted(group, key=_first))) for (event, _), group in groups.items()]
    return sorted(messages, key=lambda one: (one.event == CLOSED, not one.severe))


def _first(notice: Notice) -> tuple[bool, int, str]:
    return notice.incident.severity != "error", notice.incident.opened_time, notice.incident.incident_id


def deliver(
    incidents: Sequence[Incident],
    attempts: Sequence[Attempt],
    receivers: Mapping[str, Callable[[Message], str]],
    now: int,
    *,
    sent_lately: Mapping[str, int] | None = None,
    pace: Pace | None = None,
) -> list[Attempt]:
    """Tell each receiver what it is owed, and return the tries made.

    A receiver is a function that sends a message and returns why it could not, or nothing. `sent_lately` counts each
    receiver's messages within the pace's window: what would be too many is not tried, and is still owed.
    """
    pace = pace or Pace()
    made: list[Attempt] = []
    for name, send in receivers.items():
        room = max(pace.messages - (sent_lately or {}).get(name, 0), 0)
        for message in grouped(owed(incidents, attempts, name, now, pace))[:room]:
            problem = send(message)[:DETAIL_LENGTH]
            state = PENDING if problem else SENT
            made.extend(
                Attempt(
                    incident_id=one.incident.incident_id,
                    event=one.event,
                    receiver=name,
                    attempt=one.attempts + 1,
                    state=state,
                    message_id=message.message_id,
                    detail=problem,
                    known_time=now,
                )
                for one in message.notices
            )
            if problem:
                # Who refuses one message now would refuse the next as well, each after its time-out.
                break
    return made
