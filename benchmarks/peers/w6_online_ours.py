"""W6 online with Tapehouse: a vector of 30 features from Redis, as serving reads it."""

from datetime import UTC, datetime
from typing import Any

from benchmarks.peers.rounds import Job, serve
from benchmarks.peers.w6_online import INSTRUMENTS, VENUE, names, timed, value
from serving.vectors import Row, VectorReader, show
from stores.settings import CacheSettings


def run(job: Job, number: int) -> dict[str, Any]:
    """Write every instrument's vector, then read some, one at a time."""
    settings = CacheSettings(job.more["url"])
    now = datetime.now(UTC)
    show(
        settings,
        [
            Row("bench", VENUE, f"I{at:04d}", now, now, {name: value(at, n) for n, name in enumerate(names())})
            for at in range(INSTRUMENTS)
        ],
    )
    reader = VectorReader(settings)
    try:
        return {"round": number, **timed(lambda instrument: reader.latest_vector(VENUE, instrument).values)}
    finally:
        reader.close()


if __name__ == "__main__":
    serve(run)
