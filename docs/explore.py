"""From a question to a plot: how does bitcoin move, minute by minute? Needs the platform up: make run."""

import os

import clickhouse_connect
import matplotlib.pyplot as plt
import polars as pl

warehouse = clickhouse_connect.get_client(port=int(os.environ.get("TAPEHOUSE_WAREHOUSE_PORT", "18123")))
question = "SELECT * FROM market_bars_current WHERE match(instrument, 'BTC|XBT') ORDER BY venue, instrument, bar_time"
bars = pl.DataFrame(pl.from_arrow(warehouse.query_arrow(question, use_strings=True))).cast({"close": pl.Float64})
moves = bars.with_columns(move=(pl.col("close") / pl.col("close").first() - 1).over("venue", "instrument") * 100)
print(moves.group_by("venue", "instrument").agg(bars=pl.len(), percent=pl.col("move").last()))
for (venue, instrument), minutes in moves.group_by("venue", "instrument", maintain_order=True):
    plt.plot(minutes["move"], label=f"{venue} {instrument}")
plt.legend()
plt.savefig("explore.png")
