"""Which faults a drill brings, in which order: pure, and the same for the same seed."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

COVERED = 20
"""Within so many draws each kind comes; and each card, of a deck that is no larger."""

# The one is the venue, which has faults of its own; the other only shows what there is.
SPARED = frozenset({"replay", "dagster-webserver"})
TRADES, BOOK = "btcusdt@trade", "btcusdt@depth@100ms"


@dataclass(frozen=True)
class Fault:
    """One fault: its kind, what it hits, and how large it is (payloads, milliseconds, partitions; 0: has no size)."""

    kind: str
    target: str
    size: int = 0


@dataclass(frozen=True)
class Card:
    """A fault of which target and size are drawn."""

    kind: str
    targets: tuple[str, ...]
    sizes: tuple[int, int] = (0, 0)

    def drawn(self, rng: random.Random) -> Fault:
        """Choose one of its targets and a size."""
        return Fault(self.kind, rng.choice(self.targets), rng.randint(*self.sizes))


def deck(processes: Collection[str]) -> tuple[Card, ...]:
    """Return every fault of a platform with these processes."""
    kills = (Card("kill", (name,)) for name in processes if name not in SPARED)
    return (
        *kills,
        Card("freeze", ("kafka",)),
        Card("freeze", ("warehouse",)),
        Card("disconnect", ("binance/spot",)),
        Card("gap", (TRADES, BOOK), (1, 40)),
        Card("duplicate", (TRADES, BOOK), (1, 20)),
        Card("reorder", (TRADES, BOOK), (2, 8)),
        Card("corrupt", (TRADES, BOOK), (1, 5)),
        Card("skew", ("binance/spot",), (5_000, 30_000)),
        Card("partitions", ("market.trades", "market.books", "tape.binance"), (1, 3)),
        Card("checkpoint", ("streams",)),
        Card("topic", ("market.trades", "market.quotes", "tape.binance")),
        Card("disk", ("warehouse",)),
    )


def draw(cards: Sequence[Card], seed: int, times: int) -> list[Fault]:
    """Draw faults: shuffled through all cards, then shuffled again, so that none stays away by chance."""
    rng = random.Random(seed)  # noqa: S311 - a plan is to be repeated, not to be guessed
    drawn: list[Card] = []
    while len(drawn) < times:
        drawn += _shuffled(cards, rng)
    return [card.drawn(rng) for card in drawn[:times]]


def _shuffled(cards: Sequence[Card], rng: random.Random) -> list[Card]:
    """Shuffle, one card of each kind among the first COVERED."""
    mixed = rng.sample(list(cards), len(cards))
    first = list({card.kind: card for card in reversed(mixed)}.values())
    others = [card for card in mixed if all(card is not one for one in first)]
    room = max(COVERED - len(first), 0)
    head = first + others[:room]
    return rng.sample(head, len(head)) + others[room:]
