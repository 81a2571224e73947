"""The resources that say what is good enough, and what is to be kept."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path


@dataclass(frozen=True)
class Thresholds:
    """From which quality score on a day can be used."""

    min_score: Decimal = Decimal("0.8")


@dataclass(frozen=True)
class RetentionWishes:
    """What the user wants to be kept.

    Days for which the lake keeps the tape (0: for ever), the folder that must hold a day's export before it is dropped,
    and venues that no rule touches.
    """

    tape_days: int = 0
    backup: Path | None = None
    keep_venues: tuple[str, ...] = ()
