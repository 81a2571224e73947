"""The sources: what bars, trades, quotes, books, several venues and scores amount to by the end of each minute."""

from datetime import datetime

import polars as pl

from features.declared import ENTITY, EVENT, KNOWN, US, Frames, Source
from features.minutes import ends, every_minute, needed, of_one_feed, once

_AMOUNTS = ("volume", "notional", "trade_count")
_PRICES = ("open", "high", "low", "close")
# A price that nobody has traded at for so long says nothing of the market of this minute.
_FRESH_MINUTES = 5


def _bars(frames: Frames, until: datetime | None) -> pl.DataFrame:
    columns = (*ENTITY, "bar_time", *_PRICES, *_AMOUNTS)
    state = [name for name in ("state",) if name in frames["bars"].columns]
    bars = needed(of_one_feed(frames["bars"], "bars"), "bars", (*columns, *state)).with_columns(
        traded=pl.col("bar_time")
    )
    if state:
        # A bar that was withdrawn is a minute without trades, and that is known since it was withdrawn.
        gone = pl.col("state") == "withdrawn"
        bars = bars.with_columns(
            *(pl.when(~gone).then(name).alias(name) for name in (*_PRICES, "traded")),
            *(pl.when(gone).then(0.0).otherwise(name).alias(name) for name in _AMOUNTS),
        )
    rows = once(bars.with_columns(ends("bar_time")).drop("bar_time", *state), "bars")
    full = every_minute(rows, until, zeros=_AMOUNTS, carried=("close", "traded"))
    held = [pl.col(name).fill_null(pl.col("close")) for name in ("open", "high", "low")]
    return full.with_columns(*held).with_columns(
        idle=((pl.col(EVENT) - pl.col("traded")).dt.total_minutes() - 1).cast(pl.Float64),
        log_return=pl.col("close").log().diff().over(ENTITY),
    )


def _trades(frames: Frames, until: datetime | None) -> pl.DataFrame:
    columns = (*ENTITY, "event_time", "venue_sequence", "price", "quantity", "side")
    trades = needed(of_one_feed(frames["trades"], "trades"), "trades", columns)
    # A side that nobody told counts on neither.
    buys, sells = pl.col("side") == "buy", pl.col("side") == "sell"
    notional = pl.col("price") * pl.col("quantity")
    rows = (
        trades.with_columns(notional=notional, sign=pl.when(buys).then(1.0).when(sells).then(-1.0).otherwise(0.0))
        .sort(*ENTITY, "event_time", "venue_sequence")
        .with_columns(ends("event_time"))
        .group_by(*ENTITY, EVENT, maintain_order=True)
        .agg(
            pl.col("notional").filter(buys).sum().alias("bought"),
            pl.col("notional").filter(sells).sum().alias("sold"),
            pl.col("sign").sum().alias("signs"),
            pl.len().cast(pl.Float64).alias("trades"),
            pl.col("notional").max().alias("largest"),
            pl.col("sign").last().alias("last_sign"),
            pl.col(KNOWN).max(),
        )
    )
    return every_minute(
        once(rows, "trades"), until, zeros=("bought", "sold", "signs", "trades", "largest"), carried=("last_sign",)
    )


def _quotes(frames: Frames, until: datetime | None) -> pl.DataFrame:
    sides = ("bid_price", "bid_quantity", "ask_price", "ask_quantity")
    columns = (*ENTITY, "event_time", "venue_sequence", *sides)
    bid, ask, bids, asks = (pl.col(name) for name in ("bid_price", "ask_price", "bid_quantity", "ask_quantity"))
    quotes = needed(of_one_feed(frames["quotes"], "quotes"), "quotes", columns)
    quotes = quotes.sort(*ENTITY, "event_time", "venue_sequence")
    before = {name: pl.col(name).shift(1).over(ENTITY) for name in sides}
    # Cont, Kukanov and Stoikov: what came to the best prices less what left them, since the quote before.
    came = pl.when(bid >= before["bid_price"]).then(bids).otherwise(0.0)
    left = pl.when(bid <= before["bid_price"]).then(before["bid_quantity"]).otherwise(0.0)
    offered = pl.when(ask <= before["ask_price"]).then(asks).otherwise(0.0)
    taken = pl.when(ask >= before["ask_price"]).then(before["ask_quantity"]).otherwise(0.0)
    first = before["bid_price"].is_null()
    both = (bid > 0) & (ask > 0)
    rows = (
        quotes.with_columns(
            flow=pl.when(first).then(0.0).otherwise(came - left - offered + taken),
            spread=pl.when(both).then((ask - bid) / ((ask + bid) / 2) * 1e4),
            known_before=pl.col(KNOWN).shift(1).over(ENTITY),
        )
        .with_columns(ends("event_time"))
        .group_by(*ENTITY, EVENT, maintain_order=True)
        .agg(
            pl.col(*sides).last(),
            pl.col("flow").sum(),
            pl.col("spread").last().alias("spread_last"),
            pl.col("spread").sum().alias("spread_sum"),
            pl.col("spread").count().cast(pl.Float64).alias("spread_count"),
            (bids + asks).mean().alias("depth"),
            pl.len().cast(pl.Float64).alias("quotes"),
            # The flow reads the quote before the minute's first: when that became known counts as well.
            pl.max_horizontal(pl.col(KNOWN).max(), pl.col("known_before").first()).alias(KNOWN),
        )
    )
    return every_minute(
        once(rows, "quotes"),
        until,
        zeros=("flow", "spread_sum", "spread_count", "quotes"),
        carried=(*sides, "spread_last", "depth"),
    )


def _books(frames: Frames, until: datetime | None) -> pl.DataFrame:
    lists = ("bid_prices", "bid_quantities", "ask_prices", "ask_quantities")
    books = of_one_feed(frames["books"], "books")
    if "state" in books.columns:
        # An incomplete book says nothing of depth.
        books = books.filter(pl.col("state") == "complete")
    books = needed(books, "books", (*ENTITY, "snapshot_time", *lists))
    books = books.with_columns(pl.col(*lists).cast(pl.List(pl.Float64)))
    top = [
        pl.col(f"{side}_quantities").list.head(levels).list.sum().alias(f"{side}_{levels}")
        for side in ("bid", "ask")
        for levels in (5, 20)
    ]
    best = [pl.col(f"{side}_prices").list.first().alias(f"best_{side}") for side in ("bid", "ask")]
    worst = [pl.col(f"{side}_prices").list.get(19, null_on_oob=True).alias(f"far_{side}") for side in ("bid", "ask")]
    names = ("bid_5", "bid_20", "ask_5", "ask_20", "best_bid", "best_ask", "far_bid", "far_ask")
    rows = (
        books.with_columns(*top, *best, *worst)
        .sort(*ENTITY, "snapshot_time")
        # A snapshot is of its moment, inclusive: one on the minute tells of the minute that ends there.
        .with_columns(
            (pl.col("snapshot_time").dt.offset_by("-1us").dt.truncate("1m") + pl.duration(minutes=1))
            .cast(US)
            .alias(EVENT)
        )
        .group_by(*ENTITY, EVENT, maintain_order=True)
        .agg(pl.col(*names, KNOWN).last())
    )
    return every_minute(once(rows, "books"), until, carried=names)


def _venues(frames: Frames, until: datetime | None) -> pl.DataFrame:
    pairs = frames["pairs"].select(pl.col(*ENTITY, "pair").cast(pl.String))
    bars = _bars(frames, until).join(pairs, on=list(ENTITY), how="inner", maintain_order="left")
    fresh = pl.when(pl.col("idle") <= _FRESH_MINUTES).then(pl.col("close"))
    moment = ["pair", EVENT]
    bars = bars.with_columns(price=fresh).with_columns(
        others=(pl.col("price").sum().over(moment) - pl.col("price"))
        / (pl.col("price").count().over(moment) - 1).replace(0, None),
        # What the others say is known when the last of them is.
        known_time=pl.col(KNOWN).max().over(moment),
    )
    return bars.select(*ENTITY, EVENT, KNOWN, "price", "others").with_columns(
        basis=(pl.col("price") / pl.col("others") - 1) * 1e4
    )


def _quality(frames: Frames, until: datetime | None) -> pl.DataFrame:
    scores = needed(frames["scores"], "scores", (*ENTITY, "bar_time", "score", "completeness"))
    rows = once(scores.with_columns(ends("bar_time")).drop("bar_time"), "scores")
    # A minute without a bar has no score; until the next, the last one stands.
    return every_minute(rows, until, carried=("score", "completeness"))


_END = "end of the minute that it tells of"
_NEWEST = "newest known_time of the rows in its window, never before the minute's end"

BARS = Source("bars", ("bars",), _END, _NEWEST, _bars)
# Their windows are a day long: apart, so that a late bar does not make a whole day of the short ones known anew.
DAILY = Source("bars_day", ("bars",), _END, _NEWEST, _bars)
INDICATORS = Source("indicators", ("bars",), _END, _NEWEST, _bars)
TRADES = Source("trades", ("trades",), _END, _NEWEST, _trades)
QUOTES = Source("quotes", ("quotes",), _END, _NEWEST, _quotes)
BOOKS = Source("books", ("books",), _END, _NEWEST, _books)
VENUES = Source("venues", ("bars", "pairs"), _END, "newest known_time of the rows of all venues in its window", _venues)
QUALITY = Source("quality", ("scores",), _END, "newest known_time of the scores in its window", _quality)
SOURCES = (BARS, DAILY, INDICATORS, TRADES, QUOTES, BOOKS, VENUES, QUALITY)
