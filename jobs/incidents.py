"""The sensor that makes incidents of failed checks and failed runs, and closes them when they pass."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.audit import CHECK as AUDIT_CHECK
from assets.incidents import lineage_of, record_findings
from assets.scores import CHECK as SCORE_CHECK
from assets.store import Store
from contracts.check_results import CHECK_RESULTS
from contracts.errors import RetryableError
from jobs import names
from jobs.cursor import Remembered
from quality.incidents import Finding, Findings
from quality.lineage import Lineage
from quality.suites.site import page_of
from serving.pages import Pages

if TYPE_CHECKING:
    from stores.warehouse import Warehouse

SECOND = 1_000_000
RUNS_A_TICK = 100
# Runs that failed before the sensor first ran are news for so long.
FIRST_LOOK = timedelta(days=1)
REASON_LENGTH = 500
PARTITION_TAG, RANGE_TAGS = (
    "dagster/partition",
    ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end"),
)
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
TOLD = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ASSET_CHECK_EVALUATION}
KIND_OF_CHECK = {AUDIT_CHECK: "audit", SCORE_CHECK: "score"}
KINDS = ("check", "audit", "score", "run")
WHAT_TO_DO = "what to do"
# What a subject came to, in the order of events: a finding, or None where it is in order.
Outcome = tuple[str, Finding | None]


@dataclass(frozen=True)
class Read(Remembered):
    """How far was read: stored results by time in microseconds, ended runs by time in seconds."""

    results: int = 0
    runs: float = 0.0


def settle(outcomes: Sequence[Outcome]) -> Findings:
    """Return what the last outcome of each subject says."""
    last = dict(outcomes)
    return Findings(
        tuple(one for one in last.values() if one is not None),
        frozenset(subject for subject, one in last.items() if one is None),
    )


def result_outcome(row: dict[str, Any], lineage: Lineage, pages: Pages) -> Outcome:
    """Return what a stored check result says."""
    day = datetime.fromtimestamp(row["day_time"] // SECOND, UTC).date()
    dataset, venue, check = row["dataset"], row["venue"], row["check_name"]
    subject = f"check/{dataset}/{check}/{venue}/{day}"
    if row["passed"]:
        return subject, None
    key = dataset.replace(".", "/")
    page = pages.url(pages.docs / page_of(dataset, day))
    evidence = {
        "day": str(day),
        "detail": row["detail"],
        "checked": row["checked_count"],
        "sample": _sample(row["sample"]),
        "page": page,
    }
    return subject, Finding(
        subject=subject,
        kind="check",
        title=f"{check} is false for {dataset} of {venue} on {day}",
        dataset=dataset,
        venue=venue,
        severity="error" if row["level"] == "stop" else "warn",
        evidence=evidence,
        upstream=lineage.upstream(key, venue),
        downstream=lineage.downstream(key),
        affected_rows=row["unexpected_count"],
        next_step=f"Look at the rows against it ({page}). When the cause is gone: "
        f"tapehouse checks --day {day} --dataset {dataset}",
    )


def _sample(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def evaluation_outcome(evaluation: dg.AssetCheckEvaluation, partition: str, lineage: Lineage) -> Outcome:
    """Return what an evaluation in Dagster says."""
    key = evaluation.asset_key.to_user_string()
    subject = "/".join(["check", key.replace("/", "."), evaluation.check_name, *([partition] if partition else [])])
    if evaluation.passed:
        return subject, None
    numbers = {name: value.value for name, value in evaluation.metadata.items() if isinstance(value.value, int | str)}
    on = f" on {partition}" if partition else ""
    again = f"Open the check at the asset {key} in Dagster; when the cause is gone, run it again{on}."
    advice = str(numbers.pop(WHAT_TO_DO, again))
    return subject, Finding(
        subject=subject,
        kind=KIND_OF_CHECK.get(evaluation.check_name, "check"),
        title=f"{evaluation.check_name} is false for {key.replace('/', '.')}{on}",
        dataset=key.replace("/", "."),
        severity="warn" if evaluation.severity is dg.AssetCheckSeverity.WARN else "error",
        evidence={"partition": partition, "detail": evaluation.description or "", **numbers},
        upstream=lineage.upstream(key),
        downstream=lineage.downstream(key),
        affected_rows=sum(int(numbers[name]) for name in ("missing", "twice") if isinstance(numbers.get(name), int)),
        next_step=advice,
    )


def run_outcome(run: dg.DagsterRun, reason: str, lineage: Lineage) -> Outcome:
    """Return what the end of a run says."""
    selected = sorted(key.to_user_string() for key in run.asset_selection or ())
    adhoc = run.job_name.startswith("__")
    what = ", ".join(selected) if adhoc and selected else run.job_name
    partition = partition_of(run)
    subject = "/".join(["run", what, *([partition] if partition else [])])[:512]
    if run.status is dg.DagsterRunStatus.SUCCESS:
        return subject, None
    return subject, Finding(
        subject=subject,
        kind="run",
        title=f"the run of {what}{f' for {partition}' if partition else ''} failed"[:200],
        # Not the run's id: when it is tried again in vain, nothing new is known.
        evidence={"reason": reason, "partition": partition},
        upstream=tuple(sorted({up for key in selected for up in lineage.upstream(key)} - set(selected))),
        downstream=tuple(sorted({*selected, *(down for key in selected for down in lineage.downstream(key))})),
        next_step=f"It failed because: {reason}. Change that, then run it again "
        f"(run {run.run_id[:8]} in Dagster has the log).",
    )


def partition_of(run: dg.DagsterRun) -> str:
    """Return the run's partition, or its range of them, or nothing."""
    first, last = (run.tags.get(tag, "") for tag in RANGE_TAGS)
    return run.tags.get(PARTITION_TAG, "") or (f"{first}..{last}" if first else "")


def _results(warehouse: "Warehouse", since: int, lineage: Lineage, pages: Pages) -> tuple[list[Outcome], int]:
    from quality.stored import read

    rows = read(
        warehouse, CHECK_RESULTS, "known_time > fromUnixTimestamp64Micro({since:Int64}, 'UTC')", {"since": since}
    )
    rows.sort(key=lambda row: row["known_time"])
    return [result_outcome(row, lineage, pages) for row in rows], max((r["known_time"] for r in rows), default=since)


def _runs(
    instance: dg.DagsterInstance, since: float, kept: set[tuple[str, str]], lineage: Lineage
) -> tuple[list[Outcome], float]:
    """Return what the runs that ended since then, and the checks in them, came to."""
    records = instance.get_run_records(
        dg.RunsFilter(statuses=ENDED, updated_after=datetime.fromtimestamp(since, UTC)),
        limit=RUNS_A_TICK,
        order_by="update_timestamp",
        ascending=True,
    )
    outcomes: list[Outcome] = []
    for record in records:
        outcomes += _of_run(instance, record.dagster_run, kept, lineage)
    return outcomes, max((record.update_timestamp.timestamp() for record in records), default=since)


def _of_run(
    instance: dg.DagsterInstance, run: dg.DagsterRun, kept: set[tuple[str, str]], lineage: Lineage
) -> Iterator[Outcome]:
    errors: list[Any] = []
    for entry in instance.all_logs(run.run_id, of_type=TOLD):
        event = entry.dagster_event
        if event is None:
            continue
        if event.event_type is dg.DagsterEventType.STEP_FAILURE:
            errors.append(event.step_failure_data.error)
            continue
        evaluation = event.asset_check_evaluation_data
        # What the suites say stands in the warehouse too, by venue.
        if (evaluation.asset_key.to_user_string().replace("/", "."), evaluation.check_name) not in kept:
            yield evaluation_outcome(evaluation, str(evaluation.partition or partition_of(run)), lineage)
    # A run that a blocking check stopped is told of as that check; one that was cancelled says nothing.
    stopped = any(error is not None and error.cls_name == "DagsterAssetCheckFailedError" for error in errors)
    if run.status is not dg.DagsterRunStatus.CANCELED and not stopped:
        yield run_outcome(run, _reason(errors), lineage)


def _reason(errors: Sequence[Any]) -> str:
    """Return what the innermost error of the first step that failed says."""
    for error in errors:
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            return " ".join(error.message.split())[:REASON_LENGTH]
    return "no step says why: see its log"


@dg.sensor(
    name=names.FAILED_CHECK_SENSOR,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes an incident of every check that fails and of every run that fails; the incident closes when the "
    "check passes, or a run of the same job and partition succeeds.",
)
def failed_check(
    context: dg.SensorEvaluationContext, store: dg.ResourceParam[Store], pages: dg.ResourceParam[Pages]
) -> dg.SensorResult:
    """Read what ended since the last tick."""
    now = datetime.now(UTC)
    before = Read.parse(context.cursor)
    lineage = lineage_of(context.repository_def)
    try:
        warehouse = store.warehouse()
        kept = {
            (str(d), str(c))
            for d, c in warehouse.rows(f"SELECT DISTINCT dataset, check_name FROM {CHECK_RESULTS.table}")
        }
        results, last_result = _results(warehouse, before.results, lineage, pages)
        runs, last_run = _runs(context.instance, before.runs or (now - FIRST_LOOK).timestamp(), kept, lineage)
        found = settle([*results, *runs])
        events = record_findings(store, found, KINDS, int(now.timestamp() * SECOND))
    except RetryableError as error:
        return dg.SensorResult(skip_reason=dg.SkipReason(str(error)), cursor=before.text)
    told = "; ".join(one.title for one in found.wrong) or "no check and no run failed since the last look"
    return dg.SensorResult(
        skip_reason=dg.SkipReason(told), cursor=Read(last_result, last_run).text, asset_events=events
    )
