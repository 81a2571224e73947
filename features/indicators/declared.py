"""What an indicator is: its inputs, parameters, outputs and how far back its values reach, as plain values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from contracts.errors import TerminalError

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Arrays = Mapping[str, Floats]
Outputs = tuple[Floats, ...]
Parameter = int | float | str
Unit = Literal["price", "volume", "ratio"]

# What may be left of inputs older than a recursive indicator's lookback: a billionth of their weight.
SETTLED = 1e-9
SMOOTHING = ("wilder", "sma")


@dataclass(frozen=True, slots=True)
class Lookback:
    """How many earlier bars a value depends on.

    `bars` is None where it is all of them, or with an `anchor` all since the anchor. `rest` is the weight that bars
    older than that still have together: 0 for windows, at most SETTLED for recursive averages.
    """

    bars: int | None
    rest: float = 0.0
    anchor: str = ""


@dataclass(frozen=True)
class Indicator:
    """One indicator. Callables are given the parameters by keyword; `compute` is given arrays of one instrument too.

    Arrays are in time order and hold no NaN; what can't be said is NaN in the outputs. `suffixes` name the outputs,
    the first is mostly empty; `units` say what scales them: prices, volumes, or
    neither.
    """

    name: str
    title: str
    formula: str
    engine: str
    compute: Callable[..., Outputs]
    inputs: Callable[..., tuple[str, ...]]
    warm_up: Callable[..., tuple[int, ...]]
    lookback: Callable[..., Lookback]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)
    suffixes: tuple[str, ...] = ("",)
    units: tuple[Unit, ...] = ("price",)


@dataclass(frozen=True)
class Use:
    """An indicator with its parameters chosen: what one or more columns are made by."""

    indicator: Indicator
    parameters: Mapping[str, Parameter]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its outputs: indicator, output, numbers, and words that differ from the default."""
        told = [
            f"{value:g}" if isinstance(value, float) else str(value)
            for name, value in self.parameters.items()
            if not isinstance(value, str) or value != self.indicator.parameters[name]
        ]
        return tuple(
            "_".join([self.indicator.name, *([suffix] if suffix else []), *told]).replace(".", "p")
            for suffix in self.indicator.suffixes
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns of bars that it needs."""
        return self.indicator.inputs(**self.parameters)

    @property
    def warm_up(self) -> tuple[int, ...]:
        """How many rows at the start of each output are null."""
        return self.indicator.warm_up(**self.parameters)

    @property
    def lookback(self) -> Lookback:
        """How far back a value reaches."""
        return self.indicator.lookback(**self.parameters)

    def compute(self, arrays: Arrays) -> Outputs:
        """Return the outputs over one instrument's bars, NaN where there is none."""
        return self.indicator.compute(arrays, **self.parameters)


def chosen(indicator: Indicator, parameters: Mapping[str, Parameter]) -> Use:
    """Return the indicator with these parameters, defaults for the others; TerminalError for one that is not valid."""
    unknown = sorted(set(parameters) - set(indicator.parameters))
    if unknown:
        raise TerminalError(
            f"{indicator.name} has no parameter {unknown[0]!r}; it has {', '.join(indicator.parameters) or 'none'}"
        )
    merged = {**indicator.parameters, **parameters}
    for name, value in merged.items():
        default = indicator.parameters[name]
        if isinstance(default, str):
            valid = indicator.choices[name]
            if value not in valid:
                raise TerminalError(f"{indicator.name}: {name} is {value!r}; valid are {', '.join(valid)}")
            continue
        least = indicator.least.get(name, 1)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or (isinstance(default, int) and not isinstance(value, int)) or not float(value) >= least:
            kind = "a whole number" if isinstance(default, int) else "a number"
            raise TerminalError(f"{indicator.name}: {name} is {value!r}; it must be {kind} of at least {least:g}")
    return Use(indicator, merged)


def closes(**_: object) -> tuple[str, ...]:
    """Name the inputs of an indicator of closes, whatever its parameters."""
    return ("close",)


def ranges(**_: object) -> tuple[str, ...]:
    """Name the inputs of an indicator of ranges, whatever its parameters."""
    return "high", "low", "close"
