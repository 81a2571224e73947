"""The quality score as assets: of every day, with what was deducted and for what, and of every bar."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.failures import failing_by_type
from assets.specs import DAILY, QUALITY, WAREHOUSE_POOL, asset_key, dataset_spec
from assets.store import Store
from assets.thresholds import Thresholds
from contracts.bars import BARS
from contracts.gaps import GAPS
from contracts.ledger import LEDGER
from contracts.quarantine import QUARANTINE
from contracts.quotes import QUOTES
from contracts.scores import BAR_SCORES, DEDUCTIONS, DIMENSIONS, SCORES
from contracts.trades import TRADES
from sources.venues import VENUES

if TYPE_CHECKING:
    from quality.scoring import DayScores, InstrumentScore

CHECK = "scores_reach_the_threshold"
DAYS_A_RUN = 31
WORST_SHOWN = 20
NAMED = 5
DEDUCTIONS_NAMED = 2


def counted_series() -> Mapping[str, frozenset[str]]:
    """Return by venue the series whose trade ids have no holes; a venue that is polled over REST has none."""
    return {name: frozenset(venue.counted) for name, venue in VENUES.items()}


def _spec(dataset: Any, description: str, deps: Iterable[dg.AssetKey]) -> dg.AssetSpec:
    return dataset_spec(
        dataset,
        group=QUALITY,
        kinds={"clickhouse", "python"},
        deps=deps,
        description=f"{description} docs/quality-score.md has the arithmetic and an example worked by hand.",
        partitions=DAILY,
    )


_MEASURED = [asset_key(dataset) for dataset in (TRADES, BARS, QUOTES, GAPS, QUARANTINE, LEDGER)]
_SPECS = [
    _spec(SCORES, "1 less everything deducted; an instrument that did not trade has none.", _MEASURED),
    _spec(DEDUCTIONS, "Given these, anybody gets the score: no other number is in it.", _MEASURED),
    _spec(BAR_SCORES, "`market_bars_scored` shows the bars with their scores beside.", _MEASURED),
]


@dg.multi_asset(
    specs=_SPECS,
    name="quality_scores",
    pool=WAREHOUSE_POOL,
    can_subset=True,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=DAYS_A_RUN),
    check_specs=[
        dg.AssetCheckSpec(
            name=CHECK,
            asset=asset_key(SCORES),
            blocking=True,
            partitions_def=DAILY,
            description="Stops what follows: all instruments' scores are at least the setting `min_score`.",
        )
    ],
)
def quality_scores(
    context: dg.AssetExecutionContext, store: dg.ResourceParam[Store], thresholds: dg.ResourceParam[Thresholds]
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Score the run's days. The three tables are written together, whichever of them is asked for."""
    days = []
    with failing_by_type():
        from quality.scoring import score_day

        warehouse = store.warehouse()
        for key in context.partition_keys:
            scored = score_day(warehouse, store.query, date.fromisoformat(key), counted=counted_series())
            context.log.info(f"{key}: {len(scored.scores)} instruments, {scored.written_scores} scores are new")
            for dataset, metadata in _metadata(scored, thresholds.min_score).items():
                if dataset in context.selected_asset_keys:
                    context.add_asset_metadata(metadata, asset_key=dataset, partition_key=key)
            days.append(scored)
    for spec in _SPECS:
        if spec.key in context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=spec.key)
    if context.selected_asset_check_keys:
        yield check_result(days, thresholds.min_score)


def check_result(days: "Iterable[DayScores]", minimum: Decimal) -> dg.AssetCheckResult:
    """Tell whether all scores of the days reach the minimum; name those that do not, with what they lost most for."""
    days = list(days)
    low = sorted(
        ((scored.day, one) for scored in days for one in scored.below(minimum)), key=lambda p: p[1].score.score
    )
    named = [f"{day} {one.venue} {one.instrument} {one.score.score} ({_lost(one)})" for day, one in low[:NAMED]]
    more = [f"and {len(low) - NAMED} more"] if len(low) > NAMED else []
    count = sum(len(scored.scores) for scored in days)
    return dg.AssetCheckResult(
        asset_key=asset_key(SCORES),
        check_name=CHECK,
        passed=not low,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join([*named, *more]) or f"all {count} scores are at least {minimum}",
        metadata={
            "minimum": float(minimum),
            "scores": count,
            "below": len(low),
            "offending": _table([(day, one) for day, one in low[:WORST_SHOWN]]),
            "what to do": "tapehouse score --day D shows every deduction. When its cause is repaired, materialise the "
            "day again; to let such days pass, lower the setting min_score (TAPEHOUSE_MIN_SCORE).",
        },
    )


def _lost(one: "InstrumentScore") -> str:
    return ", ".join(f"{d.reason} {d.affected} of {d.total}: -{d.deducted}" for d in one.worst_first[:DEDUCTIONS_NAMED])


def _metadata(scored: "DayScores", minimum: Decimal) -> dict[dg.AssetKey, dict[str, Any]]:
    rows = "dagster/partition_row_count"
    if not scored.scores:
        return {spec.key: {rows: 0, "note": "nothing traded on this day"} for spec in _SPECS}
    from assets.plots import as_markdown
    from assets.score_plots import scores_plot

    values = [one.score.score for one in scored.scores]
    picture = as_markdown(scores_plot(scored, minimum), f"scores of {scored.day.isoformat()}")
    return {
        asset_key(SCORES): {
            rows: len(values),
            "lowest": float(values[0]),
            "below_minimum": len(scored.below(minimum)),
            "new_revisions": scored.written_scores,
            "scores": dg.MetadataValue.md(picture),
            "worst_instruments": _table([(scored.day, one) for one in scored.scores[:WORST_SHOWN]]),
        },
        asset_key(DEDUCTIONS): {
            rows: sum(len(one.deductions) for one in scored.scores),
            "new_rows": scored.written_deductions,
        },
        asset_key(BAR_SCORES): {rows: scored.bar_count, "new_revisions": scored.written_bar_scores},
    }


_COLUMNS = [
    dg.TableColumn("day", "string"),
    dg.TableColumn("venue", "string"),
    dg.TableColumn("instrument", "string"),
    dg.TableColumn("score", "string"),
    *(dg.TableColumn(name, "string") for name in DIMENSIONS),
    dg.TableColumn("lost most for", "string"),
]


def _table(scores: "list[tuple[date, InstrumentScore]]") -> dg.TableMetadataValue:
    records = [
        dg.TableRecord(
            {"day": day.isoformat(), "venue": one.venue, "instrument": one.instrument, "score": str(one.score.score)}
            | {name: str(getattr(one.score, name)) for name in DIMENSIONS}
            | {"lost most for": _lost(one)}
        )
        for day, one in scores
    ]
    return dg.MetadataValue.table(records=records, schema=dg.TableSchema(_COLUMNS))
