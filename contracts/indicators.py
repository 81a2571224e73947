"""Indicators: what is kept of them beside bars of every grain."""

from contracts.columns import INSTRUMENT, VENUE
from contracts.dataset import Clock, Column, Dataset, Decimal, ListOf, NotEmpty, OneOf, Role, Type

# Doubles rounded to 18 digits: as many as a price of a billionth needs, and the same text wherever they are made.
VALUE = Decimal(38, 18)
GRAINS = ("1m", "5m", "1h", "1d", "session")

INDICATORS = Dataset(
    name="market.indicators",
    doc="Indicators of every bar of a grain, one row a bar; a day of a grain is replaced as a whole when it is made "
    "again. The view market_indicator_values has a row a value.",
    columns=(
        Column("grain", Type.STRING, "The bars that they are made from.", symbols=GRAINS, repeats=True),
        VENUE,
        INSTRUMENT,
        Column("id_space", Type.STRING, "The series of trades that the bars are made from.", repeats=True),
        Column("bar_time", Type.TIMESTAMP, "Start of the bar.", unit="microseconds, UTC", clock=Clock.EVENT),
        Column(
            "indicators",
            Type.STRING,
            "Names of those that have a value, with commas between: none during warm-up.",
            repeats=True,
        ),
        Column("numbers", ListOf(VALUE), "Their values, in the same order.", unit="as docs/indicators.md says"),
        Column(
            "known_time",
            Type.TIMESTAMP,
            "When the newest of the bars that they depend on became known.",
            unit="microseconds, UTC",
            role=Role.PROVENANCE,
            clock=Clock.INGESTED,
        ),
    ),
    grain=("grain", "venue", "instrument", "id_space", "bar_time"),
    rules=(
        OneOf("grain_unknown", "grain", GRAINS),
        NotEmpty("instrument_missing", "instrument", 64),
    ),
)
