"""The sensor that holds the silence of each series against its own cadence, every minute."""

from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from assets.incidents import lineage_of, record_findings
from assets.specs import asset_key
from assets.store import Store
from contracts.errors import RetryableError
from contracts.freshness import FRESHNESS
from jobs import names
from jobs.cursor import Remembered
from quality.settings import HealthSettings

SECOND = 1_000_000
MINUTE = 60 * SECOND
HISTORY = 24 * 60 * MINUTE
LEARN_EVERY = 15 * MINUTE
# More than the ten minutes for which a series' row may stand unwritten, and the delivery's delay.
OVERLAP = 20 * MINUTE
AWAY = 3 * MINUTE


@dataclass(frozen=True)
class Watch(Remembered):
    """What the sensor remembers: its last tick, since when it has ticked without a break, when it read the history."""

    tick: int = 0
    since: int = 0
    learned: int = 0

    def at(self, now: int) -> "Watch":
        """Return what to remember of a tick now."""
        learned = now if self.learns(now) else self.learned
        return Watch(now, self.since if 0 <= now - self.tick <= AWAY else now, learned)

    def learns(self, now: int) -> bool:
        """Tell whether it is time to read the history again."""
        return not 0 <= now - self.learned < LEARN_EVERY

    def reads_from(self, now: int) -> int:
        """Return since when receipts are read."""
        return now - HISTORY if self.learns(now) else max(self.tick - OVERLAP, now - HISTORY)


def watch(
    store: Store, health: HealthSettings, before: Watch, now: int, repository: dg.RepositoryDefinition | None = None
) -> tuple[dict[str, int], list[dg.AssetObservation | dg.AssetMaterialization]]:
    """Judge every series, write what is worth noting, open and close incidents; return the counts by state."""
    from quality import freshness, freshness_store, habit, habit_store

    warehouse = store.warehouse()
    if before.learns(now) and now // habit.HOUR != before.learned // habit.HOUR:
        habit_store.learn_silences(warehouse, store.query("silences"), now)
    standing = freshness_store.read_standing(warehouse)
    heard = freshness_store.read_heard(warehouse, before.reads_from(now), with_gaps=before.learns(now))
    known = freshness.learn({series: one.known for series, one in standing.items()}, heard)
    stale_after_ms, since = int(health.stale_after_s * 1_000), before.at(now).since
    reference = freshness.reference_time(known, now, live=health.live)
    doubted = habit.doubtful(known, reference, watching_since=since, stale_after_ms=stale_after_ms)
    habits = habit_store.read_habits(warehouse, doubted, now)
    expected = habit.expect(known, habits, doubted, reference, watching_since=since, closures=health.closures)
    current = freshness.judge(expected, reference, watching_since=since, stale_after_ms=stale_after_ms, noted=now)
    noted = freshness.worth_noting(standing, current.values())
    freshness_store.write_standing(warehouse, noted)
    found = freshness.findings(current, stale_after_ms, lineage_of(repository), health.page)
    counts = dict.fromkeys(FRESHNESS.column_index["state"].symbols, 0)
    for one in current.values():
        counts[one.state] += 1
    events: list[dg.AssetObservation | dg.AssetMaterialization] = [*record_findings(store, found, ("stale",), now)]
    if noted:
        metadata = {f"{state}_series": count for state, count in counts.items()}
        events.append(dg.AssetMaterialization(asset_key(FRESHNESS), metadata=metadata))
    return counts, events


@dg.sensor(
    name=names.FRESHNESS_SENSOR,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every minute: a series that was silent for more than five minutes (setting stale_after_s) beyond its "
    "own habit at these hours of the week is stale and has an incident, which closes when it is heard again. Outside "
    "of an exchange's sessions (setting calendars) and in maintenance windows silence is none.",
)
def freshness(
    context: dg.SensorEvaluationContext, store: dg.ResourceParam[Store], health: dg.ResourceParam[HealthSettings]
) -> dg.SensorResult:
    """Judge every series."""
    now = int(datetime.now(UTC).timestamp() * SECOND)
    before = Watch.parse(context.cursor)
    try:
        counts, events = watch(store, health, before, now, context.repository_def)
    except RetryableError as error:
        return dg.SensorResult(skip_reason=dg.SkipReason(str(error)), cursor=before.text)
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "nothing was heard yet"
    return dg.SensorResult(skip_reason=dg.SkipReason(told), cursor=before.at(now).text, asset_events=events)
