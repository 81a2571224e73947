"""`tapehouse features`: training sets from stored features, and the look-ahead linter."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

if TYPE_CHECKING:
    from assets.feature_lint import Linted
    from features.asof import AsOf
    from features.declared import Feature

SHOWN = 10


def add(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Features: training sets, and the look-ahead linter.", no_args_is_help=True)
    group.command()(build)
    group.command()(lint)
    app.add_typer(group, name="features")


def build(
    labels: Annotated[
        Path, typer.Option(help="Parquet, Arrow or CSV with venue, instrument, a time, and any other columns.")
    ],
    features: Annotated[str, typer.Option(help="Their names with commas between; all of them unless told.")] = "",
    as_of: Annotated[
        str, typer.Option(help="known: what was known at a label's time; event: the last revision, whenever it came.")
    ] = "known",
    min_quality: Annotated[
        float | None, typer.Option(min=0, max=1, help="Leave out labels whose quality score was lower or not known.")
    ] = None,
    time: Annotated[str, typer.Option(help="The labels' column of times.")] = "time",
    out: Annotated[
        Path | None, typer.Option(help="Write to this .parquet, .arrow or .csv; without it the first rows are shown.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all rows as JSON for programs.")] = False,
) -> None:
    """Put beside each label what was known of the features at its time: no later row, and no later revision."""
    from assets.training_sets import read_labels, write_set
    from contracts.errors import TerminalError
    from features.asof import AS_OF
    from orchestration.read import training_set

    if as_of not in AS_OF:
        raise TerminalError(f"--as-of {as_of!r} is unknown; valid: {', '.join(AS_OF)}")
    names = [name for part in features.split(",") if (name := part.strip())] or None
    asked = read_labels(labels)
    how = cast("AsOf", as_of)
    made = training_set(asked, names, time=time, as_of=how, min_quality=min_quality)
    if out is not None:
        write_set(made, out)
    if as_json:
        sys.stdout.write(made.write_json() + "\n")
    elif out is None:
        _show(made)
    new = [column for column in made.columns if column not in asked.columns]
    filled = made.select(new).count().sum_horizontal()[0] / max(made.height * len(new), 1)
    left_out = asked.height - made.height
    less = f", {left_out} left out for their quality" if left_out else ""
    where = f" in {out}" if out is not None else ""
    typer.echo(f"{made.height:,} labels with {len(new)} features{where}{less}; {filled:.1%} of values there", err=True)


def _show(made: Any) -> None:
    from orchestration.cli.tables import plain, printer

    numbers = [name for name, kind in made.schema.items() if kind.is_numeric()]
    table = plain(*made.columns, right=numbers)
    for row in made.head(SHOWN).rows():
        table.add_row(
            *("" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value) for value in row)
        )
    printer().print(table)


def lint(
    features: Annotated[str, typer.Option(help="Names with commas between; all of them unless told.")] = "",
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Try them on this day's rows (UTC); default: the last with bars."),
    ] = None,
    also: Annotated[Path | None, typer.Option(help="A Python file whose FEATURES are tried as well.")] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Try them on the shipped sample: no warehouse needed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Poison what could not be known, compute again, and name every feature that changed. Exit code 1 if one did.

    Tried on the rows of the busiest instruments; on the shipped sample where the day is too short for a window, or no
    warehouse answers.
    """
    from features.catalog import chosen

    names = [name for part in features.split(",") if (name := part.strip())] or None
    several = [*chosen(names), *(_of_file(also) if also else ())]
    found = _sampled(several) if sample else _stored(several, day)
    if as_json:
        sys.stdout.write(json.dumps(told(found), indent=2) + "\n")
    else:
        for leak in found.leaks:
            typer.echo(str(leak))
        verdict = f"{len(found.leaking)} leak: {', '.join(found.leaking)}" if found.leaks else "none knows the future"
        tried = f"{len(found.on_day)} tried on stored rows, {len(found.on_sample)} on the sample"
        typer.echo(f"{len(several)} features, {tried}: {verdict}")
    if found.leaks:
        raise typer.Exit(1)


def told(found: "Linted") -> dict[str, Any]:
    """Return what the linter found as JSON's values."""
    return {
        "leaking": found.leaking,
        "tried_on_stored_rows": found.on_day,
        "tried_on_sample": found.on_sample,
        "leaks": [
            {
                "feature": one.feature,
                "poison": one.poison,
                "cut": one.cut.isoformat(),
                "rows": one.rows,
                "entity": list(one.entity),
                "event_time": one.event_time.isoformat(),
                "was": one.was,
                "became": one.became,
            }
            for one in found.leaks
        ],
    }


def _sampled(several: "list[Feature]") -> "Linted":
    from assets.feature_lint import lint_sample

    return lint_sample(several)


def _stored(several: "list[Feature]", day: datetime | None) -> "Linted":
    from assets.feature_lint import lint_day
    from contracts.errors import RetryableError
    from orchestration.values import read_settings
    from quality.scoring import last_day
    from stores.warehouse import Warehouse

    warehouse = Warehouse(read_settings().warehouse)
    try:
        of_day = day.date() if day else last_day(warehouse)
        return _sampled(several) if of_day is None else lint_day(warehouse, of_day, several)
    except RetryableError:
        typer.echo("no warehouse answers: the shipped sample is tried alone", err=True)
        return _sampled(several)


def _of_file(path: Path) -> "tuple[Feature, ...]":
    """Return the features that a Python file declares; TerminalError says what is wrong with it."""
    import runpy

    from contracts.errors import TerminalError
    from features.declared import Feature

    try:
        found = runpy.run_path(str(path)).get("FEATURES")
    except (OSError, SyntaxError, ImportError) as error:
        raise TerminalError(f"{path} can't be run: {error}") from error
    if not isinstance(found, list | tuple) or not all(isinstance(one, Feature) for one in found):
        raise TerminalError(f"{path} has no FEATURES; valid: a list of features.declared.Feature by that name")
    return tuple(found)
