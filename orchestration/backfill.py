"""Start, follow, cancel and resume backfills on a running Dagster web server, over its GraphQL."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import httpx2

from contracts.errors import RetryableError, TerminalError
from orchestration.launch import REQUEST_TIMEOUT_S, Server

POLL_S = 1.0
# Dagster looks at its backfills every 30 s: one look ends the runs, another one the backfill.
CANCEL_WAIT_S = 150.0
# A backfill that nobody works on stands still for as long before that is said.
UNTOUCHED_S = 45.0
LISTED = 20
FAILURES_TOLD = 3

SUCCEEDED = frozenset({"COMPLETED_SUCCESS", "COMPLETED"})
ENDED = SUCCEEDED | {"COMPLETED_FAILED", "FAILED", "CANCELED"}

VENUE_TAG = "tapehouse/venue"
# Scheduled runs go before the runs of a backfill.
PRIORITY = {"dagster/priority": "-1"}

_ASSETS = """
query Assets {
  assetNodes { assetKey { path } isMaterializable isPartitioned dependedByKeys { path } }
}
"""

_PARTITIONS = """
query Partitions($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    __typename
    ... on AssetNode { partitionKeysByDimension { name partitionKeys } }
  }
}
"""

_LAUNCH = """
mutation Backfill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on Error { message }
  }
}
"""

_RESUME = """
mutation Resume($params: ReexecutionParams!) {
  reexecutePartitionBackfill(reexecutionParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on Error { message }
  }
}
"""

_CANCEL = """
mutation Cancel($id: String!) {
  cancelPartitionBackfill(backfillId: $id) {
    __typename
    ... on Error { message }
  }
}
"""

_BACKFILL = """
fragment Backfill on PartitionBackfill {
  id status title timestamp endTimestamp numPartitions
  assetSelection { path }
  tags { key value }
  error { message }
}
"""

_STATE = (
    _BACKFILL
    + """
query State($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    __typename
    ... on PartitionBackfill {
      ...Backfill
      runs(limit: 1000) { runId status }
      assetBackfillData {
        assetBackfillStatuses {
          ... on AssetPartitionsStatusCounts {
            assetKey { path }
            numPartitionsTargeted numPartitionsInProgress numPartitionsMaterialized numPartitionsFailed
          }
        }
      }
    }
    ... on Error { message }
  }
  instance { daemonHealth { daemonStatus(daemonType: "BACKFILL") { healthy } } }
}
"""
)

_LIST = (
    _BACKFILL
    + """
query Recent($limit: Int!) {
  partitionBackfillsOrError(limit: $limit) {
    __typename
    ... on PartitionBackfills { results { ...Backfill } }
    ... on Error { message }
  }
}
"""
)


@dataclass(frozen=True)
class Partitions:
    """How far one asset of a backfill is, in partitions."""

    wanted: int
    done: int
    failed: int
    running: int


@dataclass(frozen=True)
class Backfill:
    """A backfill as Dagster tells it. `assets` is by asset key with slashes; `runs` by run id, with its status."""

    id: str
    status: str
    title: str
    url: str
    started: datetime
    ended: datetime | None
    partition_count: int
    assets: Mapping[str, Partitions]
    runs: Mapping[str, str]
    venue: str = ""
    reason: str = ""
    worked_on: bool = True

    @property
    def over(self) -> bool:
        """Tell whether nothing of it will run any more."""
        return self.status in ENDED

    @property
    def succeeded(self) -> bool:
        """Tell whether everything that it was to make was made."""
        return self.status in SUCCEEDED

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "id": self.id,
            "status": self.status.lower(),
            "title": self.title,
            "venue": self.venue,
            "url": self.url,
            "started": self.started.isoformat(),
            "ended": self.ended.isoformat() if self.ended else None,
            "partitions": self.partition_count,
            "assets": {name: vars(counts) for name, counts in self.assets.items()},
            "runs": dict(self.runs),
            "reason": self.reason,
        }


class Backfills:
    """The backfills of one web server; each call raises RetryableError when that does not answer."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def start(
        self, asset: str, first: date, last: date, *, venue: str = "", downstream: bool = False
    ) -> tuple[str, str]:
        """Start a backfill of the days from `first` to `last`; return its id, and what the caller should be told.

        `asset` is a key with slashes. With `downstream` the partitioned assets that follow from it are made too.
        A venue selects among the partitions of assets that have one a venue; other assets make all venues at once.
        """
        selected = self._selected(asset, downstream)
        keys, note = self._partition_keys(asset, first, last, venue)
        tags = PRIORITY | ({VENUE_TAG: venue} if venue else {})
        params = {
            "assetSelection": [{"path": name.split("/")} for name in selected],
            "partitionNames": keys,
            "title": f"{asset} {first} to {last}"[:100],
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        answer = self._server.ask(_LAUNCH, {"params": params})["launchPartitionBackfill"]
        return _id_of(answer, f"start a backfill of {asset}"), note

    def state(self, backfill_id: str) -> Backfill:
        """Return how a backfill stands; TerminalError when there is none of that id."""
        data = self._server.ask(_STATE, {"id": backfill_id})
        answer = data["partitionBackfillOrError"]
        if answer["__typename"] != "PartitionBackfill":
            raise TerminalError(f"Dagster knows no backfill {backfill_id!r}: tapehouse backfill list shows them")
        health = data["instance"]["daemonHealth"]["daemonStatus"]
        return self._read(answer, bool(health and health["healthy"]))

    def recent(self, limit: int = LISTED) -> list[Backfill]:
        """Return the newest backfills, without their assets' progress."""
        answer = self._server.ask(_LIST, {"limit": limit})["partitionBackfillsOrError"]
        if "results" not in answer:
            raise TerminalError(f"Dagster did not list its backfills: {answer.get('message')}")
        return [self._read(one, True) for one in answer["results"]]

    def cancel(self, backfill_id: str, wait_s: float = CANCEL_WAIT_S) -> Backfill:
        """Cancel a backfill and its runs, and wait until they have ended; one that is over stays as it is."""
        state = self.state(backfill_id)
        if state.over:
            return state
        answer = self._server.ask(_CANCEL, {"id": backfill_id})["cancelPartitionBackfill"]
        if answer["__typename"] != "CancelBackfillSuccess":
            raise TerminalError(f"Dagster did not cancel {backfill_id}: {answer.get('message')}")
        return self.follow(backfill_id, deadline_s=wait_s)

    def resume(self, backfill_id: str) -> str:
        """Start a backfill of what another one has left unmade, failed or cancelled; return the new one's id."""
        state = self.state(backfill_id)
        if not state.over:
            raise TerminalError(
                f"backfill {backfill_id} is {state.status.lower()}, not over: tapehouse backfill watch {backfill_id} "
                f"follows it, tapehouse backfill cancel {backfill_id} ends it"
            )
        if state.succeeded:
            raise TerminalError(f"backfill {backfill_id} has made all {state.partition_count} partitions: none is left")
        params = {"parentRunId": backfill_id, "strategy": "FROM_FAILURE"}
        answer = self._server.ask(_RESUME, {"params": params})["reexecutePartitionBackfill"]
        return _id_of(answer, f"resume {backfill_id}")

    def follow(
        self, backfill_id: str, *, deadline_s: float, on_progress: Callable[[Backfill], None] = lambda _: None
    ) -> Backfill:
        """Return when a backfill is over; TerminalError at the deadline (it goes on), RetryableError with no daemon."""
        began = time.monotonic()
        while True:
            state = self.state(backfill_id)
            on_progress(state)
            if state.over:
                return state
            waited = time.monotonic() - began
            if waited > UNTOUCHED_S and not state.worked_on:
                raise RetryableError(
                    f"backfill {backfill_id} is {state.status.lower()} and Dagster's daemon, which works on it, does "
                    "not run: tapehouse status shows why, tapehouse up starts it, and it goes on then"
                )
            if waited > deadline_s:
                raise TerminalError(
                    f"backfill {backfill_id} is {state.status.lower()} after {deadline_s:.0f} s; it goes on: "
                    f"tapehouse backfill watch {backfill_id}, or {state.url}"
                )
            time.sleep(POLL_S)

    def failures(self, state: Backfill, limit: int = FAILURES_TOLD) -> list[str]:
        """Return of its first failed runs the step, the reason and the address."""
        failed = [run for run, status in state.runs.items() if status == "FAILURE"]
        return [f"{self._server.failure(run)}; see {self._server.base_url}/runs/{run}" for run in failed[:limit]]

    def assets(self) -> dict[str, tuple[str, ...]]:
        """Return what can be backfilled: asset keys with slashes, each with the keys that follow from it."""
        nodes = self._server.ask(_ASSETS, {})["assetNodes"]
        found = {_key(node["assetKey"]): node for node in nodes if node["isMaterializable"] and node["isPartitioned"]}
        return {
            name: tuple(sorted(key for one in node["dependedByKeys"] if (key := _key(one)) in found))
            for name, node in sorted(found.items())
        }

    def _selected(self, asset: str, downstream: bool) -> list[str]:
        known = self.assets()
        if asset not in known:
            raise TerminalError(f"no asset {asset!r} can be backfilled; valid: {', '.join(known)}")
        selected = [asset]
        todo = deque(known[asset] if downstream else ())
        while todo:
            name = todo.popleft()
            if name not in selected:
                selected.append(name)
                todo.extend(known[name])
        return selected

    def _partition_keys(self, asset: str, first: date, last: date, venue: str) -> tuple[list[str], str]:
        variables = {"key": {"path": asset.split("/")}}
        dimensions = self._server.ask(_PARTITIONS, variables)["assetNodeOrError"]["partitionKeysByDimension"]
        keys = {one["name"]: one["partitionKeys"] for one in dimensions}
        if len(keys) == 1:
            note = f"{asset} makes a day of all venues at once, {venue}'s with the others'" if venue else ""
            return days_between(asset, next(iter(keys.values())), first, last), note
        if set(keys) != {"day", "venue"}:
            raise TerminalError(
                f"{asset} has the partitions {', '.join(keys)}, and only days, or days and venues, can be chosen here: "
                "start it from its page in Dagster"
            )
        if venue and venue not in keys["venue"]:
            raise TerminalError(f"{asset} has no partition of {venue!r}; valid: {', '.join(keys['venue'])}")
        days = days_between(asset, keys["day"], first, last)
        # Dagster joins the dimensions in the order of their names.
        return [f"{day}|{one}" for day in days for one in ([venue] if venue else keys["venue"])], ""

    def _read(self, answer: dict[str, Any], worked_on: bool) -> Backfill:
        selection = ["/".join(one["path"]) for one in answer["assetSelection"] or ()]
        statuses = (answer.get("assetBackfillData") or {}).get("assetBackfillStatuses", ())
        told = {_key(one["assetKey"]): _counts(one) for one in statuses if one}
        tags = {one["key"]: one["value"] for one in answer["tags"]}
        return Backfill(
            id=answer["id"],
            status=answer["status"],
            title=answer["title"] or ", ".join(selection),
            url=f"{self._server.base_url}/runs/b/{answer['id']}",
            started=datetime.fromtimestamp(answer["timestamp"], UTC),
            ended=datetime.fromtimestamp(answer["endTimestamp"], UTC) if answer["endTimestamp"] else None,
            partition_count=answer["numPartitions"] or 0,
            assets={name: told.get(name, Partitions(0, 0, 0, 0)) for name in selection},
            runs={run["runId"]: run["status"] for run in answer.get("runs", ())},
            venue=tags.get(VENUE_TAG, ""),
            reason=(answer["error"] or {}).get("message", ""),
            worked_on=worked_on,
        )


@contextmanager
def connected(base_url: str) -> Iterator[Backfills]:
    """Give the backfills of the web server at this address."""
    # No proxy of the environment may stand between us and loopback.
    with httpx2.Client(timeout=REQUEST_TIMEOUT_S, trust_env=False) as client:
        yield Backfills(Server(client, base_url.rstrip("/")))


def days_between(asset: str, keys: Sequence[str], first: date, last: date) -> list[str]:
    """Return the keys from `first` to `last`, both included; TerminalError when a day has no partition."""
    if first > last:
        raise TerminalError(f"--from {first} is after --to {last}: exchange them")
    if not keys:
        raise TerminalError(f"{asset} has no partition yet: only a day that is over is one")
    wanted = [key for key in keys if str(first) <= key <= str(last)]
    outside = [day for day in (first, last) if not keys[0] <= str(day) <= keys[-1]]
    if outside:
        raise TerminalError(
            f"{asset} has no partition {outside[0]}; valid: {keys[0]} to {keys[-1]} (days that are over)"
        )
    return wanted


def _counts(one: dict[str, Any]) -> Partitions:
    return Partitions(
        wanted=one["numPartitionsTargeted"],
        done=one["numPartitionsMaterialized"],
        failed=one["numPartitionsFailed"],
        running=one["numPartitionsInProgress"],
    )


def _key(key: dict[str, Any]) -> str:
    return "/".join(key["path"])


def _id_of(answer: dict[str, Any], what: str) -> str:
    if answer["__typename"] != "LaunchBackfillSuccess":
        raise TerminalError(f"Dagster did not {what}: {answer.get('message') or answer['__typename']}")
    return str(answer["backfillId"])
