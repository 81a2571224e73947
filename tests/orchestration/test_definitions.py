"""The code location as the UI sees it: the whole graph against a reviewed snapshot, and what everything must have."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.specs import asset_key, column_schema
from contracts.catalog import DATASETS
from deploy.stack import names
from jobs.restart import Restartable
from orchestration.definitions import defs
from orchestration.settings import Settings
from orchestration.values import stack_settings
from sources.venues import VENUES

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOT = Path(__file__).with_name("asset_graph.json")


def graph() -> dict[str, Any]:
    """Describe the asset graph; what is compared with the snapshot."""
    checks: dict[str, list[str]] = {}
    for check in defs.resolve_asset_graph().asset_check_keys:
        checks.setdefault(check.asset_key.to_user_string(), []).append(check.name)
    return {
        spec.key.to_user_string(): {
            "group": spec.group_name,
            "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
            "kinds": sorted(spec.kinds),
            "owners": list(spec.owners),
            "partitions": str(spec.partitions_def) if spec.partitions_def else None,
            "checks": sorted(checks.get(spec.key.to_user_string(), [])),
        }
        for spec in sorted(defs.resolve_all_asset_specs(), key=lambda spec: (spec.group_name or "", spec.key))
    }


def test_the_asset_graph_is_the_reviewed_one() -> None:
    """After a change that is meant: python tests/orchestration/test_definitions.py, and review the difference."""
    assert graph() == json.loads(SNAPSHOT.read_text())


def test_every_asset_says_what_it_is_whose_it_is_and_where_it_belongs() -> None:
    for spec in defs.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.owners == ["team:market-data"], spec.key
        assert spec.group_name, spec.key
        assert spec.kinds, spec.key


def test_every_dependency_is_an_asset_of_the_location() -> None:
    known = {spec.key for spec in defs.resolve_all_asset_specs()}
    assert {dep.asset_key for spec in defs.resolve_all_asset_specs() for dep in spec.deps} <= known


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_every_contract_is_an_asset_with_its_columns_units_and_docs(dataset: Any) -> None:
    spec = next(spec for spec in defs.resolve_all_asset_specs() if spec.key == asset_key(dataset))
    schema = spec.metadata["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    assert schema == column_schema(dataset)
    assert [column.name for column in schema.columns] == [column.name for column in dataset.columns]
    for shown, column in zip(schema.columns, dataset.columns, strict=True):
        assert shown.description is not None
        assert column.doc in shown.description
        assert column.unit in shown.description
        assert ("grain" in shown.tags) == (column.name in dataset.grain)
    assert dataset.doc in (spec.description or "")


def test_every_collector_and_the_streams_are_processes_of_the_platform() -> None:
    processes = {spec.metadata["process"] for spec in defs.resolve_all_asset_specs() if "process" in spec.metadata}
    assert processes <= set(names(stack_settings(Settings(alert_stream=True), live=False)))
    assert len([name for name in processes if str(name).startswith("collector-")]) == len(VENUES)
    assert {one.value for one in Restartable} == processes


def test_jobs_schedules_and_the_sensor_are_there_and_described() -> None:
    repository = defs.get_repository_def()
    jobs = {job.name: job.description for job in repository.get_all_jobs() if not job.name.startswith("__")}
    assert set(jobs) == {
        "daily",
        "observe",
        "restart_process",
        "report",
        "scores",
        "hourly_scores",
        "parity",
        "deep_check",
        "retention",
        "compaction",
    }
    schedules = {s.name: (s.cron_schedule, s.default_status) for s in repository.schedule_defs}
    running = dg.DefaultScheduleStatus.RUNNING
    assert schedules == {
        "daily_at_00_10": ("10 0 * * *", running),
        "observe_every_5_minutes": ("*/5 * * * *", running),
        "report_at_01_00": ("0 1 * * *", running),
        "scores_at_00_40": ("40 0 * * *", running),
        "scores_every_hour": ("20 * * * *", running),
        "weekly_deep_check": ("0 23 * * 0", running),
        "retention_at_03_30": ("30 3 * * *", running),
        "weekly_compaction": ("0 4 * * 0", running),
    }
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "alerts", "automation", "closed_day", "failed_check", "freshness", "open_gaps", "rolled_up_day",
        "stream_lag_or_death",
    }  # fmt: skip
    assert all(jobs.values())
    assert all(schedule.description for schedule in repository.schedule_defs)
    assert all(sensor.description for sensor in repository.sensor_defs)


def test_importing_the_code_location_brings_no_heavy_library_along() -> None:
    heavy = ("pyspark", "matplotlib", "deltalake", "pyarrow", "clickhouse_connect", "polars")
    code = f"import sys, orchestration.definitions; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_dagster_validates_the_workspace(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("dagster")), "definitions", "validate", "-w", "workspace.yaml"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, env={"PATH": "", "DAGSTER_HOME": str(tmp_path)}
    )
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(graph(), indent=2) + "\n")
