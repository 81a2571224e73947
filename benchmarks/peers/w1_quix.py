"""W1 with Quix Streams: Avro by fastavro, its tumbling windows with room for what comes late, bars when they close."""

import multiprocessing
import tempfile
import time
from typing import Any

from fastavro import parse_schema, schemaless_reader
from quixstreams import Application
from quixstreams.models import Deserializer

from benchmarks.peers.folding import Partial, body, merge, partial, plain_schema, written
from benchmarks.peers.rounds import Job, serve

MINUTE_MS = 60_000
# The latest trades come half an hour late; a window that closes sooner drops them.
GRACE_MS = 31 * MINUTE_MS
IDLE_S = 5.0
# Its state is JSON of 64-bit numbers: what outgrows them is kept in two.
LIMB = 10**15


class Trade(Deserializer):  # type: ignore[misc]
    """Reads a trade with times and numbers as they are on the wire."""

    def __init__(self) -> None:
        super().__init__()
        self._schema = parse_schema(plain_schema())

    def __call__(self, value: bytes, ctx: object) -> dict[str, Any]:  # noqa: ARG002 - so it is called
        """Return the trade."""
        trade: dict[str, Any] = schemaless_reader(body(value), self._schema, None)  # type: ignore[assignment]
        return trade


def _split(bar: Partial) -> Partial:
    return [*bar[:4], *divmod(bar[4], LIMB), *divmod(bar[5], LIMB), bar[6]]


def _joined(state: Partial) -> Partial:
    return [*state[:4], state[4] * LIMB + state[5], state[6] * LIMB + state[7], state[8]]


def first(trade: dict[str, Any]) -> Partial:
    """Return the state of a window with one trade."""
    return _split(partial(trade))


def more(state: Partial, trade: dict[str, Any]) -> Partial:
    """Return the state with another trade."""
    bar = _joined(state)
    merge(bar, partial(trade))
    return _split(bar)


def consume(job: Job, number: int, folder: str, ended: Any) -> None:
    """Run one process of the application until no more records come."""
    left = dict(job.ends)

    def processed(_: str, partition: int, offset: int) -> None:
        if offset + 1 == left.get(partition):
            with ended.get_lock():
                ended.value = max(ended.value, time.monotonic())

    application = Application(
        broker_address=job.bootstrap,
        consumer_group=f"quix-{number}-{job.port}-{job.events}",
        auto_offset_reset="earliest",
        state_dir=folder,
        # A partition may move when the second process joins; its state goes with it by the changelog topic alone.
        use_changelog_topics=True,
        loglevel="ERROR",
        on_message_processed=processed,
        consumer_extra_config={"fetch.message.max.bytes": 8 << 20},
    )
    topic = application.topic(
        job.topic,
        value_deserializer=Trade(),
        timestamp_extractor=lambda value, *_: value["event_time"] // 1000,
    )
    out = application.topic(job.out(number), value_serializer="bytes")
    trades = application.dataframe(topic)
    windows = trades.tumbling_window(MINUTE_MS, grace_ms=GRACE_MS).reduce(more, first)
    bars = windows.final(closing_strategy="partition")

    def store(window: dict[str, Any], key: Any, *_: object) -> bytes:
        instrument = bytes(key).decode().rpartition("|")[2]
        return written(instrument, window["start"] * 1000, _joined(window["value"]))

    bars.apply(store, metadata=True).to_topic(out)
    application.run(timeout=IDLE_S, collect=False)


def run(job: Job, number: int) -> dict[str, Any]:
    """Run the application in as many processes as the job says: one group, the partitions shared."""
    context = multiprocessing.get_context("spawn")
    ended = context.Value("d", 0.0)
    with tempfile.TemporaryDirectory() as folder:
        arguments = [(job, number, f"{folder}/{index}", ended) for index in range(job.processes)]
        started = [context.Process(target=consume, args=one) for one in arguments]
        for process in started:
            process.start()
        for process in started:
            process.join()
    if any(process.exitcode for process in started) or not ended.value:
        raise SystemExit("a process of the application failed")
    return {"ended": ended.value}


if __name__ == "__main__":
    serve(run)
