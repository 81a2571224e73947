"""Redis, the cache of latest values."""

import shutil

from contracts.errors import TerminalError
from deploy.stack import health
from deploy.stack.files import write_text
from deploy.stack.service import Service
from deploy.stack.settings import StackSettings

CONFIGURATION = """\
bind 127.0.0.1
port {port}
protected-mode yes
daemonize no
# A title would be written over the environment, by which leftovers of a killed platform are found.
set-proc-title no
dir "{data}"
appendonly yes
appendfsync everysec
save ""
maxmemory 256mb
maxmemory-policy noeviction
loglevel notice
"""


def redis(settings: StackSettings) -> Service:
    """Describe Redis; its data lies in <data_dir>/redis."""
    port = settings.ports["redis"]
    data = settings.data_dir / "redis"
    configuration = settings.run_dir / "redis.conf"

    def write() -> None:
        if shutil.which("redis-server") is None:
            raise TerminalError("redis-server is missing: install the package redis-server (make setup does if it may)")
        data.mkdir(parents=True, exist_ok=True)
        write_text(configuration, CONFIGURATION.format(port=port, data=data))

    return Service(
        name="redis",
        command=(shutil.which("redis-server") or "redis-server", str(configuration)),
        check=health.redis(port),
        directory=settings.data_dir,
        ports=(port,),
        write=write,
        start_seconds=30,
        stop_seconds=6,
    )
