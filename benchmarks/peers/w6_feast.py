"""W6 with Feast: historical features from its DuckDB offline store, by event time with the created time told to it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64
from feast.value_type import ValueType

from benchmarks.peers.rounds import Job, serve

KEYS = ("venue", "instrument", "event_time", "known_time")


class Feast:
    """The store is declared once; each round asks it anew."""

    def __init__(self) -> None:
        self._store: Any = None
        self._asked: list[str] = []

    def _declared(self, job: Job) -> Any:
        if self._store is None:
            folder = Path(job.more["folder"]) / "feast"
            folder.mkdir(exist_ok=True)
            store = FeatureStore(
                config=RepoConfig(
                    project="bench",
                    provider="local",
                    registry=str(folder / "registry.db"),
                    offline_store={"type": "duckdb"},
                    online_store={"type": "sqlite", "path": str(folder / "online.db")},
                    entity_key_serialization_version=3,
                )
            )
            names = [name for name in pq.read_schema(job.more["rows"]).names if name not in KEYS]
            source = FileSource(
                path=job.more["rows"], timestamp_field="event_time", created_timestamp_column="known_time"
            )
            entities = [
                Entity(name=name, join_keys=[name], value_type=ValueType.STRING) for name in ("venue", "instrument")
            ]
            view = FeatureView(
                name="bench",
                entities=entities,
                ttl=timedelta(days=3650),
                schema=[Field(name=name, dtype=Float64) for name in names],
                source=source,
            )
            store.apply([*entities, view])
            self._store, self._asked = store, [f"bench:{name}" for name in names]
        return self._store

    def run(self, job: Job, number: int) -> dict[str, Any]:
        """Read rows and labels, write the labels with the features that Feast gives them."""
        labels = pd.read_parquet(job.more["labels"]).rename(columns={"time": "event_timestamp"})
        found = self._declared(job).get_historical_features(entity_df=labels, features=self._asked)
        pq.write_table(found.to_arrow(), job.more["out"])
        return {"round": number}


if __name__ == "__main__":
    serve(Feast().run)
