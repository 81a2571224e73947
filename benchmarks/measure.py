"""What processes cost: CPU seconds and memory of whole trees, children that have ended included."""

import threading
import time
from collections.abc import Sequence

import psutil

from deploy.stack.processes import memory

SAMPLE_S = 0.5


def cpu_seconds(root: psutil.Process) -> float:
    """Return the CPU seconds that a process and all below it have used, those that ended and were waited for too."""
    total = 0.0
    for process in _tree(root):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _tree(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


class Watch:
    """Watches processes while a round lasts; use as a context manager, then read what it found.

    `cpu_s` is of all `roots`, `each_cpu_s` of each in its order, `apart_cpu_s` of those that are told apart.
    """

    def __init__(self, roots: Sequence[psutil.Process], apart: Sequence[psutil.Process] = ()) -> None:
        self._roots, self._apart = list(roots), list(apart)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.memory: list[tuple[float, float]] = []  # seconds since the start, MiB
        self.each_cpu_s: list[float] = []
        self.cpu_s = self.apart_cpu_s = self.peak_mb = 0.0

    def __enter__(self) -> "Watch":
        self._began = time.monotonic()
        self._cpu = list(map(cpu_seconds, self._roots))
        self._apart_cpu = sum(map(cpu_seconds, self._apart))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.each_cpu_s = [cpu_seconds(root) - cpu for root, cpu in zip(self._roots, self._cpu, strict=True)]
        self.cpu_s = sum(self.each_cpu_s)
        self.apart_cpu_s = sum(map(cpu_seconds, self._apart)) - self._apart_cpu
        self._stop.set()
        self._thread.join()
        self.peak_mb = max(used for _, used in self.memory)

    def _sample(self) -> None:
        while True:
            used = sum(memory(root.pid) for root in self._roots) / 2**20
            self.memory.append((time.monotonic() - self._began, used))
            if self._stop.wait(SAMPLE_S):
                return
