"""W3 with PyFlink: a crossed quote in, an alert out, by SQL."""

from typing import Any

from benchmarks.peers.rounds import Job, serve
from benchmarks.peers.w1_flink import open_tables

SETTINGS = {"execution.buffer-timeout.interval": "0 ms", "pipeline.object-reuse": "true"}
QUOTES = """
CREATE TABLE quotes (
    instrument STRING NOT NULL,
    venue_sequence BIGINT NOT NULL,
    bid_price DECIMAL(24, 12) NOT NULL,
    ask_price DECIMAL(24, 12) NOT NULL,
    event_time BIGINT NOT NULL
) WITH (
    'connector' = 'kafka',
    'topic' = '{topic}',
    'properties.bootstrap.servers' = '{bootstrap}',
    'properties.group.id' = 'flink-alerts',
    'properties.fetch.max.wait.ms' = '5',
    'scan.startup.mode' = 'latest-offset',
    'value.format' = 'avro-confluent',
    'value.avro-confluent.url' = '{registry}'
)
"""
ALERTS = """
CREATE TABLE alerts (
    instrument STRING,
    venue_sequence BIGINT,
    event_time BIGINT
) WITH (
    'connector' = 'kafka',
    'topic' = '{topic}',
    'properties.bootstrap.servers' = '{bootstrap}',
    'properties.linger.ms' = '0',
    'sink.delivery-guarantee' = 'at-least-once',
    'format' = 'json'
)
"""
QUERY = """
INSERT INTO alerts
SELECT instrument, venue_sequence, event_time FROM quotes WHERE bid_price > ask_price
"""


def run(job: Job, number: int) -> dict[str, Any]:
    """Start the query; it ends with this process."""
    tables = open_tables(job, SETTINGS)
    tables.execute_sql(QUOTES.format(topic=job.topic, bootstrap=job.bootstrap, registry=job.registry))
    tables.execute_sql(ALERTS.format(topic=job.out(number), bootstrap=job.bootstrap))
    tables.execute_sql(QUERY)
    return {"started": True}


if __name__ == "__main__":
    serve(run)
