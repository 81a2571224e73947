"""`tapehouse score`: how far each instrument of a day can be trusted, and what was deducted for what."""

import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from decimal import Decimal

    from quality.scoring import DayScores, InstrumentScore

DEDUCTIONS_SHOWN = 3


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(score)


def score(
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day (UTC); default: the last with bars.")
    ] = None,
    venue: Annotated[str, typer.Option(help="Only this venue's instruments.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs, with every deduction.")] = False,
) -> None:
    """Score a day's instruments, keep what changed, and print them worst first. Exit code 1 below min_score."""
    from decimal import Decimal

    from assets.scores import counted_series
    from assets.store import Store
    from contracts.errors import TerminalError
    from orchestration.settings import REPOSITORY
    from orchestration.values import read_settings
    from quality.scoring import last_day, score_day

    settings = read_settings()
    store = Store(settings.warehouse, settings.lake, REPOSITORY / "sql" / "queries")
    minimum = Decimal(str(settings.min_score))
    warehouse = store.warehouse()
    of_day = day.date() if day else last_day(warehouse)
    if of_day is None:
        raise TerminalError("there are no bars yet, so no day to score: make run brings the demo's")
    scored = score_day(warehouse, store.query, of_day, counted=counted_series(), venue=venue)
    if not scored.scores:
        whose = f" on {venue}" if venue else ""
        raise TerminalError(
            f"nothing traded{whose} on {of_day}: valid: a day with bars; without --day the last one is taken"
        )
    if as_json:
        sys.stdout.write(json.dumps(told(scored, minimum), indent=2) + "\n")
    else:
        show(scored, minimum)
    if scored.below(minimum):
        raise typer.Exit(1)


def told(scored: "DayScores", minimum: "Decimal") -> dict[str, Any]:
    """Return the scores as JSON's values; numbers with six digits are strings, so that no digit is lost."""
    from dataclasses import asdict

    from contracts.scores import DIMENSIONS

    return {
        "day": scored.day.isoformat(),
        "min_score": str(minimum),
        "below": len(scored.below(minimum)),
        "scores": [
            {"venue": one.venue, "instrument": one.instrument, "score": str(one.score.score)}
            | {name: str(getattr(one.score, name)) for name in DIMENSIONS}
            | {
                "deductions": [
                    asdict(d) | {"weight": str(d.weight), "deducted": str(d.deducted)} for d in one.worst_first
                ]
            }
            for one in scored.scores
        ],
    }


def show(scored: "DayScores", minimum: "Decimal") -> None:
    """Print a table for people."""
    from contracts.scores import DIMENSIONS
    from orchestration.cli.tables import plain, printer

    low = len(scored.below(minimum))
    verdict = f"[red]{low} below {minimum}[/]" if low else f"[green]all at least {minimum}[/]"
    numbers = ("score", *DIMENSIONS)
    title = f"quality of {scored.day.isoformat()}: {verdict}"
    table = plain("venue", "instrument", *numbers, "lost most for", right=numbers, title=title)
    for one in scored.scores:
        colour = "red" if one.score.score < minimum else "none"
        values = [str(value) for value in one.score.values]
        table.add_row(one.venue, one.instrument, *values, _lost(one), style=colour)
    printer(220).print(table)


def _lost(one: "InstrumentScore") -> str:
    lost = [f"{d.reason} {d.affected:,} of {d.total:,}: -{d.deducted}" for d in one.worst_first]
    more = [f"and {len(lost) - DEDUCTIONS_SHOWN} more"] if len(lost) > DEDUCTIONS_SHOWN else []
    return "\n".join([*lost[:DEDUCTIONS_SHOWN], *more])
