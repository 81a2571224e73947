"""One Kafka node, broker and controller in one process (KRaft)."""

import base64
import subprocess
import uuid
from pathlib import Path

from contracts.errors import TerminalError
from deploy.stack import health
from deploy.stack.files import write_text
from deploy.stack.service import Service
from deploy.stack.settings import StackSettings

# A record may be 16 MiB plus its envelope: a venue's largest snapshot, with room.
MESSAGE_BYTES = 17 * 1024 * 1024

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
log.message.timestamp.type=LogAppendTime
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
message.max.bytes={message_bytes}
replica.fetch.max.bytes={message_bytes}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
# There is no other broker that could take over, so stopping need not wait for one.
controlled.shutdown.enable=false
# It did not say goodbye, then: the broker that starts is let in when the session of the one before has ended.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=4
# The default of 128 MiB would be a third of the heap, for topics that hardly need compaction.
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.io.buffer.size=262144
# When the broker is killed, its logs are read again from the last point of recovery: one thread a core.
num.recovery.threads.per.data.dir=2
"""

LOGGING = """\
status=error
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %c{1}: %m%n%ex{6}
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=info
"""


def kafka(settings: StackSettings, java: Path) -> Service:
    """Describe the broker; its data lies in <data_dir>/kafka."""
    port, controller = settings.ports["kafka"], settings.ports["kafka-controller"]
    data = settings.data_dir / "kafka"
    properties = settings.run_dir / "kafka.properties"
    logging = settings.run_dir / "kafka-log4j2.properties"
    jars = settings.jars_dir / "kafka"
    base = (str(java), f"-Dlog4j2.configurationFile={logging}", "-cp", f"{jars}/*")

    def write() -> None:
        values = {"port": port, "controller": controller, "data": data, "message_bytes": MESSAGE_BYTES}
        write_text(properties, PROPERTIES.format(**values))
        write_text(logging, LOGGING)
        if not (data / "meta.properties").exists():
            data.mkdir(parents=True, exist_ok=True)
            format_storage((*base, "kafka.tools.StorageTool"), properties)

    memory = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError")
    return Service(
        name="kafka",
        command=(base[0], *memory, "-Djava.awt.headless=true", *base[1:], "kafka.Kafka", str(properties)),
        check=health.kafka(port),
        directory=settings.data_dir,
        ports=(port, controller),
        write=write,
        stop_seconds=30,
        needs=(jars,),
    )


def format_storage(tool: tuple[str, ...], properties: Path) -> None:
    """Give the empty data directory a cluster id, which Kafka then keeps in its meta.properties."""
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
    command = [*tool, "format", "--ignore-formatted", "-t", cluster_id, "-c", str(properties)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired as error:
        raise TerminalError(
            "formatting Kafka's data directory took more than 60 s: is the machine overloaded?"
        ) from error
    if done.returncode != 0:
        told = (done.stderr or done.stdout).strip().splitlines()
        raise TerminalError(
            f"Kafka's data directory could not be formatted: {told[-1] if told else 'no reason given'}; "
            f"the settings are in {properties}"
        )
