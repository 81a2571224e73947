"""What a sensor remembers between its ticks, as Dagster keeps it: a line of JSON."""

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True)
class Remembered:
    """The base of a sensor's cursor: a frozen dataclass whose fields are numbers with defaults."""

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Read what `text` wrote; anything else starts over, so a sensor must bear seeing things again."""
        try:
            return cls(**json.loads(text or "{}"))
        except (ValueError, TypeError):
            return cls()

    @property
    def text(self) -> str:
        """The cursor as Dagster keeps it."""
        return json.dumps(asdict(self), sort_keys=True)
