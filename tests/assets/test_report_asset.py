"""The report as Dagster runs it: the page lies in its folder, the verdict in the metadata, bad days included."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.report import REPORT_KEY
from assets.specs import asset_key
from assets.thresholds import Thresholds
from contracts.check_results import CHECK_RESULTS
from contracts.errors import RetryableError
from serving.pages import Pages

DAY = "2021-07-22"
MIDNIGHT = datetime(2021, 7, 22, tzinfo=UTC)


YESTERDAY = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()


@pytest.fixture
def reporting(stored: Any, auditor: Any, tmp_path: Path, make_bar: Any) -> dg.Definitions:
    from orchestration.definitions import build

    stored.insert_bars([make_bar(MIDNIGHT + timedelta(minutes=minute)) for minute in (0, 1, 7)])
    resources = {
        "store": stored.store,
        "processes": object(),
        "auditor": auditor,
        "checker": object(),
        "rebuilder": object(),
    }
    pages = Pages(tmp_path, "https://pages.example/tapehouse/")
    return build({**resources, "pages": pages, "thresholds": Thresholds(Decimal("0.7"))})


def made(reporting: dg.Definitions, instance: dg.DagsterInstance) -> dict[str, Any]:
    """Run the job and return what the day's materialisation tells."""
    result = reporting.resolve_job_def("report").execute_in_process(instance=instance, partition_key=DAY)
    assert result.success
    (event,) = result.asset_materializations_for_node("quality__report")
    assert (event.asset_key, event.partition) == (REPORT_KEY, DAY)
    return {name: value.value for name, value in event.metadata.items()}


def test_the_page_is_written_and_its_verdict_told(reporting: Any, instance: Any, auditor: Any, tmp_path: Path) -> None:
    told = made(reporting, instance)
    page = tmp_path / "reports" / f"report-{DAY}.html"
    assert told["page"] == f"https://pages.example/tapehouse/reports/report-{DAY}.html"
    assert told["file"] == str(page)
    assert told["bytes"] == page.stat().st_size > 5_000
    assert "3 one-minute bars" in page.read_text()
    assert "below 0.70" in page.read_text()
    assert told["level"] == "care"
    assert told["verdict"] in page.read_text()
    assert "| audit | balanced |" in told["extract"]
    assert told["closes"].startswith(f"![closes of {DAY}](data:image/png;base64,")
    assert [str(day) for day in auditor.asked] == [DAY]


def test_a_bad_day_is_reported_and_so_is_one_that_could_not_be_audited(
    reporting: Any, instance: Any, auditor: Any
) -> None:
    from quality.audit import AuditReport, AuditRow

    auditor.report = AuditReport([AuditRow("tape to tables", "tape.binance", 2, 9, 7, 3, 1, "market.trades")])
    told = made(reporting, instance)
    assert told["level"] == "distrust"
    assert told["verdict"] == "Do not trust these numbers yet: the audit found 3 missing and 1 twice."
    auditor.error = RetryableError("Kafka is away")
    told = made(reporting, instance)
    assert told["level"] == "unknown"
    assert "| audit | not run |" in told["extract"]


@pytest.mark.parametrize("passed", [True, False])
def test_by_itself_it_is_made_again_only_when_what_blocks_has_passed(
    reporting: Any, instance: Any, passed: bool
) -> None:
    graph = reporting.resolve_asset_graph()
    blocking = [key for key in graph.asset_check_keys if graph.get(key).blocking and key.asset_key != REPORT_KEY]
    last = next(key for key in blocking if key.name == "scores_reach_the_threshold")
    selected = dg.AssetSelection.assets(REPORT_KEY)

    def asked(cursor: Any = None) -> Any:
        return dg.evaluate_automation_conditions(reporting, instance, asset_selection=selected, cursor=cursor)

    before = asked()
    assert before.total_requested == 0
    instance.report_runless_asset_event(dg.AssetMaterialization(asset_key(CHECK_RESULTS), partition=YESTERDAY))
    for key in blocking:
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=passed or key != last,
                metadata={},
                partition=YESTERDAY if graph.get(key).partitions_def else None,
            )
        )
    after = asked(before.cursor)
    assert after.get_requested_partitions(REPORT_KEY) == ({YESTERDAY} if passed else set())
