"""The Apicurio schema registry, which speaks the Confluent API."""

from pathlib import Path

from deploy.stack import health
from deploy.stack.files import write_text
from deploy.stack.service import Service
from deploy.stack.settings import StackSettings

# Its own small database keeps it apart from Kafka: it starts beside the broker and answers while the broker is away.
# WRITE_DELAY=0: an id that was given out is on disk, also when the process is killed right after.
PROPERTIES = """\
quarkus.http.host=127.0.0.1
quarkus.http.port={port}
quarkus.http.access-log.enabled=false
quarkus.log.level=WARN
quarkus.log.category."io.apicurio".level=WARN
apicurio.storage.kind=sql
apicurio.storage.sql.kind=h2
apicurio.datasource.url=jdbc:h2:file:{data}/registry;WRITE_DELAY=0
apicurio.datasource.jdbc.initial-size=2
apicurio.datasource.jdbc.min-size=2
apicurio.datasource.jdbc.max-size=16
"""


def registry(settings: StackSettings, java: Path) -> Service:
    """Describe the registry; its data lies in <data_dir>/registry."""
    port = settings.ports["registry"]
    data = settings.data_dir / "registry"
    properties = settings.run_dir / "registry.properties"
    jars = settings.jars_dir / "registry"
    runner = next(
        iter(sorted(jars.glob("apicurio-registry-app-*-runner.jar"))), jars / "apicurio-registry-app-runner.jar"
    )

    def write() -> None:
        data.mkdir(parents=True, exist_ok=True)
        write_text(properties, PROPERTIES.format(port=port, data=data))

    # Serial collector and the first compiler tier: half the memory and a quicker start for a service that is asked
    # for a schema now and then.
    quick = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")
    return Service(
        name="registry",
        command=(
            str(java),
            *quick,
            "-Djava.net.preferIPv4Stack=true",
            f"-Dquarkus.config.locations={properties}",
            f"-Djava.io.tmpdir={data}",
            "-jar",
            str(runner),
        ),
        check=health.http(port, "/apis/ccompat/v7/subjects"),
        directory=settings.data_dir,
        ports=(port,),
        write=write,
        needs=(runner,),
    )
