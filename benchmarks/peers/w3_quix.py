"""W3 with Quix Streams: a crossed quote in, an alert out, a record at a time."""

import multiprocessing
from typing import Any

from fastavro import parse_schema, schemaless_reader
from quixstreams import Application
from quixstreams.models import Deserializer

from benchmarks.peers.folding import body, plain_schema
from benchmarks.peers.rounds import Job, serve
from contracts.quotes import QUOTES


class Quote(Deserializer):  # type: ignore[misc]
    """Reads a quote with times and numbers as they are on the wire."""

    def __init__(self) -> None:
        super().__init__()
        self._schema = parse_schema(plain_schema(QUOTES))

    def __call__(self, value: bytes, ctx: object) -> dict[str, Any]:  # noqa: ARG002 - so it is called
        """Return the quote."""
        quote: dict[str, Any] = schemaless_reader(body(value), self._schema, None)  # type: ignore[assignment]
        return quote


def crossed(quote: dict[str, Any]) -> bool:
    """Tell whether more is bid than is asked."""
    return int.from_bytes(quote["bid_price"]) > int.from_bytes(quote["ask_price"])


def alert(quote: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of a quote."""
    return {name: quote[name] for name in ("instrument", "venue_sequence", "event_time")}


def consume(job: Job, number: int) -> None:
    """Run the application until it is ended."""
    application = Application(
        broker_address=job.bootstrap,
        consumer_group=f"quix-alerts-{number}-{job.port}",
        auto_offset_reset="latest",
        auto_create_topics=False,
        use_changelog_topics=False,
        loglevel="ERROR",
        consumer_poll_timeout=0.01,
        consumer_extra_config={"fetch.wait.max.ms": 5},
        producer_extra_config={"linger.ms": 0},
    )
    quotes = application.dataframe(application.topic(job.topic, value_deserializer=Quote()))
    out = application.topic(job.out(number), value_serializer="json")
    quotes.filter(crossed).apply(alert).to_topic(out)
    application.run()


def run(job: Job, number: int) -> dict[str, Any]:
    """Start the application; it ends with this process."""
    multiprocessing.get_context("spawn").Process(target=consume, args=(job, number), daemon=True).start()
    return {"started": True}


if __name__ == "__main__":
    serve(run)
