"""What each store needs to be reached, as values; nothing here reads the environment."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class BrokerSettings:
    """How to reach Kafka. `security` holds librdkafka's security.* and sasl.* settings; empty on one machine."""

    bootstrap: str
    replication: int = 1
    security: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class RegistrySettings:
    """Where the schema registry answers the Confluent protocol. `auth` is user:password or empty."""

    url: str
    auth: str = field(default="", repr=False)


@dataclass(frozen=True)
class WarehouseSettings:
    """How to reach ClickHouse over HTTP."""

    host: str
    port: int
    database: str = "default"
    user: str = "default"
    password: str = field(default="", repr=False)
    secure: bool = False


@dataclass(frozen=True)
class LakeSettings:
    """Where the Delta lake lies: a directory, or a URL that both Spark and deltalake understand."""

    root: str


@dataclass(frozen=True)
class CacheSettings:
    """Where Redis answers."""

    url: str = field(repr=False)
