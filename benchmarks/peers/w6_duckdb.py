"""W6 with DuckDB: its ASOF join on the time at which rows became known."""

from typing import Any

import duckdb

from benchmarks.peers.rounds import Job, serve

QUERY = """
COPY (
    SELECT labels.*, rows.* EXCLUDE (venue, instrument)
    FROM read_parquet('{labels}') AS labels
    ASOF LEFT JOIN read_parquet('{rows}') AS rows
    ON labels.venue = rows.venue AND labels.instrument = rows.instrument AND labels.time >= rows.known_time
) TO '{out}' (FORMAT parquet)
"""


def run(job: Job, number: int) -> dict[str, Any]:
    """Read rows and labels, write the labels with the row that became known last; a new database each round."""
    with duckdb.connect() as database:
        database.execute(f"SET threads = {job.processes}; SET TimeZone = 'UTC'")
        database.execute(QUERY.format(**{name: job.more[name] for name in ("labels", "rows", "out")}))
    return {"round": number}


if __name__ == "__main__":
    serve(run)
