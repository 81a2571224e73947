"""Parts of imports for tests: files on the disk, planned, and the events of all their pieces."""

import dataclasses
import json
import subprocess
import sys
import zipfile
from pathlib import Path

from sources.events import Accepted, Event, Rejected
from sources.importing import content
from sources.importing.parse import FILE, parse
from sources.importing.part import Part
from sources.importing.planning import Wish, plan
from stores.settings import BrokerSettings, RegistrySettings

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
CRYPTO = SHARED / "crypto_ohlcv" / "QuantConnect+Lean"
EQUITIES = SHARED / "equities" / "QuantConnect+Lean"


def packed(path: Path, text: str, inner: str = "inner.csv") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(inner, text)
    return path


def only(path: Path, wish: Wish | None = None) -> Part:
    """Plan a file that has one part."""
    [part] = plan(path, wish or Wish())
    return part


def events_of(part: Part, since_line: int = 0) -> list[Event]:
    """Parse all pieces of a part as their tape would be, from a line on."""
    found: list[Event] = []
    for first, payload, _ in content.pieces(part.open(), max(part.skip, since_line - 1)):
        found += parse(FILE, payload, part.piece(first).request)
    return found


def rows_of(part: Part) -> list[dict[str, object]]:
    return [event.row for event in events_of(part) if isinstance(event, Accepted)]


def refused_of(part: Part) -> list[Rejected]:
    return [event for event in events_of(part) if isinstance(event, Rejected)]


KILLED = """
import asyncio, json, os, signal, sys
from pathlib import Path
from sources.collector import pipeline
from sources.importing import content
from sources.importing.files import import_part
from sources.importing.planning import Wish, plan
from sources.importing.run import ImportSettings, sender
from stores.settings import BrokerSettings, RegistrySettings

asked = json.loads(sys.argv[1])
content.LINES_A_PIECE = 20
derive, count = pipeline.Pipeline._derive, 0

def derive_or_die(self, entry):
    global count
    count += 1
    if count > asked["after"]:
        self._producer.flush(10)
        os.kill(os.getpid(), signal.SIGKILL)
    # What a crash leaves: the events of every third payload behind the last commit are not sent.
    if count <= asked["whole"] or count % 3:
        derive(self, entry)

pipeline.Pipeline._derive = derive_or_die
settings = ImportSettings(
    BrokerSettings(**asked["broker"]), RegistrySettings(**asked["registry"]), Path(asked["folder"])
)
[part] = plan(Path(asked["file"]), Wish(asked["venue"], asked["name"]))
with sender(settings) as sending:
    asyncio.run(import_part(sending, part, lambda part, record: lambda record, units: None))
"""


def kill_import(
    broker: BrokerSettings, registry: RegistrySettings, folder: Path, path: Path, wish: Wish, *, after: int, whole: int
) -> None:
    """Import a file in pieces of 20 lines in a process that is killed after so many, the first `whole` done with."""
    asked = {
        "broker": dataclasses.asdict(broker), "registry": dataclasses.asdict(registry), "folder": str(folder),
        "file": str(path), "venue": wish.venue, "name": wish.instrument, "after": after, "whole": whole,
    }  # fmt: skip
    process = subprocess.run([sys.executable, "-c", KILLED, json.dumps(asked)], capture_output=True, check=False)
    assert process.returncode == -9, process.stderr.decode()
