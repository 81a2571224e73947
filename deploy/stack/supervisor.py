"""supervisord: its configuration, its start, and the calls to it over its socket."""

import hashlib
import http.client
import os
import socket
import subprocess
import tempfile
import time
import xmlrpc.client
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, cast

from contracts.errors import RetryableError, TerminalError
from deploy.stack.files import tail, write_text
from deploy.stack.service import Service
from deploy.stack.settings import StackSettings

WATCH = "watch"
# A path of a unix socket has room for 107 bytes.
SOCKET_PATH_BYTES = 100

# What a stop may take beyond the time after which supervisord kills.
STOP_GRACE_SECONDS = 10

HEAD = """\
[supervisord]
logfile={log}
logfile_maxbytes=5MB
logfile_backups=2
pidfile={run}/supervisord.pid
identifier=tapehouse
directory={data}
childlogdir={logs}
umask=077
{user}
[unix_http_server]
file={socket}
chmod=0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[eventlistener:{watch}]
command={python} -m deploy.stack.watch {state}
directory={repository}
events=PROCESS_STATE
buffer_size=1000
startretries=1000
stdout_logfile=NONE
stderr_logfile={watch_log}
stderr_logfile_maxbytes=5MB
stderr_logfile_backups=1
"""

# startsecs: who dies sooner counts as failed to start, and is started again after 1, 2, 3, ... seconds.
PROGRAM = """
[program:{name}]
command={command}
directory={directory}
autostart=false
autorestart=true
startsecs=3
startretries=20
stopwaitsecs={stop_seconds}
stopasgroup={stop_group}
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""


def configuration(settings: StackSettings, described: Iterable[Service]) -> str:
    """Return supervisord's configuration for these services; none of them starts by itself."""
    head = HEAD.format(
        log=literal(settings.log("supervisord")),
        run=literal(settings.run_dir),
        data=literal(settings.data_dir),
        logs=literal(settings.log_dir),
        socket=literal(socket_path(settings)),
        python=quoted(settings.python),
        repository=literal(settings.repository),
        state=quoted(state_file(settings)),
        watch=WATCH,
        watch_log=literal(literal(settings.log(WATCH))),
        # supervisord running as root asks to be told that this is meant.
        user="user=root\n" if os.getuid() == 0 else "",
    )
    return head + "".join(program(settings, service) for service in described)


def program(settings: StackSettings, service: Service) -> str:
    """Return the section of one service."""
    return PROGRAM.format(
        name=service.name,
        command=" ".join(quoted(word) for word in service.command),
        directory=literal(service.directory),
        stop_seconds=service.stop_seconds,
        stop_group=str(service.stop_group).lower(),
        # The name of a program's log is expanded twice.
        log=literal(literal(settings.log(service.name))),
    )


def literal(value: object) -> str:
    """Return a value in which supervisord expands nothing."""
    return str(value).replace("%", "%%")


def quoted(value: object) -> str:
    """Return a value as one word of a command."""
    text = literal(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def state_file(settings: StackSettings) -> Path:
    """Return the file that tells the watcher which stack it watches."""
    return settings.run_dir / "stack.json"


def socket_path(settings: StackSettings) -> Path:
    """Return supervisord's socket: in the run directory, or in the system's temporary one if the path is too long."""
    near = settings.run_dir / "supervisor.sock"
    if len(os.fsencode(near)) <= SOCKET_PATH_BYTES:
        return near
    digest = hashlib.sha256(os.fsencode(near)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"tapehouse-{os.getuid()}" / f"{digest}.sock"


class SocketConnection(http.client.HTTPConnection):
    """HTTP over a unix socket, with the timeout that HTTPConnection knows."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class SocketTransport(xmlrpc.client.Transport):
    """XML-RPC over a unix socket; supervisor's own transport has no timeout."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__()
        self.path, self.timeout = path, timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ARG002 - a socket has no host
        """Open one connection a call."""
        return SocketConnection(self.path, self.timeout)


class Supervisor:
    """The calls to a running supervisord; each raises RetryableError when it does not answer in time."""

    def __init__(self, settings: StackSettings) -> None:
        self.path = socket_path(settings)

    def call(self, method: str, *arguments: object, timeout: float = 5.0) -> Any:
        """Call `supervisor.<method>`; supervisord's own faults come as xmlrpc.client.Fault."""
        with xmlrpc.client.ServerProxy("http://localhost", transport=SocketTransport(self.path, timeout)) as proxy:
            try:
                return getattr(proxy.supervisor, method)(*arguments)
            except xmlrpc.client.Fault:
                raise
            except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
                raise RetryableError(
                    f"supervisord does not answer at {self.path} ({error}): is the platform up? tapehouse up"
                ) from error

    def answers(self) -> bool:
        """Tell whether a supervisord listens there."""
        try:
            self.call("getState", timeout=2.0)
        except (RetryableError, xmlrpc.client.Fault):
            return False
        return True

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return what supervisord knows of each process, by name."""
        listed = cast("list[dict[str, Any]]", self.call("getAllProcessInfo"))
        return {str(one["name"]): one for one in listed}

    def process(self, name: str) -> dict[str, Any]:
        """Return what supervisord knows of one process."""
        return cast("dict[str, Any]", self.call("getProcessInfo", name))

    def start(self, name: str) -> None:
        """Start a process, unless it runs; does not wait for it to be healthy."""
        self._unless(60, "startProcess", name, False)

    def stop(self, names: Collection[str], seconds: float) -> None:
        """Ask processes to stop, side by side, and wait until all have ended; who is stopped already is fine.

        supervisord kills who has not ended within its own stopwaitsecs, so `seconds` has to be longer than that.
        """
        for name in names:
            self._unless(70, "stopProcess", name, False)
        deadline = time.monotonic() + seconds
        while alive := [name for name in names if self.process(name)["pid"]]:
            if time.monotonic() > deadline:
                raise RetryableError(f"{', '.join(alive)} did not end within {seconds:.0f} s: tapehouse down kills it")
            time.sleep(0.05)

    def _unless(self, fault: int, method: str, *arguments: object) -> None:
        try:
            self.call(method, *arguments)
        except xmlrpc.client.Fault as error:
            if error.faultCode != fault:
                raise TerminalError(f"supervisord refuses {method}{arguments}: {error.faultString}") from error


def start(settings: StackSettings, text: str, environment: dict[str, str]) -> Supervisor:
    """Start supervisord in the background and wait until it answers."""
    path = settings.run_dir / "supervisord.conf"
    write_text(path, text)
    at = socket_path(settings)
    at.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if at.parent.stat().st_uid != os.getuid():
        raise TerminalError(f"{at.parent} belongs to somebody else: choose a shorter TAPEHOUSE_DATA_DIR")
    program = settings.python.parent / "supervisord"
    started = subprocess.run(
        [str(program), "-c", str(path)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        start_new_session=True,
    )
    if started.returncode != 0:
        told = [line for line in (started.stderr + started.stdout).splitlines() if "rror" in line]
        raise TerminalError(f"supervisord does not start: {told[-1] if told else 'no reason given'}; see {path}")
    supervisor = Supervisor(settings)
    deadline = time.monotonic() + 15
    while not supervisor.answers():
        if time.monotonic() > deadline:
            told = tail(settings.log("supervisord"), 1)
            raise RetryableError(f"supervisord does not answer after 15 s: {' '.join(told)}")
        time.sleep(0.05)
    return supervisor
