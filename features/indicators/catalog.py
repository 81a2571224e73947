"""All indicators by name."""

from contracts.errors import TerminalError
from features.indicators.averages import AVERAGES
from features.indicators.benchmark import BENCHMARK
from features.indicators.declared import Indicator, Parameter, Use, chosen
from features.indicators.oscillators import OSCILLATORS
from features.indicators.spread import SPREAD
from features.indicators.volume import VOLUME

INDICATORS: dict[str, Indicator] = {
    indicator.name: indicator for indicator in (*AVERAGES, *OSCILLATORS, *SPREAD, *VOLUME, *BENCHMARK)
}


def use(name: str, **parameters: Parameter) -> Use:
    """Return the indicator of that name with these parameters; TerminalError names what is valid."""
    if name not in INDICATORS:
        raise TerminalError(f"there is no indicator {name!r}; there are {', '.join(sorted(INDICATORS))}")
    return chosen(INDICATORS[name], parameters)


def standard(grain: str, *, benchmark: bool = False) -> tuple[Use, ...]:
    """Return the indicators that are kept of bars of a grain: 1m, 5m, 1h, 1d or session.

    Sums and averages begin anew with each day where a day has several bars. `benchmark` adds beta and correlation.
    """
    anchor = "start" if grain in ("1d", "session") else "day"
    averages = [use(name, period=20) for name in ("sma", "ema", "wma")] + [use("sma", period=50)]
    several = [use(name) for name in ("rsi", "macd", "bollinger", "atr", "adx", "stochastic", "cci", "mfi", "roc")]
    running = [
        use("obv", anchor=anchor),
        use("vwap", anchor=anchor if anchor == "day" else "window", period=20),
        use("twap", anchor=anchor if anchor == "day" else "window", period=20),
        use("realised_volatility", period=20),
    ]
    beside = [use("beta"), use("correlation")] if benchmark else []
    return (*averages, *several, *running, *beside)
