"""The health sensors as Dagster evaluates them, on a real warehouse: incidents open and close, restarts are spaced."""

import json
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from dagster import DagsterRunStatus as Status
from hypothesis import given
from hypothesis import strategies as st

from assets.incidents import observe_incidents
from assets.processes import ProcessView
from assets.scores import CHECK as SCORE_CHECK
from assets.store import Store
from contracts.check_results import CHECK_RESULTS
from contracts.dataset import Dataset, Type
from contracts.errors import RetryableError
from contracts.freshness import FRESHNESS
from contracts.gaps import GAPS
from contracts.incidents import ALERTS, INCIDENTS
from contracts.ledger import LEDGER
from contracts.silences import SILENCES
from contracts.trades import TRADES
from jobs.alerts import alerts
from jobs.freshness import MINUTE, Watch, freshness, watch
from jobs.gaps import open_gaps
from jobs.healing import DEAD, FIRST_PAUSE, LAGGING, LONGEST_PAUSE, Course, Vitals, pause, read_courses, treat
from jobs.incidents import evaluation_outcome, failed_check
from jobs.stream_health import stream_lag_or_death
from orchestration.definitions import defs
from quality.incidents import Incident, read_since
from quality.lineage import Lineage
from quality.settings import HealthSettings
from serving.pages import Pages
from stores.arrow import arrow_schema
from stores.settings import LakeSettings, WarehouseSettings

ROOT = Path(__file__).resolve().parents[2]
SECOND = 1_000_000
NOW = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * SECOND
LIVE = HealthSettings(live=True)


@pytest.fixture(scope="module")
def server(new_database: Any, tmp_path_factory: pytest.TempPathFactory) -> Store:
    lake = LakeSettings(str(tmp_path_factory.mktemp("lake")))
    return Store(new_database("health"), lake, ROOT / "sql" / "queries")


@pytest.fixture
def store(server: Store) -> Store:
    for dataset in (TRADES, LEDGER, FRESHNESS, SILENCES, INCIDENTS, ALERTS, CHECK_RESULTS):
        server.warehouse().run(f"TRUNCATE TABLE {dataset.table}")
    return server


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def put(store: Store, dataset: Dataset, rows: list[dict[str, Any]]) -> None:
    zero = {Type.STRING: "", Type.TIMESTAMP: 0}
    blank = {c.name: zero.get(c.type, 0) if isinstance(c.type, Type) else Decimal(1) for c in dataset.columns}
    table = pa.Table.from_pylist([blank | row for row in rows], schema=arrow_schema(dataset.columns))
    store.warehouse().insert(dataset.table, table, token=f"{time.time_ns()}")


def deliver_trades(store: Store, received: list[int], instrument: str = "BTCUSDT") -> None:
    """Store trades of years ago that were received at these times, and close their range in the ledger."""
    rows = [
        {"venue": "binance", "instrument": instrument, "trade_id": str(t), "venue_sequence": t, "received_time": t}
        | {"event_time": 1_500_000_000 * SECOND, "kafka_offset": t}
        for t in received
    ]
    put(store, TRADES, rows)
    offsets = {"first_offset": min(received), "last_offset": max(received), "closed_time": max(received)}
    put(store, LEDGER, [offsets | {"sink": f"warehouse.{TRADES.table}"}])


def incidents(store: Store) -> list[Incident]:
    return read_since(store.warehouse(), 0)


def test_a_series_that_falls_silent_has_an_incident_until_it_is_heard_again(store: Store) -> None:
    deliver_trades(store, [NOW - n * SECOND for n in range(60)])
    deliver_trades(store, [NOW - n * SECOND for n in range(60)], "ETHUSDT")
    before, counts = Watch(), []
    for minute in range(9):
        now = NOW + minute * MINUTE
        deliver_trades(store, [now], "ETHUSDT")
        told, _ = watch(store, LIVE, before, now, defs.get_repository_def())
        before = before.at(now)
        counts.append(told["stale"])
    # A beat a second: three of them are ordinary, five minutes more are tolerated, and ticks are a minute apart.
    assert counts == [0, 0, 0, 0, 0, 0, 1, 1, 1]
    (one,) = incidents(store)
    assert (one.kind, one.dataset, one.venue, one.instrument) == ("stale", "market.trades", "binance", "BTCUSDT")
    assert (one.opened_time, one.revision) == (NOW + 6 * MINUTE, 1)
    assert "collector/binance" in one.upstream and "collector/kraken" not in one.upstream
    assert "market/bars_1d" in one.downstream
    deliver_trades(store, [NOW + 9 * MINUTE])
    watch(store, LIVE, before, NOW + 9 * MINUTE)
    (one,) = incidents(store)
    assert (one.state, one.revision, one.repair_s) == ("closed", 2, 180)


def test_a_tape_that_ended_has_no_incident_when_replayed(store: Store) -> None:
    deliver_trades(store, [NOW - n * SECOND for n in range(60)])
    before = Watch()
    for minute in range(0, 40, 2):
        watch(store, HealthSettings(live=False), before, NOW + minute * MINUTE)
        before = before.at(NOW + minute * MINUTE)
    assert incidents(store) == []


def test_a_sensor_that_was_away_waits_before_it_calls_anything_stale(store: Store) -> None:
    deliver_trades(store, [NOW - n * SECOND for n in range(60)])
    watch(store, LIVE, Watch(), NOW)
    later = NOW + 600 * MINUTE
    told, _ = watch(store, LIVE, Watch().at(NOW), later)
    assert (told["stale"], incidents(store)) == (0, [])


def test_the_freshness_sensor_writes_what_it_saw_and_goes_on_from_its_cursor(store: Store, instance: Any) -> None:
    now = int(time.time()) * SECOND
    deliver_trades(store, [now - n * SECOND for n in range(60)])
    context = dg.build_sensor_context(instance=instance, resources={"store": store, "health": LIVE})
    result: Any = freshness(context)
    assert result.skip_reason == dg.SkipReason("1 fresh")
    assert [event.asset_key.to_user_string() for event in result.asset_events] == ["system/freshness"]
    ((state, cadence),) = store.warehouse().rows("SELECT state, cadence_ms FROM system_freshness_current")
    assert (state, cadence) == ("fresh", 3_000)
    again: Any = freshness(dg.build_sensor_context(instance, result.cursor, resources={"store": store, "health": LIVE}))
    assert again.asset_events == [], "nothing has changed"
    assert Watch.parse(again.cursor).since == Watch.parse(result.cursor).since


class StubProcesses:
    """Processes in a state that a test chooses."""

    def __init__(self, **views: ProcessView) -> None:
        self.views = {view.name: view for view in views.values()}

    def view(self, _: Any) -> dict[str, ProcessView]:
        return self.views


def stream_tick(store: Store, instance: Any, view: ProcessView, cursor: str | None) -> Any:
    resources = {"store": store, "health": LIVE, "processes": StubProcesses(one=view)}
    return stream_lag_or_death(dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources))


def aged(cursor: str | None, seconds: float) -> str:
    """Move what the sensor remembers into the past."""
    told = json.loads(cursor or "{}")
    for course in told.values():
        course["since"] -= seconds
        course["last_restart"] -= seconds if course["last_restart"] else 0
    return json.dumps(told)


def test_a_dead_stream_is_restarted_with_an_incident_and_not_again_and_again(store: Store, instance: Any) -> None:
    dead = ProcessView("streams", "failed", "ended too often")
    first = stream_tick(store, instance, dead, None)
    assert not first.run_requests, "the supervisor has its minute first"
    second = stream_tick(store, instance, dead, aged(first.cursor, 61))
    (request,) = second.run_requests
    checked = defs.resolve_job_def("restart_process")
    assert dg.validate_run_config(checked, request.run_config)
    assert request.tags["tapehouse/process"] == "streams"
    (one,) = incidents(store)
    assert (one.title, json.loads(one.evidence)["restarts"]) == ("streams is failed", 1)
    third = stream_tick(store, instance, dead, aged(second.cursor, 60))
    assert not third.run_requests
    fourth = stream_tick(store, instance, dead, aged(third.cursor, 61))
    assert fourth.run_requests and fourth.run_requests[0].run_key != request.run_key
    stream_tick(store, instance, ProcessView("streams", "healthy"), fourth.cursor)
    (one,) = incidents(store)
    assert one.state == "closed"


def test_a_restart_under_way_is_waited_for(store: Store, instance: Any) -> None:
    instance.create_run_for_job(defs.resolve_job_def("restart_process"), status=Status.STARTED)
    dead = ProcessView("streams", "failed")
    first = stream_tick(store, instance, dead, None)
    assert not stream_tick(store, instance, dead, aged(first.cursor, 61)).run_requests


def test_a_warehouse_that_is_away_does_not_keep_a_stream_dead(instance: Any) -> None:
    class Away(Store):
        def warehouse(self) -> Any:
            raise RetryableError("the warehouse did not answer")

    away = Away(WarehouseSettings("127.0.0.1", 1), LakeSettings(""), ROOT)
    dead = ProcessView("streams", "failed")
    first = stream_tick(away, instance, dead, None)
    assert stream_tick(away, instance, dead, aged(first.cursor, 61)).run_requests


def failed_tick(store: Store, instance: Any, cursor: str | None = None) -> Any:
    resources = {"store": store, "pages": Pages(Path("var"), "http://pages.example")}
    return failed_check(dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources))


def result_row(passed: int, known: int, **more: Any) -> dict[str, Any]:
    row = {"day_time": 1_626_912_000 * SECOND, "venue": "binance", "dataset": "market.trades", "level": "stop"}
    row |= {"check_name": "price_is_positive", "passed": passed, "known_time": known, "sample": '[{"price": "-1"}]'}
    return row | {"checked_count": 10, "unexpected_count": 0 if passed else 3} | more


def test_a_stored_check_that_fails_has_an_incident_until_it_passes(store: Store, instance: Any) -> None:
    put(store, CHECK_RESULTS, [result_row(0, NOW), result_row(0, NOW, check_name="late", level="warn", venue="kraken")])
    first = failed_tick(store, instance)
    check, late = sorted(incidents(store), key=lambda one: one.severity)
    assert check.title == "price_is_positive is false for market.trades of binance on 2021-07-22"
    assert (check.affected_rows, json.loads(check.evidence)["sample"]) == (3, [{"price": "-1"}])
    assert (late.severity, late.venue) == ("warn", "kraken")
    page = "http://pages.example/data-docs/validations/market/trades/2021-07-22/20210722T000000.000000Z/day.html"
    assert json.loads(check.evidence)["page"] == page
    assert page in check.next_step and "tapehouse checks --day 2021-07-22 --dataset market.trades" in check.next_step
    put(store, CHECK_RESULTS, [result_row(1, NOW + SECOND)])
    failed_tick(store, instance, first.cursor)
    states = {one.subject: one.state for one in incidents(store)}
    assert states == {check.subject: "closed", late.subject: "open"}


def checked_job(passes: list[bool]) -> dg.Definitions:
    @dg.asset(key=["market", "trades"], partitions_def=dg.DailyPartitionsDefinition("2021-07-20"))
    def trades() -> None: ...

    @dg.asset_check(asset=trades, name="nothing_missing_nothing_twice", blocking=True)
    def balanced() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=passes.pop(0), metadata={"missing": 4, "twice": 1}, description="4 missing")

    return dg.Definitions([trades], asset_checks=[balanced], jobs=[dg.define_asset_job("daily", [trades])])


def test_an_audit_that_fails_in_dagster_is_one_incident_and_closes_when_it_passes(store: Store, instance: Any) -> None:
    job = checked_job([False, False, True]).resolve_job_def("daily")
    job.execute_in_process(instance=instance, partition_key="2021-07-22", raise_on_error=False)
    first = failed_tick(store, instance)
    (one,) = incidents(store)
    assert (one.kind, one.affected_rows) == ("audit", 5)
    assert one.subject == "check/market.trades/nothing_missing_nothing_twice/2021-07-22"
    job.execute_in_process(instance=instance, partition_key="2021-07-23", raise_on_error=False)
    second = failed_tick(store, instance, first.cursor)
    job.execute_in_process(instance=instance, partition_key="2021-07-22")
    failed_tick(store, instance, second.cursor)
    assert [one.state for one in incidents(store)] == ["closed", "open"]


def test_a_score_below_the_threshold_is_an_incident_of_its_own_kind_with_its_own_advice() -> None:
    key, metadata = dg.AssetKey(["system", "scores"]), {"below": 2, "what to do": "repair it"}
    low = dg.AssetCheckEvaluation(key, SCORE_CHECK, False, metadata)  # type: ignore[arg-type]
    _, found = evaluation_outcome(low, "2021-07-22", Lineage())
    assert found is not None
    assert (found.kind, found.next_step, found.evidence["below"]) == ("score", "repair it", 2)


def failing_job(fails: list[bool]) -> dg.JobDefinition:
    @dg.op
    def work() -> None:
        if fails.pop(0):
            raise dg.Failure("the disk is full") from RetryableError("no room left")

    @dg.job(name="nightly")
    def nightly() -> None:
        work()

    return nightly


def test_a_failed_run_has_an_incident_with_its_reason_until_one_succeeds(store: Store, instance: Any) -> None:
    job = failing_job([True, True, False])
    job.execute_in_process(instance=instance, raise_on_error=False)
    first = failed_tick(store, instance)
    (one,) = incidents(store)
    assert (one.kind, one.title) == ("run", "the run of nightly failed")
    assert "no room left" in one.evidence
    job.execute_in_process(instance=instance, raise_on_error=False)
    second = failed_tick(store, instance, first.cursor)
    assert len(incidents(store)) == 1, "failing again is the same incident"
    job.execute_in_process(instance=instance)
    third = failed_tick(store, instance, second.cursor)
    assert [one.state for one in incidents(store)] == ["closed"]
    failed_tick(store, instance, third.cursor)
    assert len(incidents(store)) == 1


def test_a_gap_that_nobody_fills_has_an_incident_with_what_it_touches_until_it_is_filled(
    store: Store, instance: Any
) -> None:
    store.warehouse().run(f"TRUNCATE TABLE {GAPS.table}")
    noticed = int(time.time() - 1000) * SECOND
    gap = {"venue": "kraken", "instrument": "XBT/USD", "id_space": "v1.trade", "gap_number": noticed, "revision": 1}
    put(store, GAPS, [gap | {"state": "open", "kind": "trade_ids", "missing_count": 4}])
    health = HealthSettings(live=True, ui_url="http://ui")

    def tick() -> Incident:
        open_gaps(dg.build_sensor_context(instance=instance, resources={"store": store, "health": health}))
        (one,) = incidents(store)
        return one

    first = tick()
    assert (first.state, first.kind, first.affected_rows) == ("open", "gap", 4)
    assert json.loads(first.evidence)["page"] == "http://ui/assets/system/gaps"
    assert tick() == first
    put(store, GAPS, [gap | {"state": "filled", "kind": "trade_ids", "revision": 2}])
    assert tick().state == "closed"


def test_alerts_go_to_nobody_unless_somebody_is_named(store: Store, instance: Any) -> None:
    context = dg.build_sensor_context(instance=instance, resources={"store": store, "health": LIVE})
    assert "TAPEHOUSE_ALERT_URLS is empty" in str(alerts(context))


def test_an_alert_that_could_not_be_sent_is_kept_as_pending(store: Store, instance: Any) -> None:
    put(store, CHECK_RESULTS, [result_row(0, NOW)])
    failed_tick(store, instance)
    health = HealthSettings(alert_urls=("json://127.0.0.1:9/nobody",))
    for _ in range(2):
        alerts(dg.build_sensor_context(instance=instance, resources={"store": store, "health": health}))
    rows = store.warehouse().rows("SELECT event, state, attempt, detail != '' FROM system_alerts")
    assert rows == [("opened", "pending", 1, True)], "the second tick comes too soon to try again"


def test_a_failing_check_is_told_once_and_its_recovery_once(
    store: Store, instance: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["title"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    webhook = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=webhook.serve_forever, daemon=True).start()
    health = HealthSettings(alert_urls=(f"json://127.0.0.1:{webhook.server_address[1]}/x",))
    try:
        cursor = None
        for number, passed in enumerate((0, 0, 1)):
            put(store, CHECK_RESULTS, [result_row(passed, NOW + number * SECOND)])
            cursor = failed_tick(store, instance, cursor).cursor
            for _ in range(2):
                alerts(dg.build_sensor_context(instance=instance, resources={"store": store, "health": health}))
    finally:
        webhook.shutdown()
        webhook.server_close()
    title = "price_is_positive is false for market.trades of binance on 2021-07-22"
    assert heard == [f"Tapehouse error: {title}", f"Tapehouse recovered: {title}"]


def test_what_a_person_stopped_stays_stopped() -> None:
    treatment = treat({}, {"streams": Vitals("stopped")}, 1e9, lag_limit=10, lag_seconds=0)
    assert (treatment.sick, treatment.restart, treatment.well) == ((), (), ())


def test_one_that_catches_up_is_sick_and_left_alone() -> None:
    behind = {"streams": Course(LAGGING, since=0.0, first_lag=100)}
    shrinking = treat(behind, {"streams": Vitals("healthy", 90)}, 400.0, lag_limit=10, lag_seconds=300)
    assert (shrinking.sick, shrinking.restart) == (("streams",), ())
    growing = treat(behind, {"streams": Vitals("healthy", 110)}, 400.0, lag_limit=10, lag_seconds=300)
    assert growing.restart == ("streams",)


def test_a_cursor_that_cannot_be_read_starts_over() -> None:
    for text in (None, "", "{", "[]", '{"streams": 3}', '{"streams": {"colour": 1}}'):
        assert read_courses(text) == {}
    for text in (None, "{", "[]", '{"colour": 1}'):
        assert Watch.parse(text) == Watch()


seen = st.lists(
    st.tuples(st.integers(20, 900), st.sampled_from(["healthy", "failed", "unhealthy", "stopped"]), st.integers(0, 20)),
    min_size=1,
    max_size=60,
)


@given(history=seen)
def test_restarts_are_further_and_further_apart_and_only_of_the_sick(history: list[tuple[int, str, int]]) -> None:
    courses: dict[str, Course] = {}
    now, restarts = 1e9, []  # type: float, list[float]
    for seconds, state, lag in history:
        now += seconds
        treatment = treat(courses, {"x": Vitals(state, lag)}, now, lag_limit=10, lag_seconds=300)
        courses = treatment.courses
        assert set(treatment.restart) <= set(treatment.sick)
        assert not (treatment.sick and treatment.well)
        if treatment.restart:
            assert state != "stopped"
            if restarts:
                assert now - restarts[-1] >= min(pause(courses["x"].restarts - 1), LONGEST_PAUSE)
                assert now - restarts[-1] >= FIRST_PAUSE
            restarts.append(now)
    assert courses["x"].condition != DEAD or history[-1][1] in ("failed", "unhealthy")


def test_the_pause_doubles_from_two_minutes_to_an_hour() -> None:
    assert [pause(n) / 60 for n in range(1, 8)] == [2, 4, 8, 16, 32, 60, 60]
    assert timedelta(seconds=pause(10**6)) == timedelta(hours=1)


def test_what_is_open_stale_and_pending_is_noted_at_the_assets(store: Store, instance: Any) -> None:
    put(store, CHECK_RESULTS, [result_row(0, NOW)])
    failed_tick(store, instance)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        look = dg.define_asset_job("look", dg.AssetSelection.assets(observe_incidents))
        made = dg.Definitions([observe_incidents], jobs=[look], resources={"store": store})
        result = made.resolve_job_def("look").execute_in_process(instance=instance)
    noted = {
        event.asset_key.to_user_string(): event.asset_observation_data.asset_observation.metadata
        for event in result.all_events
        if event.event_type is dg.DagsterEventType.ASSET_OBSERVATION and event.asset_key
    }
    assert {name: told["dagster/row_count"].value for name, told in noted.items()} == {
        "system/silences": 0,
        "system/mutes": 0,
        "system/freshness": 0,
        "system/incidents": 1,
        "system/alerts": 0,
    }
    told = noted["system/incidents"]
    assert (told["open_incidents"].value, told["open_errors"].value, told["closed_incidents"].value) == (1, 1, 0)
    assert noted["system/freshness"]["stale_series"].value == 0


def test_what_is_materialised_has_a_freshness_policy_and_what_is_observed_has_none() -> None:
    policies = {spec.key.to_user_string(): spec.freshness_policy for spec in defs.resolve_all_asset_specs()}
    promised = {name for name, policy in policies.items() if policy is not None}
    assert promised >= {"market/bars", "market/bars_5m", "market/bars_1h", "market/bars_1d", "system/freshness"}
    assert not promised & {"market/trades", "system/incidents", "streams/market_trades", "collector/binance"}
