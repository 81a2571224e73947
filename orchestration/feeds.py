"""Where a collector listens: the real venue, or the replay server with the same protocol."""

from dataclasses import replace

from orchestration.settings import Settings
from sources.collector.main import CollectorSettings
from sources.demo import TAPES, replayed
from sources.venues import venue


def collector_settings(settings: Settings, name: str) -> CollectorSettings:
    """Return what a venue's collector needs; live and replayed differ in addresses and streams alone.

    A venue without a demo tape is listened to live, always.
    """
    live = settings.live or name not in TAPES
    key = settings.api_keys.get(name, "")
    real = (replace(endpoint, rest_key=key) for endpoint in venue(name).endpoints)
    endpoints = tuple(real) if live else replayed(name, settings.port("replay"))
    return CollectorSettings(settings.broker, settings.registry, name, endpoints, settings.port(f"collector-{name}"))
