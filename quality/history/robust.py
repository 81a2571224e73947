"""Centres and spreads that a few wrong rows cannot move."""

import polars as pl

# Of normal numbers the median absolute deviation times this is the standard deviation.
MAD_TO_SIGMA = 1.4826
# So many returns on either side make the local scale: a quarter's days, an hour's minutes.
LOCAL = 61


def with_returns(frame: pl.DataFrame) -> pl.DataFrame:
    """Add `_ret`, the logarithm of each `_price` over the one before, and `_sigma`, its usual size around there."""
    frame = frame.with_columns(_ret=(pl.col("_price") / pl.col("_price").shift(1)).log())
    size = pl.col("_ret").abs()
    whole = float(frame["_ret"].abs().median() or 0.0)  # type: ignore[arg-type]
    local = size.rolling_median(LOCAL, min_samples=FEW, center=True)
    return frame.with_columns(
        _sigma=(pl.max_horizontal(local.fill_null(whole), pl.lit(whole) / 2) * MAD_TO_SIGMA).clip(lower_bound=1e-6)
    )


FEW = 10


def sigma(values: pl.Series) -> float:
    """Return the robust standard deviation of the values."""
    kept = values.drop_nulls()
    if not len(kept):
        return 0.0
    centre = float(kept.median() or 0.0)  # type: ignore[arg-type]
    return float((kept - centre).abs().median() or 0.0) * MAD_TO_SIGMA  # type: ignore[arg-type]
