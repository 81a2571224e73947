"""The job that proves a day, and the sensor that asks for it once the day was rolled up and nothing else waits."""

import json
from dataclasses import dataclass, field
from datetime import date

import dagster as dg

from assets.parity_asset import AFTER, system_parity
from jobs import names
from jobs.closed_day import UNFINISHED

# A proof can wait; what makes bars, scores and reports goes first.
LAST_IN_QUEUE = {"dagster/priority": "-1"}
RECORDS_A_TICK = 1000
DAYS_TOLD = 5

PARITY = dg.define_asset_job(
    names.PARITY,
    selection=dg.AssetSelection.assets(system_parity),
    description="Rebuilds a day from the tape and compares it, by instrument and bit for bit, with what was streamed.",
    tags=LAST_IN_QUEUE,
)


@dataclass(frozen=True)
class Waiting:
    """The days that were rolled up since they were last proven, each with the event that says so.

    `since` is the last event that was read.
    """

    since: int = 0
    days: dict[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> "Waiting":
        """Read what `text` wrote; anything else starts over, which run keys make harmless."""
        try:
            read = json.loads(text or "{}")
            return cls(int(read["since"]), {date.fromisoformat(d).isoformat(): int(n) for d, n in read["days"].items()})
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()

    @property
    def text(self) -> str:
        """The cursor as Dagster keeps it."""
        return json.dumps({"since": self.since, "days": self.days}, sort_keys=True)

    def heard(self, rolled_up: list[tuple[str, int]]) -> "Waiting":
        """Take in days that were rolled up, with their events."""
        since = max([self.since, *(event for _, event in rolled_up)])
        return Waiting(since, self.days | dict(rolled_up))

    def next(self) -> tuple[str, int, "Waiting"] | None:
        """Take out the newest day, which more people look at than at older ones."""
        if not self.days:
            return None
        day = max(self.days)
        rest = {other: event for other, event in self.days.items() if other != day}
        return day, self.days[day], Waiting(self.since, rest)


def _rolled_up(instance: dg.DagsterInstance, since: int) -> list[tuple[str, int]]:
    wanted = dg.AssetRecordsFilter(asset_key=AFTER, after_storage_id=since)
    records = instance.fetch_materializations(wanted, limit=RECORDS_A_TICK, ascending=True).records
    return [(record.partition_key, record.storage_id) for record in records if record.partition_key]


def _busy(instance: dg.DagsterInstance) -> str:
    for job in (names.DAILY, names.PARITY, names.DEEP_CHECK):
        if instance.get_runs(dg.RunsFilter(job_name=job, statuses=UNFINISHED), limit=1):
            return f"a run of {job} is under way"
    return ""


@dg.sensor(
    job=PARITY,
    name=names.PARITY_SENSOR,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Proves every day after its rollups were made, and again after late trades corrected them: one day at "
    "a time, the newest first, and only while no daily run is queued or under way, for it costs a Spark session.",
)
def rolled_up_day(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Ask for the proof of one day, if nothing else is to be done."""
    before = Waiting.parse(context.cursor)
    waiting = before.heard(_rolled_up(context.instance, before.since))
    busy = _busy(context.instance)
    taken = None if busy else waiting.next()
    if taken is None:
        days = sorted(waiting.days, reverse=True)
        more = f" and {len(days) - DAYS_TOLD} more" if len(days) > DAYS_TOLD else ""
        told = f"{busy}; waiting: {', '.join(days[:DAYS_TOLD])}{more}" if days else "no day was rolled up since"
        return dg.SensorResult(skip_reason=dg.SkipReason(told), cursor=waiting.text)
    day, event, rest = taken
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"{day}:{event}", partition_key=day)], cursor=rest.text)
