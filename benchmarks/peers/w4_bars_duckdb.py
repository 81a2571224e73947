"""W4 with DuckDB: the bars of a day from the stored trades in Parquet, decimals all the way."""

from typing import Any

import duckdb

from benchmarks.peers.rounds import Job, serve

QUERY = """
COPY (
    SELECT
        instrument,
        epoch_us(date_trunc('minute', event_time)) AS minute,
        arg_min(price, (event_time, venue_sequence))::VARCHAR AS open,
        max(price)::VARCHAR AS high,
        min(price)::VARCHAR AS low,
        arg_max(price, (event_time, venue_sequence))::VARCHAR AS close,
        sum(quantity)::VARCHAR AS volume,
        sum(price * quantity)::VARCHAR AS notional,
        sum(trade_count)::BIGINT AS trade_count
    FROM read_parquet(?)
    GROUP BY ALL
) TO '{out}' (FORMAT json)
"""


def run(job: Job, number: int) -> dict[str, Any]:
    """Read the Parquet, write the bars; a new database each round, so that nothing is cached."""
    with duckdb.connect() as database:
        database.execute(f"SET threads = {job.processes}; SET TimeZone = 'UTC'")
        database.execute(QUERY.format(out=job.more["out"]), [job.more["trades"]])
    return {"round": number}


if __name__ == "__main__":
    serve(run)
