"""The trades that every system is given: seeded, with repeats, late ones and ties of time as feeds have them."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

Ints = NDArray[np.int64]

VENUE, ID_SPACE, ENDPOINT, CONNECTION = "kraken", "spot.trade", "v2", "kraken-bench-1"
SECOND, MINUTE, DAY = 1_000_000, 60_000_000, 86_400_000_000
PRICE_DIGITS, QUANTITY_DIGITS = 6, 8
SIDES = ("buy", "sell")
# Trades that one message of the venue carries, as it does when the market moves.
TRADES_A_MESSAGE = 10
BURST, LATE, REFILLED = 0.3, 0.01, 0.001


@dataclass(frozen=True)
class Shape:
    """What to make. `rate` is trades a second of event time, so that more of them make a longer day, not a denser one.

    The last record of each partition is of a day later and of an instrument that counts nowhere (`closing`): systems
    that close a minute by the event time of what follows can close all of them.
    """

    count: int
    instruments: int = 100
    partitions: int = 4
    rate: float = 1000.0
    seed: int = 7
    repeated: float = 0.01
    start: int = 1_767_571_200_000_000  # 2026-01-05 00:00 UTC


@dataclass(frozen=True)
class Events:
    """Trades in the order in which they arrive, a column each; times in microseconds, numbers in their last digit.

    `price` counts 10^-6, `quantity` 10^-8. `message` and `index` are the place on the tape, of one connection.
    """

    shape: Shape
    instrument: Ints
    sequence: Ints
    price: Ints
    quantity: Ints
    side: Ints
    event_time: Ints
    received_time: Ints
    message: Ints
    index: Ints

    def __len__(self) -> int:
        return len(self.instrument)

    @property
    def names(self) -> list[str]:
        """Return the instruments' names by their number; those behind the last one are `closing`."""
        traded = [f"T{number:04d}/USD" for number in range(self.shape.instruments)]
        return traded + [f"END{number:02d}/USD" for number in range(self.shape.partitions)]

    @property
    def partition(self) -> Ints:
        """Return the partition of each: an instrument stays in one."""
        traded = self.instrument < self.shape.instruments
        number = np.where(traded, self.instrument, self.instrument - self.shape.instruments)
        return number % self.shape.partitions

    @property
    def closing(self) -> NDArray[np.bool_]:
        """Tell which ones only close the day."""
        return self.instrument >= self.shape.instruments

    def frame(self) -> pl.DataFrame:
        """Return them as a frame."""
        names = ("instrument", "sequence", "price", "quantity", "side", "event_time", "received_time")
        return pl.DataFrame({name: getattr(self, name) for name in names})


def make_events(shape: Shape) -> Events:
    """Make events; the same shape gives the same ones, byte for byte."""
    random = np.random.default_rng(shape.seed)
    unique = shape.count - int(shape.count * shape.repeated) - shape.partitions
    trades = _trades(shape, unique, random)
    arrival = trades.event_time + random.integers(20_000, 80_000, unique)
    late = random.random(unique)
    arrival += np.where(late < LATE, np.minimum(random.exponential(20.0, unique), 120.0) * SECOND, 0).astype(np.int64)
    refilled = random.uniform(600, 1800, unique) * SECOND
    arrival += np.where(late > 1 - REFILLED, refilled, 0).astype(np.int64)
    again = random.choice(unique, int(shape.count * shape.repeated), replace=False)
    arrival = np.concatenate([arrival, arrival[again] + random.integers(100_000, 60 * SECOND, len(again))])
    order = np.argsort(arrival, kind="stable")
    chosen = np.concatenate([np.arange(unique), again])[order]
    return _with_places(_take(trades, chosen), arrival[order])


def _trades(shape: Shape, count: int, random: np.random.Generator) -> Events:
    """Make trades in the order of their time, each once, each series numbered from 1."""
    weights = 1.0 / np.arange(1, shape.instruments + 1) ** 0.8
    span = count / shape.rate * SECOND
    times = shape.start + np.sort(random.uniform(0, span, count)).astype(np.int64)
    instrument = random.choice(shape.instruments, count, p=weights / weights.sum()).astype(np.int64)
    # One order meets several others: their trades share time and instrument.
    first = np.where(random.random(count) < BURST, 0, np.arange(count))
    leader = np.maximum.accumulate(first)
    times, instrument = times[leader], instrument[leader]
    grouped = np.argsort(instrument, kind="stable")
    counts = np.bincount(instrument, minlength=shape.instruments)
    begins = np.repeat(np.cumsum(counts) - counts, counts)
    sequence = np.empty(count, np.int64)
    sequence[grouped] = np.arange(count) - begins + 1
    walked = np.cumsum(random.integers(-2, 3, count))
    walk = np.empty(count, np.int64)
    walk[grouped] = walked - walked[begins] if count else walked
    tick = 10 ** (PRICE_DIGITS - np.array([2, 4, 6])[np.arange(shape.instruments) % 3])
    base = random.integers(100_000, 10_000_000, shape.instruments)
    return Events(
        shape=shape,
        instrument=instrument,
        sequence=sequence,
        price=np.maximum(base[instrument] + walk, 1) * tick[instrument],
        quantity=np.minimum(np.exp(random.normal(0, 1.5, count)) * 1e7, 1e12).astype(np.int64) + 1,
        side=random.integers(0, 2, count),
        event_time=times,
        received_time=times,
        message=times,
        index=times,
    )


def _take(events: Events, chosen: Ints) -> Events:
    names = ("instrument", "sequence", "price", "quantity", "side", "event_time")
    return replace(events, **{name: getattr(events, name)[chosen] for name in names})


def _with_places(events: Events, arrival: Ints) -> Events:
    """Add the closing trades, and where on the tape each one lies: a message is received when it is complete."""
    shape = events.shape
    closing = np.arange(shape.partitions)
    end = np.full(shape.partitions, shape.start + DAY)
    one = np.ones(shape.partitions, np.int64)
    columns = {
        "instrument": shape.instruments + closing,
        "sequence": one,
        "price": one * 10**PRICE_DIGITS,
        "quantity": one * 10**QUANTITY_DIGITS,
        "side": one,
        "event_time": end,
    }
    columns = {name: np.concatenate([getattr(events, name), more]) for name, more in columns.items()}
    arrival = np.concatenate([arrival, end + 50_000])
    number = np.arange(len(arrival))
    last = np.minimum(number // TRADES_A_MESSAGE * TRADES_A_MESSAGE + TRADES_A_MESSAGE - 1, len(arrival) - 1)
    return Events(
        shape=shape,
        **columns,
        received_time=arrival[last],
        message=number // TRADES_A_MESSAGE + 1,
        index=number % TRADES_A_MESSAGE,
    )
