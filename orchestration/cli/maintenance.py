"""`tapehouse retention | compact`: what is retired by which rule, and few large files instead of many small ones."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from assets.retention import Retirement
    from stores.compaction import Size

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(retention)
    app.command()(compact)


def retention(
    dry_run: DryRun = False,
    record: Annotated[bool, typer.Option("--record", help="Show what was sealed and dropped until now.")] = False,
    export: Annotated[
        bool, typer.Option("--export", help="First write the exports that retention_backup asks for.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Drop the days that an earlier run sealed and seal those that are over their time; say why others are kept.

    A day goes when its rollups hold its trades, its parity passed and its backup is there.
    """
    from assets import retention as retiring
    from orchestration.values import read_settings
    from stores.seals import read_seals
    from stores.warehouse import Warehouse

    settings = read_settings()
    warehouse = Warehouse(settings.warehouse)
    if record:
        seals = [asdict(one) for one in read_seals(warehouse)]
        for one in seals:
            one["known_time"] = datetime.fromtimestamp(one["known_time"] / 1e6, UTC)
        if as_json:
            sys.stdout.write(json.dumps({"seals": seals}, indent=2, default=str) + "\n")
        else:
            _print(("dataset", "day", "venue", "kafka_partition", "row_count", "state", "rule", "known_time"), seals)
        return
    places, wishes, now = retiring.Places(warehouse, settings.lake), settings.retention, datetime.now(UTC)
    if export and not dry_run:
        retiring.export(places, wishes, now, _progress)
    told = retiring.plan(places, wishes, now) if dry_run else retiring.retire(places, wishes, now, _progress)
    if as_json:
        rows = [asdict(one) for one in told]
        sys.stdout.write(json.dumps({"partitions": rows}, indent=2, default=str) + "\n")
        return
    _show(told)


def _progress(text: str) -> None:
    typer.secho(text, err=True, dim=True)


def _show(told: "list[Retirement]") -> None:
    if not told:
        typer.echo("no day is over its time")
        return
    _print(("dataset", "partition", "rows", "state", "rule", "reason"), [asdict(one) for one in told])


def _print(names: tuple[str, ...], rows: list[dict[str, object]]) -> None:
    from orchestration.cli.tables import plain, printer

    table = plain(*names, right={"rows", "row_count"})
    for row in rows:
        cells = (row[name] for name in names)
        table.add_row(*(f"{one:,}" if isinstance(one, int) else str(one) for one in cells))
    printer().print(table)


def compact(dry_run: DryRun = False, as_json: Json = False) -> None:
    """Put the small files of days that are over together, in lake and warehouse; tell files, bytes and their cost."""
    from assets.maintenance import storage_sizes
    from assets.store import Store
    from orchestration.settings import REPOSITORY
    from orchestration.values import read_settings
    from stores import compaction

    settings = read_settings()
    store = Store(settings.warehouse, settings.lake, REPOSITORY / "sql" / "queries")
    warehouse, today = store.warehouse(), datetime.now(UTC).date()
    before = storage_sizes(store)
    if dry_run:
        done = compaction.lake_work(store.lake, today) + compaction.warehouse_work(warehouse, today)
    else:
        done = compaction.compact(warehouse, store.lake, today, _progress)
    after = before if dry_run else storage_sizes(store)
    rows = [{"table": name, **_sizes(before.get(name, now), now)} for name, now in sorted(after.items())]
    if as_json:
        work = [asdict(one) for one in done]
        sys.stdout.write(json.dumps({"compacted": work, "dry_run": dry_run, "tables": rows}, indent=2) + "\n")
        return
    _print(tuple(rows[0]), rows)
    typer.echo(f"{len(done)} partitions {'would be' if dry_run else 'were'} compacted")


def _sizes(before: "Size", after: "Size") -> dict[str, object]:
    return {
        "files before": before.files,
        "files after": after.files,
        "bytes before": before.bytes,
        "bytes after": after.bytes,
        "rows": after.rows,
        "bytes a million": after.bytes_a_million,
    }
