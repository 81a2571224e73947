"""The one error root: an error is retryable or terminal by its type."""


class TapehouseError(Exception):
    """Say what failed, with which value, what is valid, and what to do next."""


class RetryableError(TapehouseError):
    """Trying again later can succeed: a service is away, a limit was hit."""


class TerminalError(TapehouseError):
    """Trying again cannot succeed until a person or another setting changes something."""
