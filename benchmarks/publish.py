"""`python -m benchmarks.publish`: the last run's tables and plot into docs/benchmarks.md and docs/capacity.md."""

import json
import shutil
import sys
from pathlib import Path

from benchmarks.capacity import TARGET_INSTRUMENTS, TARGET_RATE, Assumed, markdown, measured_in
from benchmarks.report import FOLDER
from orchestration.settings import REPOSITORY

PAGE, PICTURE = REPOSITORY / "docs" / "benchmarks.md", "benchmarks.png"
CAPACITY = REPOSITORY / "docs" / "capacity.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def with_results(page: str, results: str) -> str:
    """Return the page with the results between its marks; ValueError when it lacks them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page needs the lines {BEGIN} and {END}, in this order")
    return f"{before}{BEGIN}\n\n{results.strip()}\n\n{END}{after}"


def publish_capacity(page: Path, folder: Path) -> bool:
    """Put what follows from a folder's latest run into the page; tell whether it holds all that is needed."""
    try:
        measured = measured_in(json.loads((folder / "latest.json").read_text()))
    except (StopIteration, KeyError):
        return False
    table = markdown(TARGET_RATE, TARGET_INSTRUMENTS, measured, Assumed())
    page.write_text(with_results(page.read_text(), table))
    return True


def publish(page: Path, folder: Path) -> None:
    """Put a folder's latest table into the page and its plot beside it."""
    results = f"![Rates]({PICTURE})\n\n{(folder / 'latest.md').read_text()}"
    page.write_text(with_results(page.read_text(), results))
    shutil.copyfile(folder / "latest.png", page.with_name(PICTURE))


if __name__ == "__main__":
    publish(PAGE, FOLDER)
    sys.stdout.write(f"{PAGE} holds the last run's results\n")
    if not publish_capacity(CAPACITY, FOLDER):
        sys.stdout.write(f"{CAPACITY} is as it was: it needs W1 and W5 of ours\n")
