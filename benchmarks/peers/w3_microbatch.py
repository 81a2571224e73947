"""W3 with our own rules as an ordinary micro-batch query: what the real-time mode is beside."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import functions as f

from benchmarks.peers.rounds import Job, serve
from contracts.alert_rules import parse_rules
from contracts.quotes import QUOTES
from orchestration.settings import Settings
from spark.alerts import REFERENCE, alerts
from spark.decode import decode
from spark.session import open_session
from stores import registry


def run(job: Job, number: int) -> dict[str, Any]:
    """Start the query; it ends with this process."""
    settings = Settings(data_dir=Path(job.more["data_dir"]), port_offset=job.more["port_offset"])
    spark = open_session("bench", settings.alert_spark)
    options = {"kafka.bootstrap.servers": job.bootstrap, "subscribe": job.topic, "startingOffsets": "latest"}
    records = spark.readStream.format("kafka").options(**options).load()
    quotes = decode(records, QUOTES, registry.schemas_of(settings.registry, job.topic)).where("rejection IS NULL")
    references = spark.createDataFrame([], REFERENCE)
    found = alerts(quotes, quotes, references, parse_rules(job.more["rules"]), timedelta(minutes=15))
    told = f.struct("instrument", "venue_sequence", f.unix_micros("event_time").alias("event_time"))
    (
        found.select(f.to_json(told).alias("value"))
        .writeStream.format("kafka")
        .option("kafka.bootstrap.servers", job.bootstrap)
        .option("topic", job.out(number))
        .option("checkpointLocation", str(settings.data_dir / "bench-microbatch" / str(number)))
        .trigger(processingTime="0 seconds")
        .start()
    )
    return {"started": True}


if __name__ == "__main__":
    serve(run)
