"""What watching over the data needs to know, handed in as values."""

from dataclasses import dataclass, field

from quality.closures import Closures


@dataclass(frozen=True)
class HealthSettings:
    """When something counts as wrong, and who is told of it.

    `live`: the venues themselves are heard, so that silence is measured against our own clock; a replayed tape ends,
    and is measured against the newest that was heard of any series. `alert_urls` are addresses as apprise takes them;
    `ui_url` is where Dagster's pages are, for links to what shows it.
    """

    live: bool = False
    stale_after_s: float = 300
    lag_limit: int = 10_000
    lag_minutes: float = 5
    gap_open_s: float = 900
    alert_urls: tuple[str, ...] = field(default=(), repr=False)
    closures: Closures = field(default_factory=Closures)
    ui_url: str = ""

    def page(self, key: str) -> str:
        """Return the page of an asset, by its key with slashes; nothing where no pages are known."""
        return f"{self.ui_url}/assets/{key}" if self.ui_url else ""
