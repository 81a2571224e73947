"""How many recorded messages a second the parsers take, on one core: `python -m benchmarks.parse`."""

import sys
import time

from sources.demo import TAPES
from sources.endpoints import Parser
from sources.tape_file import TapeRecord, read_tape
from sources.venues import venue

ROUNDS = 3


def best_rate(records: list[TapeRecord], parse: Parser) -> float:
    """Return records a CPU second, the best of a few rounds: the others tell of the machine, not of us."""
    best = 0.0
    for _ in range(ROUNDS):
        began = time.process_time()
        for record in records:
            parse(record.endpoint, record.payload, record.request)
        best = max(best, len(records) / (time.process_time() - began))
    return best


def main() -> None:
    """Print one line a venue and endpoint."""
    sys.stdout.write(f"{'tape':<22}{'messages':>10}{'parsed a CPU second':>22}\n")
    for name, tape in TAPES.items():
        parse = venue(name).parse
        by_endpoint: dict[str, list[TapeRecord]] = {}
        for record in read_tape(tape):
            by_endpoint.setdefault(record.endpoint, []).append(record)
        for endpoint, records in sorted(by_endpoint.items()):
            rate = best_rate(records, parse)
            sys.stdout.write(f"{name + '/' + endpoint:<22}{len(records):>10,}{rate:>22,.0f}\n")


if __name__ == "__main__":
    main()
