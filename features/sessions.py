"""Trading sessions of equities: which session a bar belongs to, and bars by session."""

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl

from contracts.calendars import sessions_of, zone_of
from contracts.errors import TerminalError
from features.indicators.frames import SERIES, TIME, US

PHASES = ("pre", "regular", "post")
_SUMS = ("volume", "notional", "trade_count", "minute_count")


def schedule(calendar: str, first: date, last: date) -> pl.DataFrame:
    """Return the sessions from first to last day, both included: session (the exchange's date), opens, closes in UTC.

    calendar: a name of exchange_calendars, as XNYS, XLON, XTKS; TerminalError for any other.
    """
    found = sessions_of(calendar, first, last)
    return pl.DataFrame(
        {
            "session": [one.day for one in found],
            "opens": [one.opens for one in found],
            "closes": [one.closes for one in found],
        },
        schema={"session": pl.Date, "opens": US, "closes": US},
    )


def with_sessions(bars: pl.DataFrame, calendar: str, *, time: str = TIME) -> pl.DataFrame:
    """Return the bars with `session`, the exchange's date, and `phase`: pre, regular or post; null without a session.

    A bar is of a session by its start. Before the open and after the close it is of the session of the same local day.
    """
    frame = bars.with_columns(pl.col(time).cast(US))
    if not frame.height:
        return frame.with_columns(session=pl.lit(None, pl.Date), phase=pl.lit(None, pl.String))
    days = frame.select(pl.col(time).dt.date().min().alias("first"), pl.col(time).dt.date().max().alias("last")).row(0)
    # A session may open the evening before, and its local day may begin a day away from UTC's.
    first, last = days[0] - timedelta(days=4), days[1] + timedelta(days=4)
    sessions, zone = schedule(calendar, first, last), zone_of(calendar, first, last)
    regular = (
        frame.with_row_index("_row")
        .sort(time)
        .join_asof(sessions, left_on=time, right_on="opens", strategy="backward")
        .with_columns(_in=pl.col(time) < pl.col("closes"))
    )
    local = pl.col(time).dt.convert_time_zone(zone).dt.date().alias("_local")
    same_day = sessions.select(pl.col("session").alias("_local"), _opens="opens")
    return (
        regular.with_columns(local)
        .join(same_day, on="_local", how="left")
        .sort("_row")
        .with_columns(
            session=pl.when("_in").then("session").when(pl.col("_opens").is_not_null()).then("_local"),
            phase=pl.when("_in")
            .then(pl.lit("regular"))
            .when(pl.col(time) < pl.col("_opens"))
            .then(pl.lit("pre"))
            .when(pl.col("_opens").is_not_null())
            .then(pl.lit("post")),
        )
        .drop("_row", "_in", "_local", "_opens", "opens", "closes")
    )


def by_session(
    bars: pl.DataFrame,
    calendar: str,
    *,
    phases: Sequence[str] = ("regular",),
    series: Sequence[str] = SERIES,
    time: str = TIME,
) -> pl.DataFrame:
    """Return one bar a series and session, exactly the bars of its minutes; `session` beside, `time` of the first.

    Bars outside the phases are left out. volume, notional and counts are added up as they are, decimals exactly;
    known_time is the newest, state is final when all are.
    """
    unknown = sorted(set(phases) - set(PHASES))
    if unknown:
        raise TerminalError(f"there is no phase {unknown[0]!r} of a session; valid are {', '.join(PHASES)}")
    frame = with_sessions(bars, calendar, time=time).filter(pl.col("phase").is_in(list(phases))).sort(*series, time)
    parts = [
        pl.col(time).first(),
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        *(pl.col(name).sum() for name in _SUMS if name in frame.columns),
        *([pl.len().cast(pl.Int64).alias("minute_count")] if "minute_count" not in frame.columns else []),
        *([pl.col("known_time").max()] if "known_time" in frame.columns else []),
        *([_state()] if "state" in frame.columns else []),
    ]
    return frame.group_by(*series, "session", maintain_order=True).agg(parts).sort(*series, "session")


def _state() -> pl.Expr:
    final = (pl.col("state") == "final").all()
    return pl.when(final).then(pl.lit("final")).otherwise(pl.lit("provisional")).alias("state")
