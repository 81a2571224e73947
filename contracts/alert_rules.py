"""Alert rules: what is wrong with a trade or a quote by itself, or beside a reference, as exact values."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from typing import Any

from contracts.dataset import Decimal as DecimalColumn
from contracts.errors import TerminalError

# price_move: a trade's price is further than limit % from the last closed bar of its own instrument.
# venue_jump: it is further than limit % from what the same pair costs at the other venues.
# spread: lowest ask and highest bid are further apart than limit % of their middle.
# crossed: the highest bid is above the lowest ask by more than limit % of it.
KINDS = ("price_move", "venue_jump", "spread", "crossed")
ON_TRADES = ("price_move", "venue_jump")

# A limit times a price still fits the 38 digits in which Spark is exact.
LIMIT = DecimalColumn(9, 6)

# What every platform watches for unless settings say otherwise.
DEFAULT_RULES: tuple[dict[str, Any], ...] = (
    {"name": "price-move", "kind": "price_move", "limit": "2"},
    {"name": "venue-jump", "kind": "venue_jump", "limit": "2"},
    {"name": "wide-spread", "kind": "spread", "limit": "1"},
    {"name": "crossed-book", "kind": "crossed"},
)

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_PATTERN = re.compile(r"[!-~]{1,64}")


@dataclass(frozen=True)
class AlertRule:
    """One rule. `limit` is in percent; `venue` and `instrument` are patterns, * any text and ? any character."""

    name: str
    kind: str
    limit: Decimal = Decimal(0)
    venue: str = "*"
    instrument: str = "*"


def parse_rules(told: Iterable[Mapping[str, Any]]) -> tuple[AlertRule, ...]:
    """Return the rules that settings tell; TerminalError names every bad one, its value and what is valid."""
    rules: list[AlertRule] = []
    wrong: list[str] = []
    for number, one in enumerate(told):
        faults = list(_faults(one))
        name = one.get("name")
        if any(rule.name == name for rule in rules):
            faults.append(f"name {name!r} is another rule's too; valid: a name of its own")
        if faults:
            wrong.append(f"rule {number + 1} ({name!r}): {', '.join(faults)}")
        else:
            rules.append(_rule(one))
    if wrong:
        raise TerminalError("; ".join(wrong))
    return tuple(rules)


def _rule(told: Mapping[str, Any]) -> AlertRule:
    limit = _decimal(told.get("limit", 0))
    assert limit is not None
    return AlertRule(
        told["name"], told["kind"], limit, told.get("venue", "*").lower(), told.get("instrument", "*").upper()
    )


def _faults(told: Mapping[str, Any]) -> Iterable[str]:
    names = [field.name for field in fields(AlertRule)]
    for key in told:
        if key not in names:
            yield f"{key!r} is no part of a rule; valid: {', '.join(names)}"
    name, kind = told.get("name"), told.get("kind")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"name is {name!r}; valid: small letters, digits, - and _, at most 64"
    if kind not in KINDS:
        yield f"kind is {kind!r}; valid: {', '.join(KINDS)}"
    yield from _limit_faults(told.get("limit"), required=kind != "crossed")
    for key in ("venue", "instrument"):
        pattern = told.get(key, "*")
        if not isinstance(pattern, str) or not _PATTERN.fullmatch(pattern):
            yield f"{key} is {pattern!r}; valid: a pattern without spaces as BTC*, * any text, ? any character"


def _limit_faults(told: object, *, required: bool) -> Iterable[str]:
    valid = 'valid: percent above 0 and below 1000 with at most 6 digits after the point, such as "0.5"'
    if told is None:
        if required:
            yield f"limit is missing; {valid}"
        return
    limit = _decimal(told)
    if limit is None or not 0 <= limit < 1000 or limit != round(limit, LIMIT.scale) or (required and not limit):
        yield f"limit is {told!r}; {valid}"


def _decimal(told: object) -> Decimal | None:
    """Return the number as it was written; a float's shortest form is what stood in the file."""
    if isinstance(told, bool) or not isinstance(told, int | float | str | Decimal):
        return None
    try:
        number = Decimal(str(told))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
