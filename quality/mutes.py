"""Mutes: incidents of which nobody is told for a while. They stay open, and are listed."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from contracts.mutes import MUTES
from quality.incidents import Incident

if TYPE_CHECKING:
    from stores.warehouse import Warehouse


@dataclass(frozen=True)
class Mute:
    """An incident's id or a pattern of subjects, `*` for anything; until when nobody is told, and why. Times in µs."""

    pattern: str
    until_time: int
    reason: str
    known_time: int

    def covers(self, incident: Incident, now: int) -> bool:
        """Tell whether an incident is not to be told of now."""
        return now < self.until_time and (
            self.pattern == incident.incident_id or fnmatchcase(incident.subject, self.pattern)
        )


def read_mutes(warehouse: "Warehouse", now: int) -> list[Mute]:
    """Read the mutes that hold now."""
    from quality.stored import read

    where = "until_time > fromUnixTimestamp64Micro({now:Int64}, 'UTC')"
    return sorted((Mute(**row) for row in read(warehouse, MUTES, where, {"now": now})), key=lambda one: one.pattern)


def write_mute(warehouse: "Warehouse", mute: Mute) -> None:
    """Keep a mute; one whose time is past ends what was said of its pattern before."""
    from quality.stored import append

    append(warehouse, MUTES, [asdict(mute)])


def audible(incidents: Iterable[Incident], mutes: Sequence[Mute], now: int) -> list[Incident]:
    """Return the incidents that are told of."""
    return [one for one in incidents if not any(mute.covers(one, now) for mute in mutes)]
