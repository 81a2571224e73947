"""W6 online with Feast: a vector of 30 features from its Redis store."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64
from feast.value_type import ValueType

from benchmarks.peers.rounds import Job, serve
from benchmarks.peers.w6_online import INSTRUMENTS, VENUE, names, timed, value


class Feast:
    """The store is declared and filled once; each round reads anew."""

    def __init__(self) -> None:
        self._store: Any = None

    def _filled(self, job: Job) -> Any:
        if self._store is None:
            folder = Path(job.more["folder"]) / "feast-online"
            folder.mkdir(exist_ok=True)
            keys = ("venue", "instrument")
            rows = [
                {"venue": VENUE, "instrument": f"I{at:04d}", "event_timestamp": datetime.now(UTC)}
                | {name: value(at, n) for n, name in enumerate(names())}
                for at in range(INSTRUMENTS)
            ]
            path = folder / "rows.parquet"
            pd.DataFrame(rows).to_parquet(path)
            store = FeatureStore(
                config=RepoConfig(
                    project="bench",
                    provider="local",
                    registry=str(folder / "registry.db"),
                    online_store={"type": "redis", "connection_string": urlsplit(job.more["url"]).netloc},
                    entity_key_serialization_version=3,
                )
            )
            entities = [Entity(name=name, join_keys=[name], value_type=ValueType.STRING) for name in keys]
            view = FeatureView(
                name="bench",
                entities=entities,
                ttl=timedelta(days=2),
                schema=[Field(name=name, dtype=Float64) for name in names()],
                source=FileSource(path=str(path), timestamp_field="event_timestamp"),
            )
            store.apply([*entities, view])
            store.write_to_online_store("bench", pd.DataFrame(rows))
            self._store = store
        return self._store

    def run(self, job: Job, number: int) -> dict[str, Any]:
        """Read vectors, one at a time."""
        store = self._filled(job)
        asked = [f"bench:{name}" for name in names()]

        def read(instrument: str) -> dict[str, Any]:
            rows = [{"venue": VENUE, "instrument": instrument}]
            found = store.get_online_features(features=asked, entity_rows=rows).to_dict()
            return {name: found[name][0] for name in names()}

        return {"round": number, **timed(read)}


if __name__ == "__main__":
    serve(Feast().run)
