"""A day of bars as Dagster metadata."""

from typing import Any

import dagster as dg

from assets.day_view import DayView, SeriesDay

_COLUMNS = [
    dg.TableColumn("instrument", "string"),
    dg.TableColumn("venue", "string"),
    dg.TableColumn("id_space", "string"),
    dg.TableColumn("bars", "int"),
    dg.TableColumn("trades", "int"),
    dg.TableColumn("open", "string"),
    dg.TableColumn("high", "string"),
    dg.TableColumn("low", "string"),
    dg.TableColumn("close", "string"),
    dg.TableColumn("turnover", "string", description="Sum of price times quantity, in the quote currency, rounded."),
]


def _record(one: SeriesDay) -> dg.TableRecord:
    prices = {name: f"{getattr(one, name).normalize():f}" for name in ("open", "high", "low", "close")}
    return dg.TableRecord(
        {
            "instrument": one.instrument,
            "venue": one.venue,
            "id_space": one.id_space,
            "bars": one.bar_count,
            "trades": one.trade_count,
            **prices,
            "turnover": f"{one.turnover:,.0f}",
        }
    )


def day_metadata(view: DayView) -> dict[str, Any]:
    """Return counts, plot and table; a day without bars says so."""
    told: dict[str, Any] = {
        "dagster/partition_row_count": view.bar_count,
        "trades": view.trade_count,
        "instruments": view.instrument_count,
        "provisional_bars": view.provisional_count,
    }
    if not view.bar_count or view.known_time is None:
        return told | {"note": "no bars on this day"}
    from assets.plots import as_markdown, closes_plot

    return told | {
        "known_time": dg.MetadataValue.timestamp(view.known_time),
        "closes": dg.MetadataValue.md(as_markdown(closes_plot(view), f"closes of {view.day.isoformat()}")),
        "largest_series": dg.MetadataValue.table(
            records=[_record(one) for one in view.series], schema=dg.TableSchema(_COLUMNS)
        ),
    }
