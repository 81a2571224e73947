"""When a bar is final: the venue's own clock has passed its minute, or the venue has been silent for long enough.

The label never drops anything: a trade that comes later corrects a final bar with a higher revision.
"""

from dataclasses import dataclass, field

MINUTE = 60_000_000


@dataclass
class VenueClocks:
    """The newest event time of each venue, and when it was last heard of; times in microseconds.

    `grace` is how far a venue's clock must have passed a minute's end, `idle` how long silence may last.
    """

    grace: int = 5_000_000
    idle: int = 30_000_000
    newest: dict[str, int] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)

    def hear(self, venue: str, event_time: int, now: int) -> None:
        """Note that a trade of that time has arrived."""
        self.newest[venue] = max(event_time, self.newest.get(venue, 0))
        self.heard[venue] = now

    def state(self, venue: str, minute: int, now: int) -> str:
        """Label the bar that starts at `minute`."""
        passed = self.newest.get(venue, 0) >= minute + MINUTE + self.grace
        silent = now - self.heard.get(venue, 0) >= self.idle
        return "final" if passed or silent else "provisional"
