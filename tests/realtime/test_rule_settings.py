"""Rules as people write them: in a settings file, exact, a bad one named at start; and the process can be left out."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from contracts.alert_rules import AlertRule
from contracts.dataset import Framing
from contracts.errors import TerminalError
from contracts.quotes import QUOTES
from deploy.stack.catalog import chosen, names, stop_order
from orchestration.configuration import read_settings
from orchestration.settings import Settings
from orchestration.values import environment_of, stack_settings
from quality.receivers import text_senders
from spark import alert_stream

FILE = """
market_alert_urls = ["json://127.0.0.1:1/x"]

[[alert_rules]]
name = "btc"
kind = "price_move"
limit = 0.1
instrument = "btc*"

[[alert_rules]]
name = "crossed"
kind = "crossed"
venue = "Kraken"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "some.toml"
    monkeypatch.setenv("TAPEHOUSE_CONFIG", str(path))
    return path


def test_rules_of_the_file_replace_the_default_ones_digit_for_digit_in_every_process(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(FILE)
    expected = (
        AlertRule("btc", "price_move", Decimal("0.1"), "*", "BTC*"),
        AlertRule("crossed", "crossed", Decimal(0), "kraken", "*"),
    )
    settings = read_settings()
    assert settings.alerts.rules == expected
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    assert read_settings().alerts.rules == expected


def test_a_bad_rule_is_named_at_start(file: Path) -> None:
    file.write_text(FILE.replace('"crossed"\nvenue', '"crosed"\nvenue').replace("limit = 0.1", 'limit = "none"'))
    with pytest.raises(TerminalError) as error:
        read_settings()
    told = str(error.value)
    assert f"alert_rules in {file}" in told
    assert "rule 1 ('btc'): limit is 'none'; valid: percent above 0" in told
    assert "rule 2 ('crossed'): kind is 'crosed'; valid: price_move, venue_jump, spread, crossed" in told


def test_the_real_time_process_can_be_left_out() -> None:
    with_it, without = (stack_settings(Settings(alert_stream=on)) for on in (True, False))
    assert set(names(with_it)) - set(names(without)) == {"alert-stream"}
    assert "alert-stream" in stop_order(with_it)[1] and "alert-stream" not in stop_order(without)[1]
    assert type(without).from_json(without.as_json("")).alert_stream is False
    with pytest.raises(TerminalError, match="no such service: alert-stream"):
        chosen(without, {"alert-stream"})


def test_an_address_that_nobody_knows_is_named_without_giving_it_away() -> None:
    with pytest.raises(TerminalError, match=r"market_alert_urls\[1\] \(nonsense-\w{8}\).*TAPEHOUSE_MARKET_ALERT_URLS"):
        text_senders(("json://127.0.0.1:1", "nonsense://secret"), "market_alert_urls")


def test_topics_of_many_events_a_record_are_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert QUOTES.topic is not None
    batched = replace(QUOTES, topic=replace(QUOTES.topic, framing=Framing.BATCH))
    monkeypatch.setattr(alert_stream, "SOURCES", (batched,))
    with pytest.raises(TerminalError, match=r"market\.quotes.*carry many events a record"):
        alert_stream.check_rules(Settings().alerts)
