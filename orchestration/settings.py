"""The one settings object, and the only reader of the environment (TAPEHOUSE_*)."""

from functools import cached_property
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from spark.settings import SparkSettings, StreamSettings
from stores.settings import BrokerSettings, CacheSettings, LakeSettings, RegistrySettings, WarehouseSettings

REPOSITORY = Path(__file__).resolve().parent.parent
BARS_QUERY = REPOSITORY / "sql" / "queries" / "bars.sql"

# The ports that these services have by custom; the local platform adds TAPEHOUSE_PORT_OFFSET to each.
USUAL_PORTS = {
    "kafka": 9092,
    "kafka-controller": 9093,
    "registry": 8081,
    "warehouse": 8123,
    "redis": 6379,
    "replay": 8090,
    "collector-binance": 8091,
    "streams": 8092,
    "collector-coinbase": 8093,
    "collector-kraken": 8094,
    "spark-ui": 4040,
    "dagster": 3000,
}
# Collectors of other venues have the ports from here on.
FIRST_OTHER_COLLECTOR = 8095


class Settings(BaseSettings):
    """Where everything is. With nothing set: one machine, data under var/, usual ports plus 10,000."""

    model_config = SettingsConfigDict(env_prefix="TAPEHOUSE_", frozen=True)

    data_dir: Path = Field(default=REPOSITORY / "var", description="data, logs and state of the local platform")
    jars_dir: Path = Field(default=REPOSITORY / ".venv" / "jars", description="JVM jars that the set-up fetched")
    port_offset: int = Field(default=10_000, ge=0, le=50_000, description="added to each service's usual port")
    live: bool = Field(default=False, description="collect from the real venues instead of the replay server")
    venues: tuple[str, ...] = Field(default=("binance", "coinbase", "kraken"), description="the venues to collect from")
    demo_speed: float = Field(default=6.0, gt=0, description="how many times faster than recorded the demo tape plays")
    write_interval_s: float = Field(
        default=1.0, gt=0, description="how often trades, quotes and books go to the warehouse"
    )
    slow_interval_s: float = Field(default=5.0, gt=0, description="how often what comes seldom goes to the warehouse")
    archive_interval_s: float = Field(default=30.0, gt=0, description="how often the tape goes to the lake")
    book_snapshot_s: float = Field(
        default=60.0,
        ge=1,
        description="how far apart in event time whole books are kept, so that none is read far back",
    )

    api_keys: dict[str, str] = Field(
        default_factory=dict, repr=False, description="by venue, for what REST gives to customers alone; none is needed"
    )

    kafka_bootstrap: str = Field(default="", description="host:port of Kafka; empty: the local one")
    kafka_replication: int = Field(default=1, ge=1)
    kafka_security: dict[str, str] = Field(default_factory=dict, repr=False)
    registry_url: str = Field(default="", description="the schema registry's Confluent API; empty: the local one")
    registry_auth: str = Field(default="", repr=False)
    warehouse_host: str = Field(default="", description="host of ClickHouse; empty: the local one")
    warehouse_port: int = 0
    warehouse_database: str = "default"
    warehouse_user: str = "default"
    warehouse_password: str = Field(default="", repr=False)
    warehouse_secure: bool = False
    lake_root: str = Field(default="", description="where the Delta lake lies; empty: under data_dir")
    redis_url: str = Field(default="", repr=False, description="redis://...; empty: the local one")

    @cached_property
    def ports(self) -> dict[str, int]:
        """Return the port of every local service; venues beyond the usual ones get the next free ones."""
        others = [name for venue in self.venues if (name := f"collector-{venue}") not in USUAL_PORTS]
        usual = {**USUAL_PORTS, **{name: FIRST_OTHER_COLLECTOR + number for number, name in enumerate(others)}}
        return {name: port + self.port_offset for name, port in usual.items()}

    def port(self, service: str) -> int:
        """Return the port of a local service, by the names of USUAL_PORTS or as collector-VENUE."""
        return self.ports[service]

    @cached_property
    def broker(self) -> BrokerSettings:
        bootstrap = self.kafka_bootstrap or f"127.0.0.1:{self.port('kafka')}"
        return BrokerSettings(bootstrap, self.kafka_replication, dict(self.kafka_security))

    @cached_property
    def registry(self) -> RegistrySettings:
        local = f"http://127.0.0.1:{self.port('registry')}/apis/ccompat/v7"
        return RegistrySettings(self.registry_url or local, self.registry_auth)

    @cached_property
    def warehouse(self) -> WarehouseSettings:
        return WarehouseSettings(
            host=self.warehouse_host or "127.0.0.1",
            port=self.warehouse_port or self.port("warehouse"),
            database=self.warehouse_database,
            user=self.warehouse_user,
            password=self.warehouse_password,
            secure=self.warehouse_secure,
        )

    @cached_property
    def lake(self) -> LakeSettings:
        return LakeSettings(self.lake_root or str(self.data_dir / "lake"))

    @cached_property
    def spark(self) -> SparkSettings:
        return SparkSettings(self.jars_dir, self.data_dir / "spark", driver_memory="1g")

    @cached_property
    def streams(self) -> StreamSettings:
        return StreamSettings(
            broker=self.broker,
            registry=self.registry,
            warehouse=self.warehouse,
            lake=self.lake,
            scratch_dir=self.data_dir / "spark",
            venues=self.venues,
            write_interval_s=self.write_interval_s,
            slow_interval_s=self.slow_interval_s,
            archive_interval_s=self.archive_interval_s,
            book_snapshot_s=self.book_snapshot_s,
        )

    @cached_property
    def cache(self) -> CacheSettings:
        return CacheSettings(self.redis_url or f"redis://127.0.0.1:{self.port('redis')}/0")
