"""Times as files write them: one of the usual forms a column, or counts since 1970 in s, ms, us or ns."""

import polars as pl

from sources.history.cells import BLANKS, Table

_UTC = pl.Datetime("us", "UTC")
# Forms that can stand beside each other in one column; of forms that contradict (day or month first) one is chosen.
_ZONED = ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%z")
_FAMILIES: tuple[tuple[str, ...], ...] = (
    ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"),
    ("%Y/%m/%d", "%Y/%m/%d %H:%M:%S%.f", "%Y/%m/%d %H:%M"),
    ("%Y%m%d", "%Y%m%d %H:%M:%S%.f", "%Y%m%d %H:%M", "%Y%m%d %H%M%S"),
    ("%m/%d/%Y", "%m/%d/%Y %H:%M:%S%.f", "%m/%d/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p"),
    ("%d/%m/%Y", "%d/%m/%Y %H:%M:%S%.f", "%d/%m/%Y %H:%M"),
    ("%m/%d/%y", "%m/%d/%y %H:%M"),
    ("%d.%m.%Y", "%d.%m.%Y %H:%M:%S%.f", "%d.%m.%Y %H:%M"),
    ("%b %d %Y", "%b %d %Y %H:%M:%S", "%B %d %Y"),
    ("%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y"),
)
# A count since 1970 of a year between 1973 and 5138 is in the unit whose length it has.
_EPOCH = r"^\d{9,10}(\.\d+)?$|^\d{12,13}(\.\d+)?$|^\d{15,16}$|^\d{18,19}$"
_COUNTED_AT_LEAST = 0.5
_YEARS = (1700, 2200)


def parsed(text: pl.Series, zone: str = "UTC") -> pl.Series:
    """Return times in UTC; null where a cell is in none of the forms. `zone` is that of times which name none."""
    cleaned = text.str.strip_chars().str.replace(r"Z$", "+00:00").str.replace(r" UTC$", "+00:00")
    counted = cleaned.str.contains(_EPOCH)
    if int(counted.fill_null(False).sum()) >= max(1, _COUNTED_AT_LEAST * len(text)):
        return _since_1970(cleaned)
    best = pl.Series(text.name, [None] * len(text), dtype=_UTC)
    for family in _FAMILIES:
        found = _of_family(cleaned, family, zone)
        if found.null_count() < best.null_count():
            best = found
        if not best.null_count():
            break
    if best.null_count():
        for form in _ZONED:
            zoned = cleaned.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
            best = pl.select(pl.coalesce(best, zoned)).to_series()
    return best.alias(text.name)


def make_times(table: Table, name: str, zone: str = "UTC", into: str = "time") -> None:
    """Make a text column times under the name `into`; rows whose cell is in no known form are unreadable."""
    text = table.frame[name]
    times = parsed(text, zone)
    table.frame = table.frame.with_columns(times.alias("_time"))
    blank = pl.col(name).str.strip_chars().str.to_lowercase().is_in(BLANKS)
    table.drop(pl.col("_time").is_null() & ~blank, lambda row: f"{name} {str(row[name])[:40]!r} is no date and no time")
    table.drop(pl.col("_time").is_null(), lambda _: f"{name} is blank")
    table.frame = table.frame.drop(name).rename({"_time": into})


def _of_family(text: pl.Series, family: tuple[str, ...], zone: str) -> pl.Series:
    columns = [text.str.to_datetime(form, time_unit="us", strict=False, exact=True) for form in family]
    local = pl.select(pl.coalesce(columns)).to_series()
    # A year of two digits is read as one of the first century by the forms with four.
    local = local.set(~local.dt.year().is_between(*_YEARS).fill_null(True), None)
    if zone == "UTC":
        return local.dt.replace_time_zone("UTC")
    return local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")


def _since_1970(text: pl.Series) -> pl.Series:
    """Read counts since 1970; the digits before the point tell the unit."""
    whole = text.str.extract(r"^(\d{9,19})").cast(pl.Int64, strict=False)
    fraction = text.str.extract(r"\.(\d{1,6})").fill_null("").str.pad_end(6, "0").cast(pl.Int64, strict=False)
    micros = pl.select(
        pl.when(whole < 10**11)
        .then(whole * 1_000_000 + fraction)
        .when(whole < 10**14)
        .then(whole * 1_000 + fraction // 1_000)
        .when(whole < 10**17)
        .then(whole)
        .otherwise(whole // 1_000)
    ).to_series()
    exact = text.str.contains(r"^\d{9,19}(\.\d+)?$")
    return (
        pl.select(pl.when(exact).then(micros).otherwise(None))
        .to_series()
        .cast(pl.Datetime("us"))
        .dt.replace_time_zone("UTC")
    )
