"""The ways in which the tape is replayed."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.errors import TerminalError

PLAYED, PRODUCED = "played", "produced"


@dataclass(frozen=True)
class Variant:
    """One way to replay a tape.

    Played: by the replay server to a collector, at the recorded `speed` (1) or as fast as it goes (None). Produced: its
    payloads and the events parsed from them go to Kafka at once, `shuffled`: in any order, every tenth event twice.
    `killed` names the processes that are killed with kill -9 while it happens.
    """

    name: str
    how: str
    partitions: int
    speed: float | None = None
    shuffled: bool = False
    killed: tuple[str, ...] = ()

    @property
    def described(self) -> str:
        """Say in words what is done."""
        if self.how == PLAYED:
            done = "recorded speed" if self.speed else "full speed"
        else:
            done = "shuffled, every tenth event twice" if self.shuffled else "in the order of the tape"
        partitions = f"{self.partitions} partition{'s' if self.partitions > 1 else ''}"
        return ", ".join([done, partitions, *(f"{name} killed" for name in self.killed)])


KILLED = ("streams", "warehouse")

VARIANTS = (
    Variant("recorded-4", PLAYED, 4, speed=1.0),
    Variant("full-1", PLAYED, 1),
    Variant("full-4-killed", PLAYED, 4, killed=KILLED),
    Variant("full-8", PLAYED, 8),
    Variant("shuffled-1", PRODUCED, 1, shuffled=True),
    Variant("shuffled-4-killed", PRODUCED, 4, shuffled=True, killed=KILLED),
    Variant("shuffled-8", PRODUCED, 8, shuffled=True),
)


def chosen(names: Sequence[str]) -> tuple[Variant, ...]:
    """Return the variants of these names, all where none is named; TerminalError for an unknown one."""
    known = {variant.name: variant for variant in VARIANTS}
    if unknown := [name for name in names if name not in known]:
        raise TerminalError(f"no such variant: {', '.join(unknown)}; valid: {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(names)) or VARIANTS
