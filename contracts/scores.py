"""Scores: how far an instrument's day, and each of its minutes, can be trusted, and what was deducted for what."""

from contracts.columns import INSTRUMENT, VENUE
from contracts.dataset import AtMost, Clock, Column, Dataset, Decimal, NotNegative, OneOf, Positive, Role, Rule, Type

SCORE = Decimal(9, 6)
DIMENSIONS = ("completeness", "validity", "uniqueness", "timeliness", "consistency")

_DIMENSION_DOCS = {
    "completeness": "1 less what was deducted for trades and minutes that are missing, or not known to be there.",
    "validity": "1 less what was deducted for records in quarantine.",
    "uniqueness": "1 less what was deducted for trades that came, or are stored, more than once.",
    "timeliness": "1 less what was deducted for trades that arrived late.",
    "consistency": "1 less what was deducted for bars, prices and quotes that contradict others.",
}
_SCORES = (
    Column("score", SCORE, "1 less everything that was deducted, at least 0.", unit="0 to 1"),
    *(Column(name, SCORE, _DIMENSION_DOCS[name], unit="0 to 1") for name in DIMENSIONS),
)
_REVISION = Column("revision", Type.INT64, "Counts what was known of this score, from 1.", role=Role.PROVENANCE)
_KNOWN_TIME = Column(
    "known_time",
    Type.TIMESTAMP,
    "When this revision became known.",
    unit="microseconds, UTC",
    role=Role.PROVENANCE,
    clock=Clock.INGESTED,
)
_DAY_TIME = Column(
    "day_time", Type.TIMESTAMP, "Midnight at which the day begins.", unit="microseconds, UTC", clock=Clock.EVENT
)
_RULES: tuple[Rule, ...] = (
    *(NotNegative(f"{name}_negative", name) for name in ("score", *DIMENSIONS)),
    *(AtMost(f"{name}_above_one", name, "1") for name in ("score", *DIMENSIONS)),
    Positive("revision_not_positive", "revision"),
)

SCORES = Dataset(
    name="system.scores",
    doc="The quality score of every instrument and day on which it traded, each change a revision; the view "
    "system_scores_current shows the last.",
    columns=(VENUE, INSTRUMENT, _DAY_TIME, _REVISION, *_SCORES, _KNOWN_TIME),
    grain=("venue", "instrument", "day_time", "revision"),
    rules=_RULES,
)

DEDUCTIONS = Dataset(
    name="system.deductions",
    doc="What a day's score lost, and for what: deducted = weight times affected / total. The view "
    "system_deductions_current shows those of the last revision of each score.",
    columns=(
        VENUE,
        INSTRUMENT,
        _DAY_TIME,
        Column("revision", Type.INT64, "The revision of the score that it belongs to.", role=Role.PROVENANCE),
        Column("dimension", Type.STRING, "Which of the five it lowers.", symbols=DIMENSIONS, repeats=True),
        Column("reason", Type.STRING, "Why, one of a fixed list.", repeats=True),
        Column("affected", Type.INT64, "How many were found to be so.", unit="trades, records, minutes or quotes"),
        Column("total", Type.INT64, "Of how many.", unit="as affected"),
        Column("weight", SCORE, "What is deducted when all of them are affected.", unit="0 to 1"),
        Column("deducted", SCORE, "Weight times affected / total, rounded half up to six digits.", unit="0 to 1"),
        Column("detail", Type.STRING, "What was found, in words."),
        _KNOWN_TIME,
    ),
    grain=("venue", "instrument", "day_time", "revision", "dimension", "reason"),
    rules=(
        OneOf("dimension_unknown", "dimension", DIMENSIONS),
        Positive("affected_not_positive", "affected"),
        Positive("total_not_positive", "total"),
        NotNegative("deducted_negative", "deducted"),
        AtMost("weight_above_one", "weight", "1"),
    ),
)

BAR_SCORES = Dataset(
    name="system.bar_scores",
    doc="The quality score of every one-minute bar, each change a revision; the view market_bars_scored shows the "
    "bars with the last of them beside.",
    columns=(
        VENUE,
        INSTRUMENT,
        Column("id_space", Type.STRING, "The series of trades that the bar is made from.", repeats=True),
        Column("bar_time", Type.TIMESTAMP, "Start of the minute.", unit="microseconds, UTC", clock=Clock.EVENT),
        _REVISION,
        *_SCORES,
        _KNOWN_TIME,
    ),
    grain=("venue", "instrument", "id_space", "bar_time", "revision"),
    rules=_RULES,
)
