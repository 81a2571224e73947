"""The stretch of a tape that is replayed: its first seconds, cut into a tape of its own."""

from dataclasses import dataclass
from pathlib import Path

from contracts.errors import TerminalError
from sources.demo import TAPES
from sources.replay.player import Play
from sources.replay.stage import stream_of
from sources.tape_file import TapeWriter, read_header, read_tape


@dataclass(frozen=True)
class Stretch:
    """A tape of one venue. `seconds` is how long it takes at the recorded speed, as the replay server plays it."""

    path: Path
    venue: str
    tape: str
    records: int
    seconds: float


def cut(tape: str, seconds: float, target: Path) -> Stretch:
    """Write the first `seconds` of a tape, a venue's demo tape or a file; TerminalError unless it is one venue's."""
    source = TAPES.get(tape, Path(tape))
    if not source.is_file():
        raise TerminalError(f"there is no tape {tape!r}; valid: a tape file, or a demo tape: {', '.join(TAPES)}")
    header = read_header(source)
    clock, before, venues = 0.0, None, set()
    with TapeWriter(target, source=header.source, licence=header.licence) as writer:
        streams: dict[str, set[str]] = {}
        for record in read_tape(source):
            # As the player counts: a long silence, between recordings of different years, is cut.
            silence = (record.received_time - before) / 1e6 if before is not None else 0.0
            passed = clock + min(max(silence, 0.0), Play.longest_silence_s)
            if passed > seconds:
                break
            clock, before = passed, record.received_time
            venues.add(record.venue)
            writer.write(record)
            found = None if record.request else stream_of(f"{record.venue}/{record.endpoint}")(record.payload)
            if found is not None:
                streams.setdefault(record.endpoint, set()).add(found)
        writer.streams.update({endpoint: sorted(names) for endpoint, names in streams.items()})
        if len(venues) != 1:
            raise TerminalError(
                f"the first {seconds:g} s of {tape} hold {sorted(venues)}: a tape of one venue is wanted"
            )
    return Stretch(target, venues.pop(), source.name, writer.records, round(clock, 3))
