"""`tapehouse topics | migrate`: what the contracts say, made real in Kafka, the registry and the warehouse."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from contracts.dataset import Topic


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(topics)
    app.command()(migrate)


def topics(
    apply: Annotated[bool, typer.Option("--apply", help="Create missing topics and register schemas first.")] = False,
) -> None:
    """List topics: partitions, retention, key, schema version, records; says how they differ from the contracts."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from deploy.kafka_sizes import topic_bytes
    from orchestration import prepare
    from orchestration.values import read_settings, stack_settings
    from stores import broker, registry

    settings = read_settings()
    if apply:
        prepare.apply_topics(settings)
    wanted = prepare.topics(settings.venues)
    existing = set(broker.topic_names(settings.broker))
    present = [topic for _, topic in wanted if topic.name in existing]
    held = broker.record_counts(settings.broker, [topic.name for topic in present])
    sizes = topic_bytes(stack_settings(settings).jars_dir, settings.broker.bootstrap)
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("topic", "partitions", "retention", "key", "schema", "records", "size"):
        shown.add_column(name, justify="left" if name in ("topic", "key") else "right")
    for _, topic in wanted:
        cells = [topic.name, str(topic.partitions), kept(topic), ", ".join(topic.key)]
        if topic.name in held:
            version = registry.latest_version(settings.registry, topic.name)
            cells += [
                f"v{version}" if version else "none",
                f"{held[topic.name]:,}",
                f"{sizes.get(topic.name, 0) / 2**20:,.1f} MiB",
            ]
        else:
            cells += ["", "[red]not there[/]", ""]
        shown.add_row(*cells)
    # Not cut to the width of a pipe: programs read it too.
    console = Console() if sys.stdout.isatty() else Console(width=160)
    console.print(shown)
    differences = broker.topic_differences(settings.broker, present)
    for difference in differences:
        console.print(f"[red]{difference}[/]")
    if differences or len(present) < len(wanted):
        raise typer.Exit(1)


def kept(topic: "Topic") -> str:
    """Say for how long a topic keeps its records, or that it keeps the last of each key."""
    if topic.cleanup_policy == "compact":
        return "compact"
    return "unlimited" if topic.retention_hours < 0 else f"{topic.retention_hours // 24} d"


def migrate() -> None:
    """Apply the warehouse's missing migrations and hold its tables against the contracts."""
    from orchestration.prepare import apply_migrations
    from orchestration.values import read_settings

    done = apply_migrations(read_settings())
    typer.echo("\n".join(f"applied {name}" for name in done) or "nothing to apply; tables are as their contracts say")
