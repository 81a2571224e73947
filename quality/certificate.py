"""The certificate of a tape: what each way to replay it left in the tables, whether that is the same, and its page."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from contracts.errors import TerminalError
from quality.report.files import write_page

# Where certificates lie below the data directory, and what their files begin with.
FOLDER = "certificates"
PREFIX = "certificate-"


@dataclass(frozen=True)
class Table:
    """Rows of a table and their content hash: 16 hexadecimal digits, the same in whatever order the rows lie."""

    rows: int
    hash: str


@dataclass(frozen=True)
class Outcome:
    """What one variant came to. `killed` names each process that was killed, once for every time."""

    name: str
    described: str
    seconds: float
    missing: int
    twice: int
    killed: tuple[str, ...]
    tables: dict[str, Table]


@dataclass(frozen=True)
class Certificate:
    """A tape's variants side by side. `stretch_s` is how much of the tape was replayed."""

    tape: str
    stretch_s: float
    records: int
    seed: int
    began: datetime
    seconds: float
    variants: tuple[Outcome, ...]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The tables that any variant has, in their order."""
        longest = max((variant.tables for variant in self.variants), key=len, default={})
        return tuple(dict.fromkeys([*longest, *(name for one in self.variants for name in one.tables)]))

    @property
    def differences(self) -> tuple[str, ...]:
        """What speaks against it, a sentence each; none when it is the same throughout."""
        return (*_unlike(self), *_unbalanced(self.variants), *_empty(self))

    @property
    def equal(self) -> bool:
        """Tell whether every variant's audit balances and every table is the same in all variants that have it."""
        return not self.differences

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        ways = f"{len(self.variants)} ways"
        if not self.equal:
            return f"Not the same throughout: {self.differences[0]}."
        return f"The same throughout: {self.records:,} payloads replayed in {ways} left the same rows in every table."

    def told(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "equal": self.equal,
            "differences": list(self.differences),
            **asdict(self),
            "began": self.began.isoformat(),
        }


def _unlike(certificate: Certificate) -> list[str]:
    found = []
    for name in certificate.names:
        held = [(one.name, one.tables[name]) for one in certificate.variants if name in one.tables]
        if others := [(variant, table) for variant, table in held if table != held[0][1]]:
            (first, expected), (other, table) = held[0], others[0]
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            found.append(
                f"{name} holds {expected.rows:,} rows with hash {expected.hash} in {first}, "
                f"{table.rows:,} with {table.hash} in {other}{more}"
            )
    return found


def _unbalanced(variants: Sequence[Outcome]) -> list[str]:
    return [
        f"the audit of {one.name} found {one.missing:,} missing and {one.twice:,} twice"
        for one in variants
        if one.missing or one.twice
    ]


def _empty(certificate: Certificate) -> list[str]:
    if len(certificate.variants) < 2:
        return ["one variant alone shows nothing"]
    if not any(table.rows for one in certificate.variants for table in one.tables.values()):
        return ["no table holds a row"]
    return []


def write(folder: Path, certificate: Certificate) -> tuple[Path, Path]:
    """Write certificate-TIME.json and its page beside it, and return both."""
    stem = f"{PREFIX}{certificate.began:%Y%m%dT%H%M%SZ}"
    document, page = folder / f"{stem}.json", folder / f"{stem}.html"
    write_page(page, render(certificate))
    write_page(document, json.dumps(certificate.told(), indent=2) + "\n")
    return document, page


def read(document: Path) -> Certificate:
    """Read back what `write` wrote; TerminalError when it is no certificate."""
    try:
        told = json.loads(document.read_text())
        variants = tuple(
            Outcome(**{**one, "killed": tuple(one["killed"]), "tables": _tables(one["tables"])})
            for one in told["variants"]
        )
        plain = {name: told[name] for name in ("tape", "stretch_s", "records", "seed", "seconds", "left_out")}
        return Certificate(**plain, began=datetime.fromisoformat(told["began"]), variants=variants)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TerminalError(f"{document} is no certificate: {error!r}; `tapehouse certify` writes one") from error


def _tables(told: dict[str, Any]) -> dict[str, Table]:
    return {name: Table(int(table["rows"]), str(table["hash"])) for name, table in told.items()}


def newest(folder: Path) -> Certificate | None:
    """Return the newest certificate in the folder; None where there is none."""
    found = sorted(folder.glob(f"{PREFIX}*.json"))
    return read(found[-1]) if found else None


def line(folder: Path) -> str:
    """Say in one line, for the report, what the newest certificate in the folder says; empty where there is none."""
    try:
        certificate = newest(folder)
    except TerminalError as error:
        return str(error)
    if certificate is None:
        return ""
    return f"{certificate.sentence} Tape {certificate.tape}, {certificate.began:%Y-%m-%d %H:%M} UTC."


def render(certificate: Certificate) -> str:
    """Return the page: it needs nothing else, no script, no font, no picture from anywhere."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    return environment.get_template("certificate.html.j2").render(certificate=certificate)
