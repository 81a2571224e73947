"""The resource that says what is good enough."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Thresholds:
    """From which quality score on a day can be used."""

    min_score: Decimal = Decimal("0.8")
