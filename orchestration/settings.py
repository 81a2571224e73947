"""The one settings object, and the only reader of the environment (TAPEHOUSE_*) and of tapehouse.toml."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from assets.thresholds import RetentionWishes
from contracts.alert_rules import DEFAULT_RULES, parse_rules
from contracts.errors import TerminalError
from contracts.imports import IMPORT
from contracts.retention import SHORTEST_TAPE_DAYS
from quality.closures import Closures, parse_window
from quality.settings import HealthSettings
from serving.pages import Pages
from serving.settings import LatestSettings, TellingSettings
from spark.alert_settings import AlertSettings
from spark.settings import SparkSettings, StreamSettings
from stores.settings import BrokerSettings, CacheSettings, LakeSettings, RegistrySettings, WarehouseSettings

REPOSITORY = Path(__file__).resolve().parent.parent
BARS_QUERY = REPOSITORY / "sql" / "queries" / "bars.sql"
REFERENCES_QUERY = REPOSITORY / "sql" / "queries" / "alert_references.sql"
PREFIX = "TAPEHOUSE_"
FILE_VARIABLE = f"{PREFIX}CONFIG"
USUAL_FILE = REPOSITORY / "tapehouse.toml"

# The ports that these services have by custom; the local platform adds TAPEHOUSE_PORT_OFFSET to each.
USUAL_PORTS = {
    "kafka": 9092,
    "kafka-controller": 9093,
    "registry": 8081,
    "warehouse": 8123,
    "redis": 6379,
    "pages": 8080,
    "replay": 8090,
    "collector-binance": 8091,
    "alert-stream": 8088,
    "latest": 8089,
    "streams": 8092,
    "collector-coinbase": 8093,
    "collector-kraken": 8094,
    "spark-ui": 4040,
    "dagster": 3000,
    "alerts": 9999,
}
# Collectors of other venues have the ports from here on.
FIRST_OTHER_COLLECTOR = 8095


def variables() -> dict[str, str]:
    """Return the environment's TAPEHOUSE_* variables, their names in capitals."""
    return {name.upper(): value for name, value in os.environ.items() if name.upper().startswith(PREFIX)}


def settings_file() -> Path | None:
    """Return the settings file: what TAPEHOUSE_CONFIG names (empty: none), else tapehouse.toml in the checkout."""
    named = variables().get(FILE_VARIABLE)
    if named is None:
        return USUAL_FILE if USUAL_FILE.is_file() else None
    return Path(named) if named else None


class _File(TomlConfigSettingsSource):
    """The settings file; its relative paths count from its own folder."""

    def __init__(self, settings_cls: type[BaseSettings], file: Path) -> None:
        super().__init__(settings_cls, file)
        self.folder = file.parent

    def __call__(self) -> dict[str, Any]:
        """Return what the file says."""
        fields = self.settings_cls.model_fields
        return {
            name: self.folder / value
            if name in fields and fields[name].annotation is Path and isinstance(value, str)
            else value
            for name, value in super().__call__().items()
        }


class Settings(BaseSettings):
    """Where everything is. With nothing set: one machine, data under var/, usual ports plus 10,000.

    The environment goes before the settings file, the file before the defaults.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - there is one file, and it is TOML
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the settings file below the environment."""
        file = settings_file()
        read = () if file is None else (_File(settings_cls, file),)
        return (init_settings, env_settings, *read)

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

    min_score: float = Field(
        default=0.8, ge=0, le=1, description="the quality score below which what follows from a day is held back"
    )

    alert_urls: tuple[str, ...] = Field(
        default=(),
        repr=False,
        description="who is told of incidents: addresses as the library apprise takes them, as json://host:port/path; "
        "none: while recordings play, whoever listens (tapehouse alert --listen)",
    )
    alert_stream: bool = Field(
        default=False, description="run the real-time process that holds trades and quotes against alert_rules"
    )
    alert_rules: tuple[dict[str, Any], ...] = Field(
        default=DEFAULT_RULES, description="which trades and quotes are told of; docs/real-time.md explains them"
    )
    alert_batch_s: int = Field(
        default=60, ge=5, le=600, description="how often the prices that rules compare with are read anew"
    )
    alert_same_quotes: tuple[str, ...] = Field(
        default=("USD", "USDC", "USDT"), description="currencies that rules of kind venue_jump take as one"
    )
    market_alert_urls: tuple[str, ...] = Field(
        default=(), repr=False, description="who is told of market alerts: addresses as alert_urls has them"
    )
    market_alert_pause_s: float = Field(
        default=60, ge=0, description="how long further alerts of one rule and instrument are held back and counted"
    )
    latest_ttl_s: int = Field(
        default=24 * 3600, ge=1, description="how long Redis keeps the latest value of what is not heard any more"
    )
    stale_after_s: float = Field(
        default=300, gt=0, description="how long a series may be silent beyond its own expected cadence"
    )
    lag_limit: int = Field(default=10_000, ge=1, description="how many records a process may be behind")
    lag_minutes: float = Field(
        default=5, gt=0, description="for how long it may be behind by more, before it is restarted"
    )

    tape_retention_days: int = Field(
        default=0, ge=0, description="for how many days the lake keeps the tape, 8 at least; 0: for ever"
    )
    retention_backup: str = Field(
        default="",
        description="folder that must hold a day's export, DATASET/YYYY-MM-DD.parquet, before the day is dropped; "
        "empty: none is required",
    )
    retention_keep_venues: tuple[str, ...] = Field(
        default=(), description="venues whose rows are never retired, as imported history is not"
    )

    gap_open_s: float = Field(
        default=900, gt=0, description="how long a gap may be open before it is an incident: refills take a while"
    )
    calendars: dict[str, str] = Field(
        default_factory=dict,
        description="by venue, the calendar of its sessions, such as XNYS (library exchange_calendars); others never "
        "close",
    )
    maintenance_windows: tuple[str, ...] = Field(
        default=(), description='when venues are maintained, in UTC: "VENUE DAY HH:MM MINUTES", DAY mon to sun or day'
    )

    api_keys: dict[str, str] = Field(
        default_factory=dict, repr=False, description="by venue, for what REST gives to customers alone; none is needed"
    )

    kafka_bootstrap: str = Field(default="", description="host:port of Kafka; empty: the local one")
    kafka_replication: int = Field(default=1, ge=1, description="copies that Kafka keeps of each topic")
    kafka_security: dict[str, str] = Field(
        default_factory=dict, repr=False, description="librdkafka's security.*, sasl.* and ssl.* settings"
    )
    registry_url: str = Field(default="", description="the schema registry's Confluent API; empty: the local one")
    registry_auth: str = Field(default="", repr=False, description="user:password of the schema registry")
    warehouse_host: str = Field(default="", description="host of ClickHouse; empty: the local one")
    warehouse_port: int = Field(default=0, ge=0, le=65_535, description="its HTTP port; 0: the local one's")
    warehouse_database: str = Field(default="default", description="the database that holds the tables")
    warehouse_user: str = Field(default="default", description="who logs in to ClickHouse")
    warehouse_password: str = Field(default="", repr=False, description="the password of warehouse_user")
    warehouse_secure: bool = Field(default=False, description="speak HTTPS with ClickHouse")
    lake_root: str = Field(default="", description="where the Delta lake lies; empty: under data_dir")
    redis_url: str = Field(default="", repr=False, description="redis://...; empty: the local one")
    pages_url: str = Field(
        default="",
        pattern="^(https?://.*)?$",
        description="where reports and Data Docs are served, for links to them; empty: the local service",
    )
    dagster_postgres_url: str = Field(
        default="",
        repr=False,
        pattern="^(postgresql://.*)?$",
        description="postgresql://user:password@host:port/database for Dagster's runs and events; empty: SQLite files",
    )

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
            venues=(*self.venues, IMPORT),
            write_interval_s=self.write_interval_s,
            slow_interval_s=self.slow_interval_s,
            archive_interval_s=self.archive_interval_s,
            book_snapshot_s=self.book_snapshot_s,
        )

    @field_validator("tape_retention_days")
    @classmethod
    def _longer_than_in_kafka(cls, told: int) -> int:
        if 0 < told < SHORTEST_TAPE_DAYS:
            raise ValueError(f"{told} days; valid: 0, or {SHORTEST_TAPE_DAYS} and more: Kafka keeps a week itself")
        return told

    @field_validator("alert_rules")
    @classmethod
    def _rules_that_hold(cls, told: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        try:
            parse_rules(told)
        except TerminalError as error:
            raise ValueError(str(error)) from error
        return told

    @cached_property
    def alerts(self) -> AlertSettings:
        return AlertSettings(
            broker=self.broker,
            registry=self.registry,
            warehouse=self.warehouse,
            scratch_dir=self.data_dir / "alert-stream",
            references_query=REFERENCES_QUERY,
            rules=parse_rules(self.alert_rules),
            same_quotes=self.alert_same_quotes,
            batch_s=self.alert_batch_s,
        )

    @cached_property
    def alert_spark(self) -> SparkSettings:
        # Small: a young generation that is soon collected, and no heap that waits for work which never comes.
        java = "-XX:+UseSerialGC -Xms96m -Xmn64m -XX:ReservedCodeCacheSize=96m"
        return SparkSettings(
            self.jars_dir,
            self.data_dir / "alert-stream" / "spark",
            driver_memory="512m",
            delta=False,
            java_options=java,
        )

    @cached_property
    def latest(self) -> LatestSettings:
        return LatestSettings(self.broker, self.registry, self.cache, self.latest_ttl_s)

    @cached_property
    def telling(self) -> TellingSettings:
        return TellingSettings(
            self.broker, self.registry, self.cache, self.market_alert_urls, self.market_alert_pause_s
        )

    @cached_property
    def health(self) -> HealthSettings:
        return HealthSettings(
            live=self.live,
            stale_after_s=self.stale_after_s,
            lag_limit=self.lag_limit,
            lag_minutes=self.lag_minutes,
            gap_open_s=self.gap_open_s,
            alert_urls=self.receivers,
            closures=Closures(self.calendars, tuple(parse_window(text) for text in self.maintenance_windows)),
            ui_url=self.dagster_url,
        )

    @cached_property
    def retention(self) -> RetentionWishes:
        backup = Path(self.retention_backup) if self.retention_backup else None
        return RetentionWishes(self.tape_retention_days, backup, self.retention_keep_venues)

    @property
    def receivers(self) -> tuple[str, ...]:
        """Return who is told of incidents: on a platform that plays recordings always somebody, to try it with."""
        nobody = () if self.live else (f"json://127.0.0.1:{self.port('alerts')}",)
        return self.alert_urls or nobody

    @property
    def dagster_url(self) -> str:
        """Return the address of the local Dagster's pages."""
        return f"http://127.0.0.1:{self.port('dagster')}"

    @cached_property
    def pages(self) -> Pages:
        return Pages(self.data_dir, self.pages_url or f"http://127.0.0.1:{self.port('pages')}")

    @cached_property
    def cache(self) -> CacheSettings:
        return CacheSettings(self.redis_url or f"redis://127.0.0.1:{self.port('redis')}/0")
