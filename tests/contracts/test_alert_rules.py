"""Alert rules: what is well said becomes an exact rule, what is not is named with its value and what is valid."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.alert_rules import DEFAULT_RULES, KINDS, AlertRule, parse_rules
from contracts.alerts import MARKET_ALERTS, alert_id
from contracts.errors import TerminalError

GOOD: dict[str, Any] = {"name": "a", "kind": "spread", "limit": "0.5"}


def test_the_default_rules_are_one_of_each_kind() -> None:
    assert {rule.kind for rule in parse_rules(DEFAULT_RULES)} == set(KINDS)


@given(st.decimals("0.000001", "999.999999", places=6))
def test_a_limit_is_exact_however_it_is_written(limit: Decimal) -> None:
    written: list[Any] = [str(limit), limit, float(limit)]
    for one in written:
        assert parse_rules([GOOD | {"limit": one}]) == (AlertRule("a", "spread", limit),)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"kind": "spred"}, "kind is 'spred'; valid: price_move, venue_jump, spread, crossed"),
        ({"kind": None}, "kind is None"),
        ({"name": "A b"}, "name is 'A b'; valid: small letters"),
        ({"limit": "0"}, "limit is '0'; valid: percent above 0"),
        ({"limit": "-1"}, "limit is '-1'"),
        ({"limit": "1000"}, "limit is '1000'"),
        ({"limit": "0.1234567"}, "limit is '0.1234567'; valid: percent above 0 and below 1000 with at most 6 digits"),
        ({"limit": "much"}, "limit is 'much'"),
        ({"limit": "NaN"}, "limit is 'NaN'"),
        ({"limit": True}, "limit is True"),
        ({"limit": None}, "limit is missing"),
        ({"instrument": "BTC USD"}, "instrument is 'BTC USD'; valid: a pattern without spaces"),
        ({"venue": 3}, "venue is 3"),
        ({"threshold": 1}, "'threshold' is no part of a rule; valid: name, kind, limit, venue, instrument"),
    ],
)
def test_a_bad_rule_is_named_with_its_value_and_what_is_valid(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(TerminalError) as error:
        parse_rules([{"name": "fine", "kind": "crossed"}, GOOD | wrong])
    assert str(error.value).startswith("rule 2 (")
    assert told in str(error.value)


def test_every_bad_rule_is_named_and_a_name_is_given_once() -> None:
    with pytest.raises(TerminalError, match=r"rule 2 \('a'\): .*another rule's too.*; rule 3 \('c'\): kind is 'x'"):
        parse_rules([GOOD, GOOD, {"name": "c", "kind": "x", "limit": 1}])


def test_an_alert_has_one_key_for_one_rule_and_event() -> None:
    row = {column.name: f"{column.name}-1" for column in MARKET_ALERTS.wire_columns}
    assert alert_id(row) == alert_id(row | {"price": "2", "other_price": "3", "received_time": 4, "connection_id": "d"})
    assert len({alert_id(row | {name: "other"}) for name in MARKET_ALERTS.grain} | {alert_id(row)}) == 7
