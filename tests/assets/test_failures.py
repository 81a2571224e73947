"""Retryable errors are tried again, terminal ones are not."""

import dagster as dg
import pytest

from assets.failures import failing_by_type
from contracts.errors import RetryableError, TapehouseError, TerminalError


def run(error: Exception, times: int) -> tuple[bool, int, list[dg.DagsterEvent]]:
    calls = 0

    @dg.op
    def work() -> None:
        nonlocal calls
        calls += 1
        with failing_by_type(retry_after_s=0):
            if calls <= times:
                raise error

    @dg.job
    def job() -> None:
        work()

    result = job.execute_in_process(raise_on_error=False)
    return result.success, calls, list(result.all_events)


def test_a_retryable_error_is_tried_again_until_it_passes() -> None:
    success, calls, _ = run(RetryableError("away"), times=2)
    assert (success, calls) == (True, 3)


def test_a_retryable_error_is_given_up_after_three_retries() -> None:
    success, calls, _ = run(RetryableError("away"), times=99)
    assert (success, calls) == (False, 4)


def test_a_terminal_error_fails_at_once_and_says_what_to_do() -> None:
    success, calls, events = run(TerminalError("no table market_bars"), times=99)
    assert (success, calls) == (False, 1)
    failed = next(e for e in events if e.event_type is dg.DagsterEventType.STEP_FAILURE)
    failure = failed.step_failure_data.user_failure_data
    assert failure is not None
    assert failure.description == "no table market_bars"
    assert set(failure.metadata) == {"what failed", "what to do"}


def test_errors_of_other_kinds_pass_unchanged() -> None:
    with pytest.raises(ZeroDivisionError), failing_by_type():
        raise ZeroDivisionError
    assert not issubclass(ZeroDivisionError, TapehouseError)
