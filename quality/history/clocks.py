"""Clocks: receipt before the event, shifted zones, sessions at the wrong hour, minutes that are months."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import polars as pl

from quality.history.finding import Finding, found
from quality.history.view import DAY_S, FEWEST, View

# New York's exchanges take orders from 4:00 to 20:00; what is printed at the end gets minutes more.
EARLIEST_S, LATEST_S = 4 * 3600, 20 * 3600 + 300
REGULAR_S = (9 * 3600 + 1800, 16 * 3600)
# In the six and a half hours of the session four fifths and more of a day's volume trade.
REGULAR_SHARE = 0.6
# A collector whose clock is more than a minute off is not skewed, it is on another clock.
SKEW_ERROR = timedelta(seconds=60)
# Queues hold a message for seconds, never for half an hour, by which the zones of the world differ.
LAG_ERROR = timedelta(minutes=29)
ENOUGH = 20
SESSION_BARS = (385, 395)
QUARTER_S = 900


def receipt(view: View) -> Iterator[Finding]:
    """Rows received before they happened, and the constant part of it."""
    if "received_time" not in view.frame.columns or not view.frame.height:
        return
    frame = view.frame.with_columns(_lag=pl.col("received_time") - pl.col("time"))
    early = frame.filter(pl.col("_lag") < timedelta(0))
    middle, least, most = frame["_lag"].median(), frame["_lag"].min(), frame["_lag"].max()
    told: dict[str, Any] = {"median_ms": _ms(middle), "least_ms": _ms(least), "most_ms": _ms(most)}
    if early.height:
        constant = isinstance(middle, timedelta) and middle < timedelta(0)
        far = isinstance(middle, timedelta) and middle < -SKEW_ERROR
        why = (
            "the receiver's clock is behind the venue's: latencies from these rows are wrong by that much"
            if constant
            else "some rows were received before they happened: the clocks wander"
        )
        check = "clock_skew" if constant else "received_before_event"
        yield found(view.recorded, check, "error" if far else "warn", why, early.drop("_lag"), **told)
    if isinstance(middle, timedelta) and middle > LAG_ERROR:
        why = "rows were received half an hour and more after they happened, all of them: one clock is in another zone"
        yield found(view.recorded, "clock_shift", "error", why, frame.drop("_lag"), **told)


def minute_is_month(view: View) -> Iterator[Finding]:
    """Minutes that always equal the month: a date format with %m where %M belongs."""
    if view.kind in ("universe", "feed", "factors", "maps") or view.frame.height < ENOUGH or view.width_s >= DAY_S:
        return
    times = view.frame["time"]
    rows = view.frame.filter(times.dt.minute() == times.dt.month())
    if rows.height == view.frame.height and times.dt.second().n_unique() > 1:
        told = "the minute is the month in every row: written with %m for %M, the true minutes are lost"
        yield found(view.recorded, "minute_is_month", "error", told, rows, months=times.dt.month().n_unique())


def wrong_day(view: View) -> Iterator[Finding]:
    """Rows outside the day that the file's name tells, or a packed file of another day."""
    day, inner = view.recorded.day, view.recorded.notes.get("inner_day")
    if inner:
        told = f"the file is named for {day}, the one packed in it for {inner}"
        yield found(view.recorded, "wrong_day", "error", told, view.frame, name_day=day, packed_day=inner)
    if day is None or "time" not in view.frame.columns or not view.frame.height or view.kind in ("universe", "factors"):
        return
    local = view.frame["time"].dt.convert_time_zone(view.recorded.zone)
    rows = view.frame.filter(local.dt.date() != day)
    if rows.height:
        told = "rows outside the day that the file is named for: a shifted clock"
        yield found(view.recorded, "clock_shift", "error", told, rows, day=day)


def trading_hours(view: View) -> Iterator[Finding]:
    """Rows of an American exchange at hours at which it is closed, or most volume outside the session."""
    if not view.american or view.width_s >= DAY_S or view.frame.height < FEWEST:
        return
    if "time" not in view.frame.columns or view.kind in ("open_interest", "universe", "factors", "maps"):
        return
    local = pl.col("time").dt.convert_time_zone("America/New_York")
    second = local.dt.hour().cast(pl.Int64) * 3600 + local.dt.minute().cast(pl.Int64) * 60 + local.dt.second()
    frame = view.floats.with_columns(_second=second)
    edges = REGULAR_S if view.recorded.market == "option" else (EARLIEST_S, LATEST_S)
    room = 16 * 60 if view.recorded.market == "option" else 0
    rows = frame.filter((pl.col("_second") < edges[0]) | (pl.col("_second") > edges[1] + room))
    if rows.height:
        told = "rows at hours at which the exchange is closed: the clock of another zone"
        yield found(view.recorded, "clock_shift", "error", told, rows.drop("_second"), hours="New York")
        return
    size = next((one for one in ("volume", "quantity") if one in frame.columns), None)
    if size and frame.height >= 100:
        inside = frame.filter(pl.col("_second").is_between(*REGULAR_S))
        share = float(inside[size].sum() or 0) / (float(frame[size].sum() or 0) or 1.0)
        if share < REGULAR_SHARE:
            told = "most of the volume lies outside the session: the clock is shifted"
            yield found(view.recorded, "clock_shift", "error", told, view.frame, share_in_session=share)


def session_hours(view: View) -> Iterator[Finding]:
    """Sessions as long as New York's that begin at another hour than its sessions do, in New York or in UTC."""
    if view.recorded.market or view.calendar not in ("XNYS", "weekdays") or not 0 < view.width_s <= 1800:
        return
    time = pl.col("time")
    days = view.frame.group_by(time.dt.date().alias("day")).agg(
        time.min().alias("begin"), ((time.max() - time.min()) / timedelta(minutes=1)).alias("minutes")
    )
    whole = days.filter(pl.col("minutes").is_between(SESSION_BARS[0] - view.width_s / 60, SESSION_BARS[1]))
    if whole.height < 2:
        return
    whole = whole.join(view.sessions.select("day", "open"), on="day")
    naive = whole["open"].dt.convert_time_zone("America/New_York").dt.replace_time_zone(None)
    begin = whole["begin"].dt.replace_time_zone(None)
    off = ((begin - naive).dt.total_minutes(), (whole["begin"] - whole["open"]).dt.total_minutes())
    middles = [float(one.median() or 0) for one in off]  # type: ignore[arg-type]
    if whole.height and all(abs(one) >= QUARTER_S // 60 for one in middles):
        told = "sessions of New York's length that begin at another hour than New York's: the clock of another zone"
        yield found(
            view.recorded, "clock_shift", "warn", told, view.frame,
            minutes_after_new_york=middles[0], minutes_after_utc=middles[1],
        )  # fmt: skip
    elif whole["begin"].dt.time().n_unique() > 1:
        usual = View.most(begin.dt.time())
        second = begin.dt.hour().cast(pl.Int64) * 3600 + begin.dt.minute().cast(pl.Int64) * 60
        odd = whole.filter((second - (usual.hour * 3600 + usual.minute * 60)).abs() >= QUARTER_S)
        utc = (whole["begin"] - whole["open"]).dt.total_minutes().n_unique() == 1
        if odd.height and not utc:
            rows = view.frame.filter(pl.col("time").dt.date().is_in(odd["day"].implode()))
            told = "days that begin at another hour than the others: part of the file is on another clock"
            yield found(view.recorded, "clock_shift", "error", told, rows, usual=str(usual))


def _ms(value: object) -> float | None:
    return value / timedelta(milliseconds=1) if isinstance(value, timedelta) else None
