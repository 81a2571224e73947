"""Bars: what a minute of trades amounts to; every revision is kept with the time it became known."""

from contracts.dataset import Clock, Column, Dataset, Decimal, OneOf, Positive, Role, Type
from contracts.trades import PRICE

VOLUME = Decimal(38, 12)
NOTIONAL = Decimal(38, 24)
STATES = ("provisional", "final", "withdrawn")

BARS = Dataset(
    name="market.bars",
    doc="One-minute bars, recomputed from the stored trades whenever one of their minute arrives.",
    columns=(
        Column("venue", Type.STRING, "Where it was traded.", repeats=True),
        Column("instrument", Type.STRING, "What was traded, in the venue's symbols.", repeats=True),
        Column("id_space", Type.STRING, "The series of trades that the bar is made from.", repeats=True),
        Column(
            "bar_time",
            Type.TIMESTAMP,
            "Start of the minute, inclusive.",
            unit="microseconds, UTC",
            clock=Clock.EVENT,
        ),
        Column("open", PRICE, "First price; ties of time broken by the venue's sequence.", unit="quote currency"),
        Column("high", PRICE, "Highest price.", unit="quote currency"),
        Column("low", PRICE, "Lowest price.", unit="quote currency"),
        Column("close", PRICE, "Last price; ties of time broken by the venue's sequence.", unit="quote currency"),
        Column("volume", VOLUME, "Sum of quantities.", unit="base currency or contracts"),
        Column("notional", NOTIONAL, "Sum of price times quantity, exact.", unit="quote currency"),
        Column("trade_count", Type.INT64, "Number of the venue's single trades."),
        Column(
            "state",
            Type.STRING,
            "final once the venue's clock, or silence, has passed the minute; later trades still correct it. "
            "withdrawn when its last trade turned out to belong to another minute.",
            role=Role.PROVENANCE,
            symbols=STATES,
            repeats=True,
        ),
        Column("revision", Type.INT64, "Counts what was known of this bar, from 1.", role=Role.PROVENANCE),
        Column(
            "known_time",
            Type.TIMESTAMP,
            "When this revision became known.",
            unit="microseconds, UTC",
            role=Role.PROVENANCE,
            clock=Clock.INGESTED,
        ),
    ),
    grain=("venue", "instrument", "id_space", "bar_time", "revision"),
    rules=(
        Positive("low_not_positive", "low"),
        Positive("volume_not_positive", "volume"),
        Positive("trade_count_not_positive", "trade_count"),
        OneOf("state_unknown", "state", STATES),
    ),
)
