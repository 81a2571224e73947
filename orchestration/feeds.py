"""Where the collector listens: the real venues, or the replay server with the same protocol."""

from orchestration.settings import Settings
from sources.collector.main import CollectorSettings
from sources.demo import demo_endpoints
from sources.venues import venue


def collector_settings(settings: Settings) -> CollectorSettings:
    """Return what the collector of the first venue needs; live and replayed differ in addresses and streams alone."""
    name = settings.venues[0]
    endpoints = venue(name).endpoints if settings.live else demo_endpoints(settings.port("replay"))
    return CollectorSettings(settings.broker, settings.registry, name, tuple(endpoints), settings.port("collector"))
