"""Start services as soon as what they need is healthy, and wait for all of them."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from contracts.errors import TerminalError
from deploy.stack.catalog import PREPARED_AFTER
from deploy.stack.files import tail
from deploy.stack.progress import Progress
from deploy.stack.service import PREPARED, Service, UnhealthyError
from deploy.stack.settings import StackSettings
from deploy.stack.supervisor import STOP_GRACE_SECONDS, Supervisor

CHECK_SECONDS = 2.0
PAUSE_SECONDS = 0.1
# A process that has died so often on its way up will not come.
DEATHS = 3


class Startup:
    """One run from started to healthy. What a service names in `after` but is not started here counts as there."""

    def __init__(
        self,
        settings: StackSettings,
        supervisor: Supervisor,
        services: Sequence[Service],
        prepare: Callable[[], None] | None,
        progress: Progress,
    ) -> None:
        self.settings, self.supervisor, self.prepare, self.progress = settings, supervisor, prepare, progress
        self.waiting = {service.name: service for service in services}
        self.starting: dict[str, Service] = {}
        self.began: dict[str, float] = {}
        self.pending: dict[str, Future[str]] = {}
        self.pids: dict[str, set[int]] = {}
        self.reason: dict[str, str] = {}
        self.awaited = set(self.waiting) | ({PREPARED} if prepare else set())

    def run(self) -> None:
        """Return when all are healthy; raise for the first that is not in its time."""
        try:
            with ThreadPoolExecutor(max_workers=2 * len(self.waiting) or 1) as pool:
                while self.waiting or self.starting or PREPARED in self.awaited:
                    self.launch_ready(pool)
                    if PREPARED in self.awaited and not (PREPARED_AFTER & self.awaited):
                        self.run_prepare()
                        continue
                    self.look(pool)
                    self.progress.waiting(sorted(self.starting) or sorted(self.waiting))
                    time.sleep(PAUSE_SECONDS)
        finally:
            self.progress.finish()

    def launch_ready(self, pool: ThreadPoolExecutor) -> None:
        """Start what waits for nothing any more."""
        for name, service in list(self.waiting.items()):
            if not service.after & self.awaited:
                self.starting[name] = self.waiting.pop(name)
                self.began[name] = time.monotonic()
                self.pending[name] = pool.submit(self.launch, service)

    def launch(self, service: Service) -> str:
        """Write what a service needs and start it, unless it runs; then ask how it is."""
        if not self.supervisor.process(service.name)["pid"]:
            service.write()
            self.supervisor.start(service.name)
        return self.ask(service)

    def run_prepare(self) -> None:
        """Let the caller make topics, schemas and tables."""
        began = time.monotonic()
        self.progress.waiting(["topics, schemas and tables"])
        assert self.prepare is not None
        self.prepare()
        self.awaited.discard(PREPARED)
        self.progress.line(f"{'topics, tables':<18} there after {time.monotonic() - began:.1f} s")

    def look(self, pool: ThreadPoolExecutor) -> None:
        """Gather the answers that have come, ask again, and give up on what cannot come."""
        states = self.supervisor.processes()
        for name, service in list(self.starting.items()):
            pid = int(states[name]["pid"])
            if pid:
                self.pids.setdefault(name, set()).add(pid)
            if self.pending[name].done():
                self.reason[name] = self.pending[name].result()
                if not self.reason[name] and pid:
                    self.healthy(service)
                    continue
                self.pending[name] = pool.submit(self.ask, service)
            if states[name]["statename"] == "FATAL" or len(self.pids.get(name, ())) >= DEATHS:
                self.give_up(service, "it ends right after its start")
            if self.since(name) > service.start_seconds:
                self.give_up(service, f"not healthy within {service.start_seconds:.0f} s: {self.reason.get(name)}")

    def healthy(self, service: Service) -> None:
        """Tell that a service is there, and let go who waits for it."""
        del self.starting[service.name]
        self.awaited.discard(service.name)
        at = f"127.0.0.1:{service.ports[0]}" if service.ports else ""
        self.progress.line(f"{service.name:<18} healthy after {self.since(service.name):.1f} s  {at}".rstrip())

    def ask(self, service: Service) -> str:
        """Return why a service is not healthy, empty when it is."""
        try:
            service.check(CHECK_SECONDS)
        except UnhealthyError as error:
            return str(error)
        return ""

    def since(self, name: str) -> float:
        """Return the seconds since the start of a service."""
        return time.monotonic() - self.began[name]

    def give_up(self, service: Service, why: str) -> None:
        """Stop what does not come, and raise what its log says last."""
        log = self.settings.log(service.name)
        self.supervisor.stop([service.name], service.stop_seconds + STOP_GRACE_SECONDS)
        told = " | ".join(tail(log))[-600:]
        raise TerminalError(
            f"{service.name} did not start: {why}; its log ends: {told or '(empty)'}; the whole log is {log}; "
            "mend that, then tapehouse up again (what is healthy keeps running, tapehouse down ends it)"
        )
