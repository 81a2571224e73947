"""The catalogue: every feature, declared once. docs/features.md is written from it."""

from collections.abc import Iterable
from datetime import timedelta
from math import tau

import polars as pl

from contracts.errors import TerminalError
from features.declared import ENTITY, EVENT, Feature, Function
from features.indicators.catalog import use
from features.indicators.declared import Parameter
from features.indicators.frames import compute as compute_indicators
from features.market import BARS, BOOKS, DAILY, INDICATORS, QUALITY, QUOTES, TRADES, VENUES

NONE = timedelta(0)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def _m(count: int) -> timedelta:
    return timedelta(minutes=count)


def _sum(name: str, rows: int) -> pl.Expr:
    # Running sums leave a rest of what went out: where all of it did, that would be taken for an amount.
    most = pl.col(name).rolling_max(rows)
    return pl.when(most > 0).then(pl.col(name).rolling_sum(rows).clip(0.0)).when(most.is_not_null()).then(0.0)


def _over(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole)


def _moved(rows: int) -> pl.Expr:
    return pl.col("close").log() - pl.col("close").shift(rows).log()


def _volatility(rows: int) -> pl.Expr:
    moved = pl.col("close").rolling_max(rows + 1) > pl.col("close").rolling_min(rows + 1)
    root = (pl.col("log_return") ** 2).rolling_sum(rows).clip(0.0).sqrt()
    return pl.when(moved).then(root).when(moved.is_not_null()).then(0.0)


def _unusual(name: str, rows: int) -> pl.Expr:
    value = pl.col(name)
    moved = value.rolling_max(rows) > value.rolling_min(rows)
    return pl.when(moved).then((value - value.rolling_mean(rows)) / value.rolling_std(rows))


def _of_day() -> pl.Expr:
    return (pl.col(EVENT).dt.hour().cast(pl.Float64) * 60 + pl.col(EVENT).dt.minute()) * (tau / 1440)


def _indicator(
    name: str, unit: str, description: str, indicator: str, output: int = 0, **parameters: Parameter
) -> Feature:
    made = use(indicator, **parameters)

    def values(rows: pl.DataFrame) -> pl.Series:
        frame = rows.drop("known_time")
        return compute_indicators(frame, [made], series=ENTITY, time=EVENT).get_column(made.columns[output])

    return Feature(name, INDICATORS, values, _m(made.lookback.bars or 0), unit, description)


def _gap_to(indicator: str, **parameters: Parameter) -> tuple[Function, timedelta]:
    made = use(indicator, **parameters)

    def values(rows: pl.DataFrame) -> pl.Series:
        frame = rows.drop("known_time")
        level = compute_indicators(frame, [made], series=ENTITY, time=EVENT).get_column(made.columns[0])
        return rows.get_column("close") / level - 1

    return values, _m(made.lookback.bars or 0)


_LOG, _SHARE, _DEVIATIONS, _BPS = "log return", "-1 to 1", "standard deviations", "basis points"
_HIGH, _LOW = pl.col("high"), pl.col("low")
_RANGE_60 = _HIGH.rolling_max(60) - _LOW.rolling_min(60)
_BOUGHT_15, _SOLD_15 = _sum("bought", 15), _sum("sold", 15)
_BIDS, _ASKS = pl.col("bid_quantity"), pl.col("ask_quantity")
_MID = pl.when((pl.col("bid_price") > 0) & (pl.col("ask_price") > 0)).then(
    (pl.col("bid_price") + pl.col("ask_price")) / 2
)
_MICRO = _over(pl.col("bid_price") * _ASKS + pl.col("ask_price") * _BIDS, _BIDS + _ASKS)

_EMA, _EMA_WINDOW = _gap_to("ema", period=20)

FEATURES: tuple[Feature, ...] = (
    # What prices did.
    Feature("return_1m", BARS, _moved(1), _m(1), _LOG, "Move of the close within a minute."),
    Feature("return_5m", BARS, _moved(5), _m(5), _LOG, "Move of the close within 5 minutes."),
    Feature("return_15m", BARS, _moved(15), _m(15), _LOG, "Move of the close within 15 minutes."),
    Feature("return_60m", BARS, _moved(60), _m(60), _LOG, "Move of the close within an hour."),
    Feature("volatility_15m", BARS, _volatility(15), _m(15), _LOG, "Root of the sum of 15 squared one-minute returns."),
    Feature("volatility_60m", BARS, _volatility(60), _m(60), _LOG, "Root of the sum of 60 squared one-minute returns."),
    Feature(
        "range_15m",
        BARS,
        (_HIGH.rolling_max(15) - _LOW.rolling_min(15)) / pl.col("close"),
        _m(14),
        "share of the close",
        "Highest high less lowest low of 15 minutes.",
    ),
    Feature(
        "close_position_60m",
        BARS,
        _over(pl.col("close") - _LOW.rolling_min(60), _RANGE_60),
        _m(59),
        "0 to 1",
        "Where the close lies between the lowest and the highest price of an hour.",
    ),
    Feature(
        "vwap_gap_60m",
        BARS,
        pl.col("close") / _over(_sum("notional", 60), _sum("volume", 60)) - 1,
        _m(59),
        "share",
        "Close against the volume-weighted average price of an hour.",
    ),
    # How much was traded, and when.
    Feature("notional_60m", BARS, _sum("notional", 60), _m(59), "quote currency", "What was traded within an hour."),
    Feature(
        "volume_z_60m", BARS, _unusual("volume", 60), _m(59), _DEVIATIONS, "Volume of the minute against the hour's."
    ),
    Feature(
        "trade_count_z_60m",
        BARS,
        _unusual("trade_count", 60),
        _m(59),
        _DEVIATIONS,
        "Number of trades of the minute against the hour's.",
    ),
    Feature(
        "illiquidity_60m",
        BARS,
        _over(pl.col("log_return").abs().rolling_sum(60), _sum("notional", 60)) * 1e6,
        _m(60),
        "log return per million of quote currency",
        "How far prices moved for what was traded within an hour (after Amihud).",
    ),
    Feature("minutes_since_trade", BARS, pl.col("idle"), NONE, "minutes", "Whole minutes without a trade up to now."),
    Feature("time_of_day_sin", BARS, _of_day().sin(), NONE, _SHARE, "Sine of the time of day, UTC, a day the circle."),
    Feature(
        "time_of_day_cos", BARS, _of_day().cos(), NONE, _SHARE, "Cosine of the time of day, UTC, a day the circle."
    ),
    Feature(
        "day_of_week",
        BARS,
        pl.col(EVENT).dt.weekday().cast(pl.Float64),
        NONE,
        "1 Monday to 7 Sunday",
        "Day of the week, UTC.",
    ),
    # The day behind.
    Feature("return_1d", DAILY, _moved(1440), DAY, _LOG, "Move of the close within a day.", time_to_live=HOUR),
    Feature(
        "volatility_1d", DAILY, _volatility(1440), DAY, _LOG, "Root of a day's squared returns.", time_to_live=HOUR
    ),
    Feature(
        "volume_ratio_1d",
        DAILY,
        _over(_sum("volume", 60) * 24, _sum("volume", 1440)),
        _m(1439),
        "ratio",
        "Volume of the last hour against an even share of the last day's.",
        time_to_live=HOUR,
    ),
    Feature(
        "drawdown_1d",
        DAILY,
        pl.col("close") / _HIGH.rolling_max(1440) - 1,
        _m(1439),
        "share, at most 0",
        "Close against the highest price of a day.",
        time_to_live=HOUR,
    ),
    # Indicators on one-minute bars, held through minutes without trades.
    _indicator("rsi_14", "0 to 100", "Relative strength index.", "rsi"),
    _indicator("stochastic_k_14", "0 to 100", "Stochastic oscillator, slow K.", "stochastic"),
    _indicator("cci_20", "none", "Commodity channel index.", "cci"),
    _indicator("mfi_14", "0 to 100", "Money flow index.", "mfi"),
    _indicator("adx_14", "0 to 100", "Average directional index.", "adx"),
    _indicator("atr_percent_14", "percent of the close", "Average true range.", "atr", 1),
    _indicator("bollinger_position_20", "0 to 1 inside", "Where the close lies between the bands.", "bollinger", 3),
    _indicator("bollinger_bandwidth_20", "share of the mean", "How far apart the bands are.", "bollinger", 4),
    Feature("ema_gap_20", INDICATORS, _EMA, _EMA_WINDOW, "share", "Close against its exponential average."),
    # Who traded.
    Feature(
        "trade_imbalance_1m",
        TRADES,
        _over(pl.col("bought") - pl.col("sold"), pl.col("bought") + pl.col("sold")),
        NONE,
        _SHARE,
        "Bought less sold by aggressors, of both, within the minute.",
    ),
    Feature(
        "trade_imbalance_15m",
        TRADES,
        _over(_BOUGHT_15 - _SOLD_15, _BOUGHT_15 + _SOLD_15),
        _m(14),
        _SHARE,
        "Bought less sold by aggressors, of both, within 15 minutes.",
    ),
    Feature(
        "trade_sign_15m",
        TRADES,
        _over(pl.col("signs").rolling_sum(15), _sum("trades", 15)),
        _m(14),
        _SHARE,
        "Mean sign of the trades of 15 minutes, each counted once.",
    ),
    Feature(
        "trade_sign_last",
        TRADES,
        pl.col("last_sign"),
        NONE,
        "-1, 0 or 1",
        "Sign of the last trade; 0 where nobody told it.",
    ),
    Feature(
        "trade_size_15m",
        TRADES,
        _over(_BOUGHT_15 + _SOLD_15, _sum("trades", 15)),
        _m(14),
        "quote currency",
        "Mean size of the trades of 15 minutes.",
    ),
    Feature(
        "trade_size_largest_15m",
        TRADES,
        pl.col("largest").rolling_max(15),
        _m(14),
        "quote currency",
        "Largest trade of 15 minutes.",
    ),
    Feature("trade_rate_15m", TRADES, _sum("trades", 15) / 15, _m(14), "trades per minute", "How often it was traded."),
    # What was offered.
    Feature("spread", QUOTES, pl.col("spread_last"), NONE, _BPS, "Last ask less bid, of the mid price."),
    Feature(
        "spread_15m",
        QUOTES,
        _over(_sum("spread_sum", 15), _sum("spread_count", 15)),
        _m(14),
        _BPS,
        "Mean spread of the quotes of 15 minutes.",
    ),
    Feature(
        "quote_imbalance",
        QUOTES,
        _over(_BIDS - _ASKS, _BIDS + _ASKS),
        NONE,
        _SHARE,
        "Bid less asked quantity at the best prices, of both.",
    ),
    Feature(
        "microprice_gap",
        QUOTES,
        (_MICRO / _MID - 1) * 1e4,
        NONE,
        _BPS,
        "Mean of bid and ask, each weighted by the other side's quantity, against the mid price.",
    ),
    Feature(
        "order_flow_imbalance_1m",
        QUOTES,
        _over(pl.col("flow"), pl.col("depth")),
        NONE,
        "mean depths",
        "What came to the best prices less what left them within the minute (Cont, Kukanov and Stoikov).",
    ),
    Feature(
        "order_flow_imbalance_15m",
        QUOTES,
        _over(pl.col("flow").rolling_sum(15), pl.col("depth").rolling_mean(15)),
        _m(14),
        "mean depths",
        "The same within 15 minutes.",
    ),
    Feature(
        "quote_rate_15m", QUOTES, _sum("quotes", 15) / 15, _m(14), "quotes per minute", "How often quotes changed."
    ),
    Feature(
        "depth_imbalance_5",
        BOOKS,
        _over(pl.col("bid_5") - pl.col("ask_5"), pl.col("bid_5") + pl.col("ask_5")),
        NONE,
        _SHARE,
        "Bid less asked quantity in the best 5 levels of the book, of both.",
    ),
    Feature(
        "depth_imbalance_20",
        BOOKS,
        _over(pl.col("bid_20") - pl.col("ask_20"), pl.col("bid_20") + pl.col("ask_20")),
        NONE,
        _SHARE,
        "Bid less asked quantity in the best 20 levels of the book, of both.",
    ),
    Feature(
        "depth_reach_20",
        BOOKS,
        _over(pl.col("far_ask") - pl.col("far_bid"), pl.col("best_ask") + pl.col("best_bid")) * 2e4,
        NONE,
        _BPS,
        "From the 20th bid to the 20th ask, of the mid price; null in thinner books.",
    ),
    # Other venues.
    Feature("basis", VENUES, pl.col("basis"), NONE, _BPS, "Close against the mean of the pair's other venues."),
    Feature("basis_60m", VENUES, pl.col("basis").rolling_mean(60), _m(59), _BPS, "Mean basis of an hour."),
    Feature("basis_z_60m", VENUES, _unusual("basis", 60), _m(59), _DEVIATIONS, "Basis against the hour's."),
    Feature(
        "others_return_5m",
        VENUES,
        pl.col("others").log() - pl.col("others").shift(5).log(),
        _m(5),
        _LOG,
        "Move of the other venues' mean price within 5 minutes.",
    ),
    # How far the numbers can be trusted.
    Feature(
        "quality_score",
        QUALITY,
        pl.col("score"),
        NONE,
        "0 to 1",
        "Quality score of the last minute that has one.",
        "data-quality",
        2 * DAY,
    ),
    Feature(
        "quality_least_60m",
        QUALITY,
        pl.col("score").rolling_min(60, min_samples=1),
        _m(59),
        "0 to 1",
        "Lowest quality score of an hour.",
        "data-quality",
        2 * DAY,
    ),
)

CATALOG: dict[str, Feature] = {feature.name: feature for feature in FEATURES}


def chosen(names: Iterable[str] | None = None) -> tuple[Feature, ...]:
    """Return the features of these names, all of them where none are given; TerminalError names what is not there."""
    if names is None:
        return FEATURES
    wanted = list(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in CATALOG]
    if unknown:
        raise TerminalError(
            f"there is no feature {', '.join(map(repr, unknown))}; there are {', '.join(sorted(CATALOG))}"
        )
    return tuple(CATALOG[name] for name in wanted)
