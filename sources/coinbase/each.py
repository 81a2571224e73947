"""Lists of entries, each of which is an event of its own: a bad one does not take its neighbours along."""

from collections.abc import Callable

from sources.events import Event
from sources.fields import Fault, Message, wrong_type


def each(dataset: str, entries: object, name: str, read: Callable[[Message], Event]) -> list[Event]:
    """Read every entry; what can't be accepted is rejected in its place. Fault when there is no list at all."""
    if type(entries) is not list:
        raise wrong_type(name, entries, "list")
    found: list[Event] = []
    for entry in entries:
        try:
            if type(entry) is not dict:
                raise wrong_type(name, entry, "list of objects")
            found.append(read(entry))
        except Fault as fault:
            found.append(fault.rejected(dataset))
    return found
