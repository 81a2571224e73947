"""Rollups: bars of five minutes, an hour and a day, each made from the next finer ones of one UTC day."""

from dataclasses import dataclass, replace

from contracts.bars import BARS
from contracts.dataset import Clock, Column, Dataset, OneOf, Positive, Role, Type

STATES = ("provisional", "final")
_KEPT = ("venue", "instrument", "id_space", "open", "high", "low", "close", "volume", "notional", "trade_count")


@dataclass(frozen=True)
class Rollup:
    """One width of bars. `source` is the dataset that it is made from; `width_s` divides a day."""

    dataset: Dataset
    source: Dataset
    width_s: int


def _columns(span: str) -> tuple[Column, ...]:
    kept = [BARS.column_index[name] for name in _KEPT]
    start = replace(BARS.column_index["bar_time"], doc=f"Start of the bar, inclusive; it covers {span}.")
    return (
        *kept[:3],
        start,
        *kept[3:],
        Column("minute_count", Type.INT64, "Minutes in which there was a trade.", unit="minutes"),
        Column(
            "state",
            Type.STRING,
            "final when all of its minutes were; later trades still correct it.",
            role=Role.PROVENANCE,
            symbols=STATES,
            repeats=True,
        ),
        Column(
            "known_time",
            Type.TIMESTAMP,
            "When the newest of the minutes that it is made from became known.",
            unit="microseconds, UTC",
            role=Role.PROVENANCE,
            clock=Clock.INGESTED,
        ),
    )


def _dataset(suffix: str, span: str, finer: str) -> Dataset:
    return Dataset(
        name=f"market.bars_{suffix}",
        doc=f"Bars of {span}, made from {finer}; a day is replaced as a whole whenever it is made again.",
        columns=_columns(span),
        grain=("venue", "instrument", "id_space", "bar_time"),
        rules=(
            Positive("low_not_positive", "low"),
            Positive("volume_not_positive", "volume"),
            Positive("trade_count_not_positive", "trade_count"),
            OneOf("state_unknown", "state", STATES),
        ),
    )


BARS_5M = _dataset("5m", "five minutes", "the one-minute bars as they are known now")
BARS_1H = _dataset("1h", "one hour", "the five-minute bars")
BARS_1D = _dataset("1d", "one UTC day", "the hourly bars")

ROLLUPS = (
    Rollup(BARS_5M, BARS, 300),
    Rollup(BARS_1H, BARS_5M, 3_600),
    Rollup(BARS_1D, BARS_1H, 86_400),
)
