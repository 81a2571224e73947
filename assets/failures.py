"""What Dagster does about our errors: a retryable one is tried again, a terminal one ends the run and says why."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from contracts.errors import RetryableError, TapehouseError

RETRIES = 3
RETRY_AFTER_S = 10.0


@contextmanager
def failing_by_type(*, retries: int = RETRIES, retry_after_s: float = RETRY_AFTER_S) -> Iterator[None]:
    """Turn TapehouseErrors into Dagster's: RetryableError asks for a retry, any other fails without one."""
    try:
        yield
    except RetryableError as error:
        raise dg.RetryRequested(max_retries=retries, seconds_to_wait=retry_after_s) from error
    except TapehouseError as error:
        raise dg.Failure(
            description=str(error),
            metadata={
                "what failed": str(error),
                "what to do": "Trying again will not help by itself: change what the message names, then run this "
                "partition again. tapehouse status shows the processes and their logs.",
            },
            allow_retries=False,
        ) from error
