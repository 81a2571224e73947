"""How a script is driven: it reads its job, then a line for each round, and answers when the round is done.

Imports the standard library alone: every environment runs it.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """What a system is given: a topic with all of its records in it, and a topic for its bars, another each round.

    `ends` is the offset after the last record by partition, `processes` how many to use, `port` the first of ten free
    ones; `more` holds what one system alone needs.
    """

    system: str
    bootstrap: str
    registry: str
    topic: str
    ends: dict[int, int]
    processes: int
    port: int
    more: dict[str, Any]

    @property
    def events(self) -> int:
        """Return how many records the topic holds."""
        return sum(self.ends.values())

    def out(self, number: int) -> str:
        """Name the topic for the bars of a round."""
        return out_topic(self.system, number)


def out_topic(system: str, number: int) -> str:
    """Name the topic that takes a system's bars of a round."""
    return f"bench.bars.{system}.{number}"


def read_job(text: str) -> Job:
    """Read a job from its JSON."""
    told = json.loads(text)
    return Job(**{**told, "ends": {int(partition): end for partition, end in told["ends"].items()}})


def serve(work: Callable[[Job, int], dict[str, Any]]) -> None:
    """Do rounds until the input ends; `work` returns began and ended (time.monotonic()) and whatever else it tells."""
    job = read_job(sys.argv[1])
    for line in sys.stdin:
        number = int(line)
        began = time.monotonic()
        told = {"began": began, **work(job, number)}
        told.setdefault("ended", time.monotonic())
        # A line of its own: what libraries print is not for us.
        sys.stdout.write("\nROUND " + json.dumps(told) + "\n")
        sys.stdout.flush()
