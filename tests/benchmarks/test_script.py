"""Scripts driven round by round, and what their processes cost."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks import script as driven
from benchmarks.environments import PeerEnvironment
from benchmarks.measure import Watch, cpu_seconds
from benchmarks.peers.rounds import Job
from benchmarks.script import Script, ScriptFailedError
from orchestration.settings import REPOSITORY

JOB = Job("x", "", "", "", {0: 2, 1: 3}, 1, 1, {})
ANSWERS = """
from benchmarks.peers.rounds import serve
def work(job, number):
    print("talks")
    if number == 3:
        raise SystemExit("has had enough")
    return {"events": job.events, "number": number, "out": job.out(number)}
serve(work)
"""
BURN = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
PARENT = (
    f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}]); print('burnt', flush=True); input()"
)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    monkeypatch.setattr(driven, "LOGS", tmp_path)
    (tmp_path / "answers.py").write_text(ANSWERS)
    monkeypatch.setitem(JOB.more, "environment", {"PYTHONPATH": f"{REPOSITORY}:{tmp_path}"})
    running = Script("answers", PeerEnvironment(Path(sys.executable)), JOB)
    yield running
    running.close()


def test_a_script_answers_round_by_round_whatever_it_prints(script: Script) -> None:
    for number in (0, 1):
        told = script.round(number, 30)
        assert (told["events"], told["number"], told["out"]) == (5, number, f"bench.bars.x.{number}")
        assert told["ended"] >= told["began"]


def test_a_script_that_ends_is_told_with_what_it_said_last(script: Script) -> None:
    with pytest.raises(ScriptFailedError, match="has had enough") as caught:
        script.round(3, 30)
    assert str(REPOSITORY) not in str(caught.value)


def test_children_that_have_ended_are_counted() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        with Watch([psutil.Process(parent.pid)]) as watch:
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"burnt\n"
        assert cpu_seconds(psutil.Process(parent.pid)) >= 0.4
        assert 0.3 < watch.cpu_s < 5
        assert watch.peak_mb > 1
    finally:
        parent.kill()
        parent.communicate()
