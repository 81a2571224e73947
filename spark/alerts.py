"""From trades, quotes and references to alerts: one row a rule and event, nothing kept between rows."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f
from pyspark.sql.types import DecimalType, StringType, StructField, StructType, TimestampType

from contracts.alert_rules import LIMIT, ON_TRADES, AlertRule
from contracts.alerts import MARKET_ALERTS
from contracts.trades import PRICE
from spark.schema import spark_type

# A reference as the file holds it: what a venue's instrument last closed at, and what the same pair did elsewhere.
REFERENCE = StructType(
    [
        StructField("reference_venue", StringType(), False),
        StructField("reference_instrument", StringType(), False),
        *(
            StructField(f"{whose}_{what}", kind)
            for whose in ON_TRADES
            for what, kind in (("price", DecimalType(PRICE.precision, PRICE.scale)), ("time", TimestampType()))
        ),
    ]
)


def alerts(
    trades: DataFrame, quotes: DataFrame, references: DataFrame, rules: Sequence[AlertRule], nearest: timedelta
) -> DataFrame:
    """Return an alert's wire columns for each event and rule that it breaks.

    `references` are of the schema REFERENCE and go to every executor; where an instrument has several, an event is held
    against each. One counts for events at most `nearest` before or after it. All of it is exact: no division, and the
    products fit Spark's 38 digits.
    """
    known = trades.join(
        f.broadcast(references),
        (f.col("venue") == f.col("reference_venue")) & (f.col("instrument") == f.col("reference_instrument")),
        "left",
    )
    on_trades = [_on_trade(rule, nearest) for rule in rules if rule.kind in ON_TRADES]
    on_quotes = [_on_quote(rule) for rule in rules if rule.kind not in ON_TRADES]
    found = []
    if on_trades:
        found.append(_fired(known.withColumn("event_id", f.col("trade_id")), on_trades))
    if on_quotes:
        found.append(_fired(quotes.withColumn("event_id", f.col("update_id")), on_quotes))
    return found[0] if len(found) == 1 else found[0].unionByName(found[1])


def _fired(events: DataFrame, told: list[Column]) -> DataFrame:
    rows = events.withColumn("alert", f.explode(f.filter(f.array(*told), lambda one: one.isNotNull())))
    own = [c.name for c in MARKET_ALERTS.wire_columns if c.name in events.columns and c.name != "price"]
    columns = {name: f.col(name) for name in own} | {
        name: f.col(f"alert.{name}")
        for name in ("rule", "kind", "limit_percent", "price", "other_price", "reference_time")
    }
    return rows.select(*(columns[c.name].alias(c.name) for c in MARKET_ALERTS.wire_columns))


def _on_trade(rule: AlertRule, nearest: timedelta) -> Column:
    price, other, time = f.col("price"), f.col(f"{rule.kind}_price"), f.col(f"{rule.kind}_time")
    near = f.col("event_time").between(time - f.lit(nearest), time + f.lit(nearest))
    far = f.abs(price - other) * _whole(100) > other * _limit(rule)
    return _alert(rule, near & far, price, other, time)


def _on_quote(rule: AlertRule) -> Column:
    bid, ask = f.col("bid_price"), f.col("ask_price")
    both = (bid > _whole(0)) & (ask > _whole(0))
    if rule.kind == "crossed":
        wrong = (bid > ask) & ((bid - ask) * _whole(100) > ask * _limit(rule))
    else:
        # In percent of the middle: of half their sum, hence twice the hundred.
        wrong = (ask >= bid) & ((ask - bid) * _whole(200) > (ask + bid) * _limit(rule))
    return _alert(rule, both & wrong, bid, ask, f.col("event_time"))


def _alert(rule: AlertRule, wrong: Column, price: Column, other: Column, time: Column) -> Column:
    told = f.struct(
        f.lit(rule.name).alias("rule"),
        f.lit(rule.kind).alias("kind"),
        _limit(rule).alias("limit_percent"),
        price.alias("price"),
        other.alias("other_price"),
        time.alias("reference_time"),
    )
    return f.when(_like("venue", rule.venue) & _like("instrument", rule.instrument) & wrong, told)


def _like(name: str, pattern: str) -> Column:
    """Hold where the column is as the pattern says; upper and lower case are the same."""
    column = f.upper(name)
    if pattern == "*":
        return f.lit(True)
    plain = pattern.upper().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return column.like(plain.replace("*", "%").replace("?", "_"))


def _limit(rule: AlertRule) -> Column:
    return f.lit(rule.limit).cast(spark_type(LIMIT))


def _whole(number: int) -> Column:
    return f.lit(Decimal(number)).cast(DecimalType(3, 0))
