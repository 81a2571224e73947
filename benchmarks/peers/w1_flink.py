"""W1 with PyFlink: SQL alone, grouped by minute (so that late trades count), mini-batches, an upserted topic of bars.

Its decimals end at 38 digits: price and quantity are cast to 18, so that a product still is exact. First and last are
the least and greatest of time, sequence and price in one number: SQL has no argument of a minimum here.
"""

import time
from pathlib import Path
from typing import Any

from pyflink.table import EnvironmentSettings, TableEnvironment

from benchmarks.peers.rounds import Job, serve

SETTINGS = {
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "1 s",
    "table.exec.mini-batch.size": "50000",
    "table.optimizer.agg-phase-strategy": "TWO_PHASE",
    "pipeline.object-reuse": "true",
    "taskmanager.memory.managed.size": "64m",
}
TRADES = """
CREATE TABLE trades (
    instrument STRING NOT NULL,
    venue_sequence BIGINT NOT NULL,
    price DECIMAL(24, 12) NOT NULL,
    quantity DECIMAL(24, 12) NOT NULL,
    trade_count BIGINT NOT NULL,
    event_time BIGINT NOT NULL
) WITH (
    'connector' = 'kafka',
    'topic' = '{topic}',
    'properties.bootstrap.servers' = '{bootstrap}',
    'properties.group.id' = 'flink',
    'properties.max.poll.records' = '20000',
    'properties.max.partition.fetch.bytes' = '8388608',
    'scan.startup.mode' = 'earliest-offset',
    'scan.bounded.mode' = 'latest-offset',
    'value.format' = 'avro-confluent',
    'value.avro-confluent.url' = '{registry}'
)
"""
BARS = """
CREATE TABLE bars_{number} (
    instrument STRING NOT NULL,
    `minute` BIGINT NOT NULL,
    `open` DECIMAL(38, 6),
    high DECIMAL(18, 6),
    low DECIMAL(18, 6),
    `close` DECIMAL(38, 6),
    volume DECIMAL(38, 8),
    notional DECIMAL(38, 14),
    trade_count BIGINT,
    PRIMARY KEY (instrument, `minute`) NOT ENFORCED
) WITH (
    'connector' = 'upsert-kafka',
    'topic' = '{topic}',
    'properties.bootstrap.servers' = '{bootstrap}',
    'key.format' = 'json',
    'value.format' = 'json',
    'value.json.encode.decimal-as-plain-number' = 'true',
    'sink.buffer-flush.max-rows' = '2000',
    'sink.buffer-flush.interval' = '1s'
)
"""
QUERY = """
INSERT INTO bars_{number}
SELECT
    instrument,
    `minute`,
    CAST(MOD(MIN(placed), 1000000000000) AS DECIMAL(38, 6)),
    MAX(price),
    MIN(price),
    CAST(MOD(MAX(placed), 1000000000000) AS DECIMAL(38, 6)),
    SUM(quantity),
    SUM(price * quantity),
    SUM(trade_count)
FROM (
    SELECT
        instrument,
        event_time - MOD(event_time, 60000000) AS `minute`,
        CAST(price AS DECIMAL(18, 6)) AS price,
        CAST(quantity AS DECIMAL(18, 8)) AS quantity,
        trade_count,
        CAST(MOD(event_time, 60000000) * 10000000000 + venue_sequence AS DECIMAL(18, 0))
            * CAST(1000000000000 AS DECIMAL(13, 0)) + CAST(price AS DECIMAL(18, 6)) AS placed
    FROM trades
)
GROUP BY instrument, `minute`
"""


class Flink:
    """A local Flink that stays between rounds, as its JVM does."""

    def __init__(self) -> None:
        self._tables: Any = None

    def run(self, job: Job, number: int) -> dict[str, Any]:
        """Run the query to the end of the topic; starting the job is not counted."""
        if self._tables is None:
            self._tables = open_tables(job, SETTINGS)
            trades = TRADES.format(topic=job.topic, bootstrap=job.bootstrap, registry=job.registry)
            self._tables.execute_sql(trades)
        self._tables.execute_sql(BARS.format(number=number, topic=job.out(number), bootstrap=job.bootstrap))
        result = self._tables.execute_sql(QUERY.format(number=number))
        client = result.get_job_client()
        while client.get_job_status().result().name not in ("RUNNING", "FINISHED"):
            time.sleep(0.01)
        began = time.monotonic()
        result.wait()
        return {"began": began}


def open_tables(job: Job, settings: dict[str, str]) -> Any:
    """Open a local Flink with the connectors of its environment."""
    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    configuration = tables.get_config()
    jars = ";".join(path.as_uri() for path in sorted(Path(job.more["jars"]).glob("*.jar")))
    for name, value in {**settings, "pipeline.jars": jars, "parallelism.default": str(job.processes)}.items():
        configuration.set(name, value)
    return tables


if __name__ == "__main__":
    serve(Flink().run)
