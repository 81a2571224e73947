"""Start runs on a running Dagster web server and wait for them, over its GraphQL."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from contracts.errors import RetryableError, TerminalError

LOCATION, REPOSITORY = "tapehouse", "__repository__"
REQUEST_TIMEOUT_S = 60.0
POLL_S = 0.5
EVENTS_A_PAGE = 500

Report = Callable[[str], None]

_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on Error { message }
  }
}
"""

_STATE = """
query State($run: ID!) {
  runOrError(runId: $run) {
    __typename
    ... on Run {
      status
      assetMaterializations { assetKey { path } partition }
      assetCheckEvaluations: eventConnection(limit: 1000) {
        events {
          ... on AssetCheckEvaluationEvent { evaluation { checkName success } }
        }
      }
    }
    ... on Error { message }
  }
}
"""

_FAILURES = """
query Failures($run: ID!, $after: String, $limit: Int!) {
  logsForRun(runId: $run, afterCursor: $after, limit: $limit) {
    __typename
    ... on EventConnection {
      cursor
      hasMore
      events {
        ... on ExecutionStepFailureEvent { stepKey error { message cause { message } } failureMetadata { description } }
        ... on RunFailureEvent { message error { message } }
      }
    }
    ... on Error { message }
  }
}
"""


@dataclass(frozen=True)
class RunResult:
    """A run that succeeded. `materialised` holds asset keys with slashes, `checks` whether each check passed."""

    job: str
    partition: str | None
    run_id: str
    url: str
    seconds: float
    materialised: tuple[str, ...] = ()
    checks: dict[str, bool] = field(default_factory=dict)


def run_job(
    base_url: str, job: str, partition: str | None = None, *, deadline_s: float, on_progress: Report = lambda _: None
) -> RunResult:
    """Run a job, for one partition if given, and return when it has succeeded.

    Raises TerminalError with the run's address and its first step's error when it failed, and when `deadline_s` is
    over (the run goes on); RetryableError when the web server does not answer.
    """
    return run_partitions(base_url, job, [partition], deadline_s=deadline_s, on_progress=on_progress)[0]


def run_partitions(
    base_url: str,
    job: str,
    partitions: Sequence[str | None],
    *,
    deadline_s: float,
    on_progress: Report = lambda _: None,
) -> list[RunResult]:
    """Start one run a partition, all at once, and wait for all; Dagster queues what is too much."""
    base_url = base_url.rstrip("/")
    # No proxy of the environment may stand between us and loopback.
    with httpx2.Client(timeout=REQUEST_TIMEOUT_S, trust_env=False) as client:
        server = Server(client, base_url)
        began = time.monotonic()
        runs = [(partition, server.launch(job, partition)) for partition in partitions]
        return [_wait(server, job, p, run, began, deadline_s, on_progress) for p, run in runs]


def _wait(
    server: "Server", job: str, partition: str | None, run: str, began: float, deadline_s: float, on_progress: Report
) -> RunResult:
    name = f"{job} {partition}" if partition else job
    url, told = f"{server.base_url}/runs/{run}", ""
    while True:
        seconds = time.monotonic() - began
        try:
            state = server.state(run)
        except RetryableError:
            # A machine that is busy with the very run may leave a question without an answer.
            if seconds > deadline_s:
                raise
            time.sleep(POLL_S)
            continue
        status, made = state["status"], _materialised(state)
        line = f"{name}: {status.lower()}" + (f", {len(made)} materialised" if made else "")
        if line != told:
            on_progress(line)
            told = line
        if status == "SUCCESS":
            return RunResult(job, partition, run, url, seconds, made, _checks(state))
        if status in ("FAILURE", "CANCELED"):
            reason = server.failure(run) if status == "FAILURE" else "it was cancelled"
            raise TerminalError(f"the run of {name} failed: {reason}; see {url}")
        if seconds > deadline_s:
            raise TerminalError(f"the run of {name} is {status.lower()} after {deadline_s:.0f} s; it goes on: {url}")
        time.sleep(POLL_S)


def _materialised(state: dict[str, Any]) -> tuple[str, ...]:
    return tuple("/".join(one["assetKey"]["path"]) for one in state["assetMaterializations"])


def _checks(state: dict[str, Any]) -> dict[str, bool]:
    found = [event["evaluation"] for event in state["assetCheckEvaluations"]["events"] if event.get("evaluation")]
    return {str(one["checkName"]): bool(one["success"]) for one in found}


@dataclass(frozen=True)
class Server:
    """A web server's GraphQL, its failures classified."""

    client: httpx2.Client
    base_url: str

    def ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the answer's data."""
        try:
            answer = self.client.post(f"{self.base_url}/graphql", json={"query": query, "variables": variables})
            answer.raise_for_status()
            body = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise RetryableError(
                f"Dagster's web server at {self.base_url} does not answer ({error}): is the platform up? "
                "tapehouse status"
            ) from error
        if body.get("errors"):
            raise TerminalError(f"Dagster's web server refused a query: {body['errors'][0]['message']}")
        data: dict[str, Any] = body["data"]
        return data

    def launch(self, job: str, partition: str | None) -> str:
        """Start a run and return its id."""
        tags = [{"key": "dagster/partition", "value": partition}] if partition else []
        params = {
            "selector": {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "jobName": job},
            "runConfigData": {},
            "executionMetadata": {"tags": tags},
        }
        answer = self.ask(_LAUNCH, {"params": params})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            wrong = answer.get("message") or "; ".join(e["message"] for e in answer.get("errors", []))
            raise TerminalError(f"Dagster did not start {job} {partition or ''}: {wrong or answer['__typename']}")
        return str(answer["run"]["runId"])

    def state(self, run: str) -> dict[str, Any]:
        """Return the run's status and what it has made so far."""
        answer: dict[str, Any] = self.ask(_STATE, {"run": run})["runOrError"]
        if answer["__typename"] != "Run":
            raise TerminalError(f"Dagster knows no run {run}: {answer.get('message')}")
        return answer

    def failure(self, run: str) -> str:
        """Return the first failed step and its innermost error."""
        after, fallback = None, "no reason given"
        while True:
            page = self.ask(_FAILURES, {"run": run, "after": after, "limit": EVENTS_A_PAGE})["logsForRun"]
            for event in page.get("events", ()):
                if event.get("stepKey"):
                    return f"{event['stepKey']}: {_reason(event)}"
                fallback = event.get("message") or fallback
            if not page.get("hasMore"):
                return fallback
            after = page["cursor"]


def _reason(event: dict[str, Any]) -> str:
    described = (event.get("failureMetadata") or {}).get("description")
    error = event.get("error") or {}
    told = described or (error.get("cause") or error).get("message") or "no reason given"
    return " ".join(str(told).split())[:500]
