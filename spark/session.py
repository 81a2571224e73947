"""Spark sessions: local on one machine, the same settings on a cluster."""

import os
import sys

from pyspark.sql import SparkSession

from contracts.errors import TerminalError
from spark.settings import SparkSettings

_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.schema.autoMerge.enabled": "false",
}
_CHECKPOINTS = "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"


def open_session(name: str, settings: SparkSettings) -> SparkSession:
    """Open a session that reads Kafka and Avro and writes Delta; TerminalError when the jars are missing."""
    found = sorted((settings.jars_dir / "spark").glob("*.jar"))
    jars = [str(jar) for jar in found if settings.delta or not jar.name.startswith("delta-")]
    if not jars:
        raise TerminalError(f"no Spark jars in {settings.jars_dir / 'spark'}; `make setup` fetches them")
    settings.scratch_dir.mkdir(parents=True, exist_ok=True)
    # Lengths inside a damaged Avro record must not make the JVM reserve gigabytes: its limits turn them into an
    # error of that record alone.
    lengths = {"string": 64 * 1024 * 1024, "bytes": 64 * 1024 * 1024, "collectionItems": 1024 * 1024}
    limits = " ".join(f"-Dorg.apache.avro.limits.{kind}.maxLength={most}" for kind, most in lengths.items())
    # Deep stacks: a query that is stopped matches its own stack trace with a regular expression, and dies of it.
    java = f"{limits} {settings.java_options} -Xss8m -Duser.timezone=UTC -Dderby.system.home={settings.scratch_dir}"
    # Spark takes these two from the environment alone: without them it binds to the host's outer address and runs
    # its workers on whatever python3 comes first.
    os.environ.update(SPARK_LOCAL_IP="127.0.0.1", PYSPARK_PYTHON=sys.executable)
    builder: SparkSession.Builder = SparkSession.builder
    config = {
        "spark.master": settings.master,
        "spark.app.name": name,
        "spark.jars": ",".join(jars),
        "spark.driver.memory": settings.driver_memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": java,
        "spark.ui.enabled": str(settings.ui_port > 0).lower(),
        "spark.ui.port": str(settings.ui_port or 4040),
        "spark.ui.showConsoleProgress": "false",
        "spark.ui.retainedJobs": "100",
        "spark.ui.retainedStages": "100",
        "spark.sql.ui.retainedExecutions": "50",
        "spark.local.dir": str(settings.scratch_dir / "local"),
        "spark.sql.warehouse.dir": str(settings.scratch_dir / "spark-warehouse"),
        # Each query in a pool of its own: what one venue or dataset floods us with holds up no other.
        "spark.scheduler.mode": "FAIR",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
        "spark.sql.streaming.minBatchesToRetain": "10",
        "spark.sql.streaming.stopTimeout": "20s",
        # A checkpoint is scratch, the ledger is the truth. Without Hadoop's native library the usual manager of its
        # files starts dozens of processes a batch, to ask whether they are links.
        "spark.sql.streaming.checkpointFileManagerClass": _CHECKPOINTS,
        "spark.sql.streaming.checkpoint.fileChecksum.enabled": "false",
        "spark.log.level": "ERROR",
    } | (_DELTA if settings.delta else {})
    for key, value in config.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
