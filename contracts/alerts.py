"""Market alerts: a trade or a quote that a rule found wrong."""

import hashlib
from collections.abc import Mapping

from contracts.alert_rules import KINDS, LIMIT
from contracts.columns import INSTRUMENT, VENUE
from contracts.dataset import Clock, Column, Dataset, NotEmpty, OneOf, Topic, Type
from contracts.provenance import DELIVERY, DISPLACEMENT, TAPE_POSITION
from contracts.trades import PRICE

_PRICE = "The trade's price; of a quote its highest bid."
_OTHER = "The reference that the price was compared with; of a quote its lowest ask."

MARKET_ALERTS = Dataset(
    name="market.alerts",
    doc="Trades and quotes that a rule found wrong, once a rule and event: said at least once, and the same however "
    "often, so that the key makes them exact. What was said stays; it is not derived again from the tape, because "
    "the references were those of that moment.",
    columns=(
        VENUE,
        INSTRUMENT,
        Column(
            "id_space", Type.STRING, "The series of trades or the feed of quotes that the event is of.", repeats=True
        ),
        Column("venue_sequence", Type.INT64, "The venue's own order of events."),
        Column("event_id", Type.STRING, "The trade's or the update's id."),
        Column("rule", Type.STRING, "The rule's name.", repeats=True),
        Column("kind", Type.STRING, "What sort of rule it is.", symbols=KINDS, repeats=True),
        Column("limit_percent", LIMIT, "The rule's limit.", unit="percent"),
        Column("price", PRICE, _PRICE, unit="quote currency"),
        Column("other_price", PRICE, _OTHER, unit="quote currency"),
        Column(
            "reference_time",
            Type.TIMESTAMP,
            "The end of the bar that the reference is from; of a quote its event time.",
            unit="microseconds, UTC",
        ),
        Column(
            "event_time",
            Type.TIMESTAMP,
            "When the trade or quote happened, by its own clock.",
            unit="microseconds, UTC",
            clock=Clock.EVENT,
        ),
        # The event's place on the tape, not the alert's.
        *TAPE_POSITION,
        *DELIVERY,
        *DISPLACEMENT,
    ),
    grain=("venue", "instrument", "id_space", "venue_sequence", "event_id", "rule"),
    rules=(
        NotEmpty("venue_missing", "venue", 64),
        NotEmpty("instrument_missing", "instrument", 64),
        NotEmpty("rule_missing", "rule", 64),
        NotEmpty("event_id_missing", "event_id", 256),
        OneOf("kind_unknown", "kind", KINDS),
    ),
    topic=Topic(name="market.alerts", partitions=1, retention_hours=7 * 24, key=("venue", "instrument")),
)


def alert_id(row: Mapping[str, object]) -> str:
    """Return the alert's key: the same for the same rule and event, whenever and however often it is said."""
    grain = "|".join(str(row[name]) for name in MARKET_ALERTS.grain)
    return hashlib.sha256(grain.encode()).hexdigest()[:16]
