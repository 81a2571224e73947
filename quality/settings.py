"""What watching over the data needs to know, handed in as values."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class HealthSettings:
    """When something counts as wrong, and who is told of it.

    `live`: the venues themselves are heard, so that silence is measured against our own clock; a replayed tape ends,
    and is measured against the newest that was heard of any series. `alert_urls` are addresses as apprise takes them.
    """

    live: bool = False
    stale_after_s: float = 300
    lag_limit: int = 10_000
    lag_minutes: float = 5
    alert_urls: tuple[str, ...] = field(default=(), repr=False)
