"""Corporate actions: splits and dividends as factors, renamings as tickers, as a file told them."""

from contracts.columns import CLOCKS, EVENT_CLOCK, EVENT_TIME, FEED, INSTRUMENT, UPDATE_ID, VENUE, VENUE_SEQUENCE
from contracts.dataset import Column, Dataset, NotBefore, NotEmpty, NotNegative, OneOf, Topic, Type
from contracts.provenance import DELIVERY, DISPLACEMENT, TAPE_POSITION
from contracts.trades import EARLIEST, PRICE

# factors: what raw prices up to and including the day are multiplied with. ticker: what the security was called up to
# and including the day.
KINDS = ("factors", "ticker")

CORPORATE_ACTIONS = Dataset(
    name="reference.corporate_actions",
    doc="Factors of splits and dividends and tickers of securities, each row a line of a file; the views "
    "reference_adjustments, reference_tickers and market_venue_bars_adjusted apply the newest file of each kind.",
    columns=(
        VENUE,
        INSTRUMENT,
        FEED,
        UPDATE_ID,
        VENUE_SEQUENCE,
        Column("kind", Type.STRING, "What the row tells.", symbols=KINDS, repeats=True),
        Column("vintage", Type.STRING, "The content hash of the file: a dividend rewrites every line.", repeats=True),
        Column("ticker", Type.STRING, "What the security is called up to the day; empty for factors.", repeats=True),
        Column("exchange", Type.STRING, "The code of its exchange, where told.", repeats=True),
        Column("price_factor", PRICE, "What dividends since then multiply prices with; 0 for tickers."),
        Column("split_factor", PRICE, "What splits since then multiply prices with; 0 for tickers."),
        Column("reference_price", PRICE, "The raw close of the day; 0 where not told.", unit="quote currency"),
        # The last day for which it holds, at midnight UTC.
        EVENT_TIME,
        EVENT_CLOCK,
        *TAPE_POSITION,
        *DELIVERY,
        *DISPLACEMENT,
    ),
    grain=("venue", "instrument", "id_space", "venue_sequence", "update_id"),
    rules=(
        NotEmpty("venue_missing", "venue", 64),
        NotEmpty("instrument_missing", "instrument", 64),
        NotEmpty("id_space_missing", "id_space", 64),
        NotEmpty("update_id_missing", "update_id", 256),
        NotEmpty("vintage_missing", "vintage", 64),
        OneOf("kind_unknown", "kind", KINDS),
        NotNegative("price_factor_negative", "price_factor"),
        NotNegative("split_factor_negative", "split_factor"),
        NotNegative("reference_price_negative", "reference_price"),
        OneOf("event_clock_unknown", "event_clock", CLOCKS),
        NotBefore("event_time_too_old", "event_time", EARLIEST),
    ),
    topic=Topic(name="reference.corporate_actions", partitions=1, retention_hours=7 * 24, key=("venue", "instrument")),
)
