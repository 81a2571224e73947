"""Ids and update numbers: what is missing between them, and what a feed's own parser found."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from quality.history.finding import Finding, found
from quality.history.view import View

# Ids count without holes where nine steps in ten are one; elsewhere they are shared with other series.
COUNTED = 0.9
FEWEST = 10
SHOWN = 20


def trade_ids(view: View) -> Iterator[Finding]:
    """Ids missing between trades, and ids that do not rise with time."""
    if view.kind != "trades" or "trade_id" not in view.frame.columns or view.frame["trade_id"].dtype != pl.Int64:
        return
    ids = view.frame["trade_id"].drop_nulls().unique().sort()
    steps = ids.diff().drop_nulls()
    if len(ids) < FEWEST or float((steps == 1).mean() or 0) < COUNTED:  # type: ignore[arg-type]
        return
    gaps = pl.DataFrame({"after": ids.shift(1), "before": ids, "step": ids.diff()}).filter(pl.col("step") > 1)
    if gaps.height:
        missing = int((gaps["step"] - 1).sum())
        times = view.frame.group_by("trade_id").agg(pl.col("time").min())
        edges = times.filter(pl.col("trade_id").is_in(pl.concat([gaps["after"], gaps["before"]]).implode()))["time"]
        told = "ids that count without holes leave some out: trades are missing"
        yield found(
            view.recorded, "id_gap", "error", told, count=missing, since=edges.min(), until=edges.max(),  # type: ignore[arg-type]
            ranges=[{"from_id": row["after"] + 1, "to_id": row["before"] - 1} for row in gaps.head(SHOWN).to_dicts()],
            gaps=gaps.height,
        )  # fmt: skip
    ordered = view.frame.sort("trade_id")
    against = ordered.filter(pl.col("time") < pl.col("time").shift(1))
    sorted_file = (view.frame["time"].diff().drop_nulls().dt.total_microseconds() >= 0).all()
    if against.height and sorted_file and not view.recorded.notes.get("feed"):
        told = "trades whose id is higher and whose time is earlier than another's: a time or an id is wrong"
        yield found(view.recorded, "ids_against_time", "error", told, against)


def update_chain(view: View) -> Iterator[Finding]:
    """Book updates that do not continue the one before."""
    need = {"first_id", "last_id"}
    if view.kind != "books" or not need <= set(view.frame.columns):
        return
    names = ["last_id", "first_id", *(["previous_id"] if "previous_id" in view.frame.columns else [])]
    updates = view.frame.filter(~pl.col("snapshot")).unique(names, keep="first", maintain_order=True)
    updates = updates.with_columns(_before=pl.col("last_id").shift(1))
    has = "previous_id" in names and (updates["previous_id"] > 0).any()
    broken = pl.col("previous_id") != pl.col("_before") if has else pl.col("first_id") > pl.col("_before") + 1
    rows = updates.filter(pl.col("_before").is_not_null() & broken)
    if rows.height:
        told = "updates that do not continue the one before: the book built from them is wrong until the next snapshot"
        yield found(view.recorded, "chain_gap", "error", told, rows)


def feed(view: View) -> Iterator[Finding]:
    """What the venue's parser counted in a raw feed."""
    if view.kind != "feed":
        return
    notes: dict[str, Any] = dict(view.recorded.notes)
    if notes.get("unparsed"):
        told = "no parser of ours knows this venue: its messages were counted, their content was not looked at"
        yield found(view.recorded, "not_parsed", "info", told, view.frame, count=int(notes["messages"]))
        if notes.get("repeated"):
            told = "messages that are the very bytes of an earlier one"
            yield found(view.recorded, "identical_rows", "info", told, view.frame, count=int(notes["repeated"]))
        return
    if notes["gaps"]:
        told = "ids or update numbers that follow each other leave some out: messages are missing"
        yield found(view.recorded, "id_gap", "error", told, count=int(notes["gaps"]), gaps=notes["gap_details"][:SHOWN])
    if notes["receipt_steps_back"]:
        told = "lines that were received before the line above them: the recording's order is not that of receipt"
        yield found(
            view.recorded, "unsorted_rows", "error", told, count=int(notes["receipt_steps_back"]),
            steps_forth=notes["receipt_steps_forth"],
        )  # fmt: skip
    if notes["lines_again"]:
        told = "lines that are there again, receipt's time and all: part of the recording stands in it twice"
        yield found(view.recorded, "duplicate_rows", "error", told, count=int(notes["lines_again"]))
    if notes["checksums"]["failed"]:
        told = "books whose checksum is not the venue's: an update is missing or wrong"
        yield found(view.recorded, "book_checksum", "error", told, count=int(notes["checksums"]["failed"]))
    if notes["books"]["incomplete"]:
        told = "books whose snapshot is not in this file: deltas alone make no book"
        yield found(view.recorded, "book_incomplete", "info", told, count=int(notes["books"]["incomplete"]))
    for endpoint, clock in notes["clocks"].items():
        low = clock["lag_low_ms"]
        if low is not None and low < 0:
            told = "messages were received before the venue sent them: the receiver's clock is behind"
            yield found(
                view.recorded, "clock_skew", "warn", told, count=int(clock["messages"]), endpoint=endpoint,
                median_ms=clock["lag_median_ms"], least_ms=clock["lag_least_ms"],
            )  # fmt: skip
