"""W4 with our own rebuild: a day from the lake's tape into scratch tables, judged, each trade once, with its bars."""

import time
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.peers.rounds import Job, serve
from orchestration.settings import BARS_QUERY, Settings
from sources.derive import derive
from spark.comparison import Comparison, Scratch
from spark.rebuild import rebuild_day
from spark.session import open_session


def _all(found: list[Comparison]) -> bool:
    return bool(found) and all(one.equal for one in found)


class Ours:
    """The session stays between rounds; the scratch tables stay after them, to be looked at."""

    def __init__(self) -> None:
        self._spark: Any = None

    def run(self, job: Job, number: int) -> dict[str, Any]:
        """Rebuild the day; tells the seconds until each of its steps began."""
        settings = Settings(data_dir=Path(job.more["data_dir"]), port_offset=job.more["port_offset"])
        if self._spark is None:
            self._spark = open_session("bench", settings.spark)
        day = date.fromisoformat(job.more["day"])
        steps: list[tuple[str, float]] = []
        began = time.monotonic()
        found = rebuild_day(
            self._spark,
            lake=settings.lake,
            warehouse_settings=settings.warehouse,
            derive=derive,
            day=day,
            bars_query=BARS_QUERY.read_text(),
            scratch=Scratch.of(day, job.more["scratch"]),
            on_progress=lambda text: steps.append((text, time.monotonic() - began)),
        )
        # The comparison with what was streamed comes after it.
        seconds = next((at for text, at in steps if text == "comparing"), time.monotonic() - began)
        return {"began": began, "ended": began + seconds, "steps": steps, "round": number, "equal": _all(found)}


if __name__ == "__main__":
    serve(Ours().run)
