"""The sensor that restarts streams and collectors that are dead or fall behind, and says so."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from assets.incidents import lineage_of, record_findings
from assets.processes import Processes, ProcessView
from assets.store import Store
from assets.streams import ALERT_KEY, ALERT_PROCESS, COLLECTOR_OF_KEY, STREAM_PROCESS, TOPIC_OF_KEY
from contracts.errors import RetryableError, TapehouseError
from jobs import names
from jobs.healing import DEAD, Treatment, Vitals, pause, read_courses, treat, write_courses
from jobs.restart import Restartable, restart_process
from quality.incidents import Finding, Findings
from quality.lineage import Lineage
from quality.settings import HealthSettings

SECOND = 1_000_000
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
ASSETS_OF = {STREAM_PROCESS: tuple(TOPIC_OF_KEY), ALERT_PROCESS: (ALERT_KEY,)} | {
    name: (key,) for key, name in COLLECTOR_OF_KEY.items()
}


def vitals(view: ProcessView) -> Vitals:
    """Take from a process's view what its health is judged by."""
    lag = view.health.get("lag")
    reason = view.reason or str(view.health.get("detail", ""))
    return Vitals(view.state, int(lag) if isinstance(lag, int | float) else None, reason)


def findings_of(treatment: Treatment, seen: dict[str, Vitals], health: HealthSettings, lineage: Lineage) -> Findings:
    """Return the sick processes as findings; the well ones are cleared."""
    wrong = tuple(_finding(name, treatment, seen[name], health, lineage) for name in treatment.sick)
    return Findings(wrong, frozenset(f"stream/{name}" for name in treatment.well))


def _finding(name: str, treatment: Treatment, vitals: Vitals, health: HealthSettings, lineage: Lineage) -> Finding:
    course, lag_limit = treatment.courses[name], health.lag_limit
    dead = course.condition == DEAD
    keys = [key.to_user_string() for key in ASSETS_OF.get(name, ())]
    evidence: dict[str, Any] = {"state": vitals.state, "condition": course.condition, "restarts": course.restarts}
    if keys and (page := health.page(keys[0])):
        evidence["page"] = page
    if not dead:
        evidence |= {"lag_when_noticed": course.first_lag, "lag_limit": lag_limit}
    treated = (
        f"It was restarted {course.restarts} times, next in {pause(course.restarts) / 60:.0f} minutes at the earliest"
        if course.restarts
        else "It catches up and was left to"
        if not dead
        else "It waits for its restart"
    )
    return Finding(
        subject=f"stream/{name}",
        kind="stream",
        title=f"{name} is {vitals.state}" if dead else f"{name} is more than {lag_limit:,} records behind",
        venue=name.removeprefix("collector-") if name not in (STREAM_PROCESS, ALERT_PROCESS) else "",
        evidence=evidence,
        upstream=tuple(sorted({up for key in keys for up in lineage.upstream(key)} - set(keys))),
        downstream=tuple(sorted({down for key in keys for down in lineage.downstream(key)} - set(keys))),
        next_step=f"{treated}; if that does not help, read its log, which tapehouse status --json names.",
    )


@dg.sensor(
    job=restart_process,
    name=names.STREAM_SENSOR,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every minute: a collector or the streams that are dead for a minute, or further behind than the "
    "setting lag_limit for lag_minutes without catching up, have an incident and are restarted, after a pause that "
    "doubles from two minutes to an hour. What a person stopped stays stopped.",
)
def stream_lag_or_death(
    context: dg.SensorEvaluationContext,
    store: dg.ResourceParam[Store],
    processes: dg.ResourceParam[Processes],
    health: dg.ResourceParam[HealthSettings],
) -> dg.SensorResult:
    """Look at the processes and ask for restarts."""
    now = datetime.now(UTC).timestamp()
    try:
        views = processes.view({*COLLECTOR_OF_KEY.values(), STREAM_PROCESS, ALERT_PROCESS})
    except TapehouseError as error:
        return dg.SensorResult(skip_reason=dg.SkipReason(str(error)), cursor=context.cursor)
    seen = {name: vitals(view) for name, view in views.items()}
    treatment = treat(
        read_courses(context.cursor),
        seen,
        now,
        lag_limit=health.lag_limit,
        lag_seconds=health.lag_minutes * 60,
        hold=bool(context.instance.get_runs(dg.RunsFilter(job_name=names.RESTART, statuses=UNFINISHED), limit=1)),
    )
    found = findings_of(treatment, seen, health, lineage_of(context.repository_def))
    events: list[dg.AssetObservation] = []
    told = "; ".join(one.title for one in found.wrong)
    try:
        events = record_findings(store, found, ("stream",), int(now * SECOND))
    except RetryableError as error:
        # A warehouse that is away must not keep a dead stream from being restarted.
        told = "; ".join([told, f"no incident was written: {error}"]).strip("; ")
    requests = [_restart(name, treatment) for name in treatment.restart]
    skipped = None if requests else dg.SkipReason(told or "collectors and streams are well, or off")
    return dg.SensorResult(
        run_requests=requests, skip_reason=skipped, cursor=write_courses(treatment.courses), asset_events=events
    )


def _restart(name: str, treatment: Treatment) -> dg.RunRequest:
    course = treatment.courses[name]
    return dg.RunRequest(
        run_key=f"{name}:{course.last_restart:.0f}:{course.restarts}",
        run_config={"ops": {"restart": {"config": {"process": Restartable(name).name}}}},
        tags={"tapehouse/process": name, "tapehouse/reason": course.condition},
    )
