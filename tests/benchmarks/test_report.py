"""Statistics, JSON, table and plot of measurements."""

import json
from pathlib import Path

import pytest

from benchmarks.plot import rates_plot
from benchmarks.publish import BEGIN, END, with_results
from benchmarks.report import merged, write_report
from benchmarks.statistics import Result, Round, Spread, latencies
from benchmarks.table import markdown
from benchmarks.workloads.w1 import shares

ABOUT = {"measured": "2026-01-05T00:00:00+00:00", "quick": True, "versions": {}}
MACHINE = {"cpu": "a cpu", "cores": 2, "memory_gb": 24, "load": 1.5}


def one(seconds: float, cpu_s: float = 6.0, correct: bool = True) -> Round:
    return Round(1_000_000, seconds, cpu_s, 1.0, 512.4, correct, "exact" if correct else "1 bar differs")


def entry(result: Result) -> dict[str, object]:
    return result.as_json() | ABOUT | {"machine": MACHINE}


def test_a_spread_is_the_middle_and_both_ends() -> None:
    assert Spread.of([3.0, 1.0, 7.0]) == Spread(3.0, 1.0, 7.0)
    assert Spread.of([2.0, 1.0]) == Spread(1.5, 1.0, 2.0)


def test_an_entry_has_what_programs_read() -> None:
    told = Result("W1", "tapehouse", "avro", rounds=(one(2.0), one(5.0, 8.0), one(4.0))).as_json()
    assert told["events_per_s"] == {"median": 250_000, "min": 200_000, "max": 500_000}
    assert (told["cpu_s_per_million"], told["peak_mb"], told["runs"]) == (6.0, 512, 3)
    assert told["correct"] is True


def test_one_wrong_round_makes_a_system_wrong() -> None:
    assert not Result("W1", "x", "avro", rounds=(one(1.0), one(1.0, correct=False))).correct
    assert not Result("W1", "x", "avro").correct


def test_what_could_not_be_had_stands_in_the_table_with_its_reason() -> None:
    text = markdown([entry(Result("W1", "PyFlink 2.2", "avro", absent="no | wheel"))])
    assert "| PyFlink 2.2 |  | not measured: no / wheel |" in text


def test_the_table_says_who_is_not_exact() -> None:
    text = markdown([entry(Result("W1", "x", "avro", exact_decimals=False, rounds=(one(4.0),), note="in doubles"))])
    assert "| x | 1,000,000 | 250,000 (250,000 to 250,000) | 6.0 | 512 | exact; no exact decimals | 1 |" in text
    assert "- x: in doubles." in text


def test_new_measurements_take_the_place_of_old_ones_of_their_workload() -> None:
    old = [{"workload": "W1", "system": "a"}, {"workload": "W4", "system": "b"}]
    assert merged(old, [{"workload": "W1", "system": "c"}]) == [
        {"workload": "W1", "system": "c"},
        {"workload": "W4", "system": "b"},
    ]


def test_a_run_leaves_json_table_and_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_report([Result("W1", "tapehouse", "avro", rounds=(one(4.0),))], quick=True, folder=tmp_path)
    (told,) = json.loads((tmp_path / "latest.json").read_text())
    assert {"workload", "system", "format", "events_per_s", "correct", "machine", "versions"} <= told.keys()
    assert (tmp_path / "latest.md").read_text() == capsys.readouterr().out
    assert (tmp_path / "latest.png").read_bytes().startswith(b"\x89PNG")


def test_a_plot_of_nothing_is_a_picture() -> None:
    assert rates_plot([]).startswith(b"\x89PNG")


def test_results_take_the_place_of_older_ones_on_the_page() -> None:
    once = with_results(f"# a\n{BEGIN}\n{END}\nb\n", "| new |")
    assert once == f"# a\n{BEGIN}\n\n| new |\n\n{END}\nb\n"
    assert with_results(once, "| newer |") == f"# a\n{BEGIN}\n\n| newer |\n\n{END}\nb\n"
    with pytest.raises(ValueError, match="needs the lines"):
        with_results("# a", "| new |")


def test_latencies_are_ones_that_were_seen() -> None:
    assert latencies([5.0, 1.0, 3.0]) == {"p50": 3.0, "p95": 5.0, "p99": 5.0, "max": 5.0}
    assert latencies([float(n) for n in range(1, 101)]) == {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}


def test_latencies_and_stages_stand_in_the_table() -> None:
    details = {"latency_ms": {"p50": 1.25, "p95": 4.0, "p99": 9.5, "max": 12.0}}
    text = markdown([entry(Result("W3 alert", "x, 200/s", "avro", rounds=(one(4.0),), details=details))])
    assert "| x, 200/s | 1.2 | 4.0 | 9.5 | 12.0 | 6 | 512 | exact |" in text
    seconds = {"batch": 9.0, "read": 3.0, "write": 1.0}
    stages = {"stages": {"read": 1.5, "decode": 3.0}, "progress": {"seconds": seconds}}
    text = markdown([entry(Result("W1", "tapehouse", "avro", rounds=(one(4.0),), details=stages))])
    assert "read 1.5 (25%), decode 3.0 (50%), the rest 1.5 (25%)" in text
    assert "spend their time: read 75%, write 25%." in text


def test_a_stage_costs_what_it_adds() -> None:
    assert shares({"read": 1.0, "decode": 2.5, "validate": 2.4, "hand over": 3.0}) == {
        "read": 1.0,
        "decode": 1.5,
        "validate": 0.0,
        "hand over": 0.5,
    }
