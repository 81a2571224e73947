"""What an asset comes from and what it touches, over any number of steps. Asset keys are written with slashes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Lineage:
    """The asset graph: each asset's direct parents."""

    parents: Mapping[str, Iterable[str]] = field(default_factory=dict)

    def upstream(self, key: str, venue: str = "") -> tuple[str, ...]:
        """Return all that the asset is made from; with `venue`, nothing that is another venue's own."""
        return self._own(_reach(self.parents, key), venue)

    def downstream(self, key: str, venue: str = "") -> tuple[str, ...]:
        """Return all that is made from the asset."""
        children: dict[str, list[str]] = {}
        for child, parents in self.parents.items():
            for parent in parents:
                children.setdefault(parent, []).append(child)
        return self._own(_reach(children, key), venue)

    def _own(self, keys: Iterable[str], venue: str) -> tuple[str, ...]:
        venues = {key.removeprefix("venue/") for key in self.parents if key.startswith("venue/")}
        others = venues - {venue} if venue in venues else set()
        foreign = {f"{room}{name}" for name in others for room in ("venue/", "collector/", "streams/tape_")}
        return tuple(sorted(key for key in keys if key not in foreign))


def _reach(edges: Mapping[str, Iterable[str]], start: str) -> set[str]:
    found: set[str] = set()
    ahead = list(edges.get(start, ()))
    while ahead:
        key = ahead.pop()
        if key not in found:
            found.add(key)
            ahead.extend(edges.get(key, ()))
    return found - {start}
