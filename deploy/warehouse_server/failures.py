"""Turn whatever goes wrong with a request into ClickHouse's code, message and HTTP status."""

from __future__ import annotations

import errno
import re

from contracts.errors import TapehouseError

_PREFIX = re.compile(r"^(?:Code: (\d+)\. DB::Exception: )+")
_SUFFIX = re.compile(r"(?:\.?\s*\(version [^()]*(?:\([^()]*\))?\)\.?|\s*\(([A-Z][A-Z0-9_]+)\))+\s*$")
_MARK = re.compile(r"\n?/\* tapehouse [0-9a-f]{32} \*/")
_NAMELESS = {62: "SYNTAX_ERROR"}
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)")

# ClickHouse picks the HTTP status by the kind of mistake; clients decide by it whether to retry.
_BAD_REQUEST = frozenset(
    {
        "SYNTAX_ERROR",
        "TYPE_MISMATCH",
        "INCORRECT_DATA",
        "BAD_ARGUMENTS",
        "BAD_QUERY_PARAMETER",
        "UNKNOWN_QUERY_PARAMETER",
        "CANNOT_PARSE_TEXT",
        "CANNOT_PARSE_ESCAPE_SEQUENCE",
        "CANNOT_PARSE_QUOTED_STRING",
        "CANNOT_PARSE_DATE",
        "CANNOT_PARSE_DATETIME",
        "CANNOT_PARSE_NUMBER",
        "CANNOT_PARSE_UUID",
        "CANNOT_PARSE_BOOL",
        "CANNOT_PARSE_IPV4",
        "CANNOT_PARSE_IPV6",
        "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
        "CANNOT_READ_ALL_DATA",
        "ATTEMPT_TO_READ_AFTER_EOF",
        "CANNOT_DECOMPRESS",
        "ILLEGAL_TYPE_OF_ARGUMENT",
        "ILLEGAL_TYPE_OF_COLUMN_FOR_FILTER",
        "ILLEGAL_COLUMN",
        "NUMBER_OF_ARGUMENTS_DOESNT_MATCH",
        "NUMBER_OF_COLUMNS_DOESNT_MATCH",
        "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
        "ARGUMENT_OUT_OF_BOUND",
        "DECIMAL_OVERFLOW",
        "NO_COMMON_TYPE",
        "CANNOT_CONVERT_TYPE",
        "INCORRECT_QUERY",
        "TOO_DEEP_AST",
        "TOO_BIG_AST",
        "UNEXPECTED_AST_STRUCTURE",
        "UNKNOWN_ELEMENT_IN_AST",
        "UNKNOWN_TYPE_OF_AST_NODE",
        "NO_DATA_TO_INSERT",
        "INTO_OUTFILE_NOT_ALLOWED",
        "READONLY",
        "NOT_AN_AGGREGATE",
        "DUPLICATE_COLUMN",
    }
)
_NOT_FOUND = frozenset(
    {
        "UNKNOWN_TABLE",
        "UNKNOWN_DATABASE",
        "UNKNOWN_FUNCTION",
        "UNKNOWN_IDENTIFIER",
        "UNKNOWN_TYPE",
        "UNKNOWN_STORAGE",
        "UNKNOWN_SETTING",
        "UNKNOWN_FORMAT",
        "UNKNOWN_AGGREGATE_FUNCTION",
        "UNKNOWN_DATABASE_ENGINE",
        "UNKNOWN_TYPE_OF_QUERY",
        "UNKNOWN_ROLE",
        "NO_SUCH_COLUMN_IN_TABLE",
        "SESSION_NOT_FOUND",
    }
)
_STATUS = {
    "REQUIRED_PASSWORD": 401,
    "AUTHENTICATION_FAILED": 403,
    "WRONG_PASSWORD": 403,
    "UNKNOWN_USER": 403,
    "ACCESS_DENIED": 403,
    "TIMEOUT_EXCEEDED": 408,
    "QUERY_IS_TOO_LARGE": 413,
    "TOO_LARGE_STRING_SIZE": 413,
    "NOT_IMPLEMENTED": 501,
    "TOO_MANY_SIMULTANEOUS_QUERIES": 503,
    "CANNOT_SCHEDULE_TASK": 503,
}


class QueryError(TapehouseError):
    """Carry one failed request: ClickHouse's numeric code, symbolic name and the HTTP status for them."""

    def __init__(self, code: int, name: str, text: str) -> None:
        self.code = code
        self.name = name
        self.text = text
        super().__init__(f"Code: {code}. DB::Exception: {text} ({name})")

    @property
    def status(self) -> int:
        """Give the HTTP status ClickHouse answers for this kind of error."""
        if self.name in _BAD_REQUEST:
            return 400
        if self.name in _NOT_FOUND:
            return 404
        return _STATUS.get(self.name, 500)


def from_engine(error: BaseException) -> QueryError:
    """Read code and name out of what chDB raised; it nests the same prefix and suffix several times."""
    if isinstance(error, QueryError):
        return error
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return QueryError(243, "NOT_ENOUGH_SPACE", f"no room left on the disk: {error}")
    # The engine shows a piece of what it could not read, cut off anywhere; its library then stumbles over the message.
    told = error.object.decode(errors="replace") if isinstance(error, UnicodeDecodeError) else str(error)
    message = _MARK.sub("", told).strip()
    start = message.find("Code: ")
    if start > 0 and _PREFIX.match(message[start:]):
        message = message[start:]
    prefix = _PREFIX.match(message)
    if prefix is None:
        if "already active" in message or "send_insert does not support" in message:
            return QueryError(48, "NOT_IMPLEMENTED", message)
        return QueryError(1002, "UNKNOWN_EXCEPTION", message or type(error).__name__)
    suffix = _SUFFIX.search(message)
    names = _NAME.findall(message[suffix.start() :]) if suffix else []
    end = suffix.start() if suffix and names else len(message)
    text = message[prefix.end() : end].rstrip()
    # A message ends at the first zero byte of the statement that it shows, before the name.
    name = names[-1] if names else _NAMELESS.get(int(prefix[1]), "UNKNOWN_EXCEPTION")
    return QueryError(int(prefix[1]), name, text)
