"""Send messages through apprise, and keep what was told to whom."""

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from contracts.errors import TerminalError
from contracts.incidents import ALERTS
from quality.alerts import CLOSED, PENDING, Attempt, Message, Pace, deliver
from quality.incidents import SECOND, read_since
from quality.mutes import audible, read_mutes

if TYPE_CHECKING:
    from stores.warehouse import Warehouse

TIMEOUT_S = 5.0
DEADLINE_S = 15.0
# What closed longer ago is no news any more.
NEWS = 24 * 3600 * SECOND

log = logging.getLogger(__name__)


def receiver_name(url: str) -> str:
    """Name a receiver without giving away its address, which may hold a password."""
    scheme = url.split("://", 1)[0] if "://" in url else "unknown"
    return f"{scheme}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"


def receivers(urls: Iterable[str]) -> dict[str, Callable[[Message], str]]:
    """Return a sender for each address, by its name."""
    return {receiver_name(url): _sender(url) for url in urls}


def text_senders(urls: Iterable[str], setting: str) -> dict[str, Callable[[str, str], str]]:
    """Return for each address, by its name, what sends a title and a text; TerminalError names a bad address."""
    known = list(dict.fromkeys(urls))
    check(known, setting)
    return {receiver_name(url): partial(send_text, url) for url in known}


def check(urls: Iterable[str], setting: str = "alert_urls") -> None:
    """Raise TerminalError that names the first address that apprise does not know."""
    for number, url in enumerate(urls):
        if _service(url) is None:
            raise TerminalError(
                f"{setting}[{number}] ({receiver_name(url)}): {_NO_ADDRESS}: correct TAPEHOUSE_{setting.upper()}"
            )


_NO_ADDRESS = (
    "no address that apprise knows; valid are those of its list of services, as json://host:port/path for a webhook"
)


def _service(url: str) -> Any:
    from apprise import Apprise  # loads a module for each of a hundred services

    service = Apprise.instantiate(url, suppress_exceptions=True)
    if service is not None:
        service.socket_connect_timeout = TIMEOUT_S
        service.socket_read_timeout = TIMEOUT_S
    return service


def _sender(url: str) -> Callable[[Message], str]:
    def send(message: Message) -> str:
        problem = send_text(url, message.title, message.body, good=message.event == CLOSED, severe=message.severe)
        if problem:
            log.warning("alert to %s not sent, it will be tried again: %s", receiver_name(url), problem)
        return problem

    return send


def send_text(url: str, title: str, body: str, *, good: bool = False, severe: bool = False) -> str:
    """Send a text to one address within seconds, and return why that failed, or nothing. Never raises."""
    try:
        from apprise import Apprise, NotifyType

        service = _service(url)
        if service is None:
            return _NO_ADDRESS
        sender = Apprise()
        sender.add(service)
        kind = NotifyType.SUCCESS if good else NotifyType.FAILURE if severe else NotifyType.WARNING
        done = sender.notify(body=body, title=title, notify_type=kind, timeout=DEADLINE_S)
        # Below a warning stand addresses, which may hold passwords.
        told = dict.fromkeys(entry.message for entry in done.logs() if entry.level in ("WARNING", "ERROR"))
        return "" if done else " ".join(told) or "it did not accept the message, or did not answer in time"
    # Alerts must never end what they tell of: whatever a service's module raises is a reason to try again.
    except Exception as error:
        return f"{type(error).__name__} while sending"


def send_owed(warehouse: "Warehouse", urls: Iterable[str], now: int, pace: Pace | None = None) -> list[Attempt]:
    """Tell the receivers what they are owed, keep what became of it, and return the tries."""
    from quality.stored import append, read

    pace = pace or Pace()
    told = receivers(urls)
    if not told:
        return []
    # What is muted is still owed, and told when the mute ends.
    incidents = audible(read_since(warehouse, now - NEWS), read_mutes(warehouse, now), now)
    if not incidents:
        return []
    ids = {"ids": [one.incident_id for one in incidents]}
    attempts = [Attempt(**row) for row in read(warehouse, ALERTS, "incident_id IN {ids:Array(String)}", ids)]
    made = deliver(incidents, attempts, told, now, sent_lately=_sent_lately(warehouse, now - pace.window), pace=pace)
    append(warehouse, ALERTS, (asdict(one) for one in made))
    return made


def _sent_lately(warehouse: "Warehouse", since: int) -> dict[str, int]:
    rows = warehouse.rows(
        f"SELECT receiver, uniqExact(message_id) FROM {ALERTS.table} "
        f"WHERE state != '{PENDING}' AND known_time > fromUnixTimestamp64Micro({{since:Int64}}, 'UTC') "
        "GROUP BY receiver",
        {"since": since},
    )
    return {str(name): int(count) for name, count in rows}
