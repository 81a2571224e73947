"""`tapehouse topics | migrate`: what the contracts say, made real in Kafka, the registry and the warehouse."""

import json
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from contracts.dataset import Topic
    from orchestration.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(topics)
    app.command()(migrate)


def topics(
    apply: Annotated[bool, typer.Option("--apply", help="Create missing topics and register schemas first.")] = False,
    as_json: Json = False,
) -> None:
    """List topics: partitions, retention, key, schema version, records; says how they differ from the contracts.

    Exit code 0: all are there and as their contracts say.
    """
    from orchestration import prepare
    from orchestration.values import read_settings

    settings = read_settings()
    if apply:
        prepare.apply_topics(settings)
    listed, differences = _listed(settings)
    if as_json:
        sys.stdout.write(json.dumps({"topics": [asdict(one) for one in listed], "differences": differences}, indent=2))
        sys.stdout.write("\n")
    else:
        _print(listed, differences)
    if differences or not all(one.there for one in listed):
        raise typer.Exit(1)


@dataclass(frozen=True)
class Listed:
    """A topic that the contracts ask for, and what Kafka and the registry hold of it."""

    topic: str
    partitions: int
    retention: str
    key: tuple[str, ...]
    there: bool
    schema_version: int | None = None
    records: int = 0
    bytes: int = 0


def _listed(settings: "Settings") -> tuple[list[Listed], list[str]]:
    """Return the topics, and how those that are there differ from their contracts."""
    from deploy.kafka_sizes import topic_bytes
    from orchestration import prepare
    from orchestration.values import stack_settings
    from stores import broker, registry

    wanted = [topic for _, topic in prepare.topics(settings.venues)]
    existing = set(broker.topic_names(settings.broker))
    present = [topic for topic in wanted if topic.name in existing]
    held = broker.record_counts(settings.broker, [topic.name for topic in present])
    sizes = topic_bytes(stack_settings(settings).jars_dir, settings.broker.bootstrap)
    listed = [
        Listed(
            topic=topic.name,
            partitions=topic.partitions,
            retention=kept(topic),
            key=tuple(topic.key),
            there=topic.name in held,
            schema_version=registry.latest_version(settings.registry, topic.name) if topic.name in held else None,
            records=held.get(topic.name, 0),
            bytes=sizes.get(topic.name, 0),
        )
        for topic in wanted
    ]
    return listed, [str(difference) for difference in broker.topic_differences(settings.broker, present)]


def _print(listed: list[Listed], differences: list[str]) -> None:
    from orchestration.cli.tables import plain, printer

    numbers = ("partitions", "retention", "schema", "records", "size")
    shown = plain("topic", "partitions", "retention", "key", "schema", "records", "size", right=numbers)
    for one in listed:
        cells = [one.topic, str(one.partitions), one.retention, ", ".join(one.key)]
        if one.there:
            version = f"v{one.schema_version}" if one.schema_version else "none"
            cells += [version, f"{one.records:,}", f"{one.bytes / 2**20:,.1f} MiB"]
        else:
            cells += ["", "[red]not there[/]", ""]
        shown.add_row(*cells)
    console = printer()
    console.print(shown)
    for difference in differences:
        console.print(difference, style="red", markup=False)


def kept(topic: "Topic") -> str:
    """Say for how long a topic keeps its records, or that it keeps the last of each key."""
    if topic.cleanup_policy == "compact":
        return "compact"
    return "unlimited" if topic.retention_hours < 0 else f"{topic.retention_hours // 24} d"


def migrate(as_json: Json = False) -> None:
    """Apply the warehouse's missing migrations and hold its tables against the contracts."""
    from orchestration.prepare import apply_migrations
    from orchestration.values import read_settings

    done = apply_migrations(read_settings())
    if as_json:
        sys.stdout.write(json.dumps({"applied": done}, indent=2) + "\n")
        return
    typer.echo("\n".join(f"applied {name}" for name in done) or "nothing to apply; tables are as their contracts say")
