"""Book snapshots: whole books at even distances, made from the stored rows so that no question reads far back."""

from dataclasses import replace

from contracts.books import BOOKS
from contracts.columns import INSTRUMENT, VENUE
from contracts.dataset import Clock, Column, Dataset, OneOf, Role, Type

STATES = ("complete", "incomplete", "withdrawn")

_KEPT = ("bid_prices", "bid_quantities", "ask_prices", "ask_quantities")
_PLACE = ("venue_sequence", "received_time", "message_number", "message_index")

BOOK_SNAPSHOTS = Dataset(
    name="market.book_snapshots",
    doc="The whole book of a feed at even distances of event time, a function of the rows of market.books.",
    columns=(
        VENUE,
        INSTRUMENT,
        BOOKS.column_index["id_space"],
        Column(
            "snapshot_time",
            Type.TIMESTAMP,
            "The moment that the book is of, inclusive.",
            unit="microseconds, UTC",
            clock=Clock.EVENT,
        ),
        Column("as_of", Type.TIMESTAMP, "The newest event time in it.", unit="microseconds, UTC", clock=Clock.EVENT),
        *(
            replace(BOOKS.column_index[name], doc=doc)
            for name, doc in zip(
                _KEPT,
                (
                    "Prices bid, best first.",
                    "How much is bid at each.",
                    "Prices asked, best first.",
                    "How much is asked at each.",
                ),
                strict=True,
            )
        ),
        BOOKS.column_index["depth"],
        BOOKS.column_index["chain"],
        # Where a question goes on reading: behind the last row that is in the book.
        *(replace(BOOKS.column_index[name], role=Role.PROVENANCE) for name in _PLACE),
        Column(
            "base_sequence",
            Type.INT64,
            "venue_sequence of the venue's snapshot that it was made from.",
            role=Role.PROVENANCE,
        ),
        Column(
            "base_received_time",
            Type.TIMESTAMP,
            "When that snapshot was received.",
            unit="microseconds, UTC",
            role=Role.PROVENANCE,
            clock=Clock.RECEIVED,
        ),
        Column(
            "state",
            Type.STRING,
            "incomplete when updates are missing since the venue's snapshot; withdrawn when a row came later that "
            "belongs before it, until it is made again.",
            symbols=STATES,
            repeats=True,
        ),
        Column(
            "known_time",
            Type.TIMESTAMP,
            "When it was made; of one snapshot_time the last is read.",
            unit="microseconds, UTC",
            role=Role.PROVENANCE,
            clock=Clock.INGESTED,
        ),
    ),
    grain=("venue", "instrument", "id_space", "snapshot_time"),
    rules=(OneOf("state_unknown", "state", STATES),),
)
