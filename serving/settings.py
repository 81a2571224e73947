"""What the consumers that carry values outward are told, as values."""

from dataclasses import dataclass, field

from stores.settings import BrokerSettings, CacheSettings, RegistrySettings


@dataclass(frozen=True)
class LatestSettings:
    """Where the latest values come from and go to. A value that was not renewed for `ttl_s` is forgotten."""

    broker: BrokerSettings
    registry: RegistrySettings
    cache: CacheSettings
    ttl_s: int = 24 * 3600


@dataclass(frozen=True)
class TellingSettings:
    """Who is told of market alerts. Of a rule and instrument at most one message in `pause_s`; the rest is counted."""

    broker: BrokerSettings
    registry: RegistrySettings
    cache: CacheSettings
    urls: tuple[str, ...] = field(default=(), repr=False)
    pause_s: float = 60.0
