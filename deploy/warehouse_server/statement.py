"""Find out what a request's text is: a read, an insert followed by its data, or another statement.

Only the outline is looked at (first word, depth of brackets, FORMAT, VALUES); the engine parses the rest.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from deploy.warehouse_server.failures import QueryError

Kind = Literal["read", "insert", "other"]

_TOKEN = re.compile(
    rb"""(?P<space>\s+|--[^\n]*|\#[ !][^\n]*)
    |(?P<comment>/\*)
    |(?P<quoted>'(?:[^'\\]++|\\.|'')*+'|"(?:[^"\\]++|\\.|"")*+"|`(?:[^`\\]++|\\.|``)*+`|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<word>[A-Za-z_][A-Za-z0-9_$]*)
    |(?P<sign>[0-9.]+[A-Za-z0-9_.]*|.)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(rb"/\*|\*/")
_READS = {b"SELECT", b"WITH", b"FROM", b"("}
_ANSWERS = {b"SHOW", b"DESCRIBE", b"DESC", b"EXISTS", b"EXPLAIN", b"CHECK", b"KILL"}


@dataclass(frozen=True, slots=True)
class Statement:
    """Hold a statement's outline; offsets count bytes of the text that was given."""

    kind: Kind
    head: bytes
    """The statement without FORMAT clause, data and closing semicolon ("other": only without the semicolon)."""
    tail: bytes = b""
    """SETTINGS that stood behind FORMAT."""
    format: str | None = None
    data_start: int | None = None
    """Where an insert's data begins."""
    inputs: tuple[tuple[int, int], ...] = ()
    """Byte ranges of the word `input` in `INSERT ... SELECT ... FROM input(...)`."""
    answers: bool = False
    """True when a statement that is no read still returns rows."""
    keeps_state: bool = False
    """True for SET, USE and temporary tables: the session must remember it."""


@dataclass(frozen=True, slots=True)
class _Token:
    text: bytes
    start: int
    end: int
    depth: int
    word: bool


def _tokens(source: bytes) -> Iterator[_Token]:
    depth = position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        assert match is not None  # the last alternative takes any byte
        position = match.end()
        group = match.lastgroup
        if group == "space":
            continue
        if group == "comment":
            position = _end_of_comment(source, position)
            continue
        text = match[0]
        if text in (b")", b"]", b"}"):
            depth -= 1
        yield _Token(text.upper() if group == "word" else text, match.start(), position, depth, group == "word")
        if text in (b"(", b"[", b"{"):
            depth += 1


def _end_of_comment(source: bytes, position: int) -> int:
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(source, position)
        if edge is None:
            # Cut off with what follows the statement, it would not be seen by the engine, which refuses it.
            raise QueryError(62, "SYNTAX_ERROR", "Syntax error: Multiline comment is not closed")
        depth += 1 if edge[0] == b"/*" else -1
        position = edge.end()
    return position


def outline(source: bytes) -> Statement:
    """Outline one statement, or refuse what a server never runs: several at once, files on its own disk."""
    stream = _tokens(source)
    first = next(stream, None)
    if first is None or first.text == b";":
        raise QueryError(62, "SYNTAX_ERROR", "Syntax error: Empty query; send one statement")
    if first.text == b"INSERT":
        return _outline_insert(source, first, stream)
    return _outline_query(source, first, [first, *stream])


def is_closed(source: bytes) -> bool:
    """Tell whether every bracket of a part of a statement is closed in it, and none that was not opened in it."""
    depth = 0
    for token in _tokens(source):
        depth += {b"(": 1, b"[": 1, b"{": 1, b")": -1, b"]": -1, b"}": -1}.get(token.text, 0)
        if depth < 0:
            return False
    return depth == 0


def _outline_query(source: bytes, first: _Token, tokens: list[_Token]) -> Statement:
    tokens = _without_semicolon(tokens)
    end = tokens[-1].end
    top = [token for token in tokens if token.depth == 0]
    words = {token.text for token in top if token.word}
    for token, following in itertools.pairwise(top):
        if token.text == b"INTO" and following.text == b"OUTFILE":
            _refuse_file("INTO OUTFILE")
    if b"INFILE" in words:
        _refuse_file("FROM INFILE")
    head_end, tail, format_name = end, b"", None
    for index in range(len(top) - 2, 0, -1):
        after = top[index + 2 :]
        named = top[index].text == b"FORMAT" and top[index].word and top[index + 1].word
        if named and (not after or after[0].text == b"SETTINGS"):
            format_name = source[top[index + 1].start : top[index + 1].end].decode()
            head_end, tail = top[index].start, source[top[index + 1].end : end] if after else b""
            break
    if first.text in _READS and b"INSERT" not in words:
        return Statement("read", source[:head_end], tail, format_name)
    second = tokens[1].text if len(tokens) > 1 else b""
    temporary = first.text in (b"CREATE", b"DROP") and b"TEMPORARY" in {token.text for token in tokens[:5]}
    return Statement(
        "other",
        source[:end],
        format=format_name,
        answers=first.text in _ANSWERS,
        keeps_state=temporary or first.text == b"USE" or (first.text == b"SET" and second != b"ROLE"),
    )


def _without_semicolon(tokens: list[_Token]) -> list[_Token]:
    for index, token in enumerate(tokens):
        if token.text == b";" and token.depth == 0:
            if any(later.text != b";" for later in tokens[index + 1 :]):
                raise QueryError(
                    62,
                    "SYNTAX_ERROR",
                    "Syntax error (Multi-statements are not allowed): send one statement a request",
                )
            return tokens[:index]
    return tokens


def _outline_insert(source: bytes, first: _Token, stream: Iterator[_Token]) -> Statement:
    before, selects, inputs = first, False, []
    seen = [first]
    for token in stream:
        previous, before = before, token
        seen.append(token)
        if token.text == b"(" and previous.text == b"INPUT" and selects:
            inputs.append((previous.start, previous.end))
        # A table or a column may be called like a keyword: then a dot, INTO or TABLE stands before it.
        if token.depth or not token.word or previous.text in (b".", b"INTO", b"TABLE"):
            continue
        if token.text == b"INFILE":
            _refuse_file("FROM INFILE")
        elif token.text in (b"SELECT", b"WITH"):
            selects = True
        elif token.text == b"VALUES" and not selects:
            return Statement("insert", source[: token.start], format="Values", data_start=token.end)
        elif token.text == b"FORMAT" and (not selects or inputs):
            name = next(stream, None)
            if name is not None and name.word:
                return _insert_with_format(source, token, name, tuple(inputs))
    tokens = _without_semicolon(seen)
    return Statement("other", source[: tokens[-1].end])


def _insert_with_format(source: bytes, clause: _Token, name: _Token, inputs: tuple[tuple[int, int], ...]) -> Statement:
    end = name.end
    settings = re.compile(rb"\s+SETTINGS\s+\w+\s*=", re.IGNORECASE).match(source, end)
    head = source[: clause.start]
    if settings:
        end = _end_of_settings(source, end)
        head += source[name.end : end]
    # ClickHouse: the data begins behind the first newline if only blanks precede it, else at the first other byte.
    blanks = re.compile(rb"[ \t\f]*\r?\n?").match(source, end)
    start = blanks.end() if blanks else end
    if source[start : start + 1] == b";":
        start = len(source) if not source[start + 1 :].strip() else start + 1
    return Statement("insert", head, format=source[name.start : name.end].decode(), data_start=start, inputs=inputs)


def _end_of_settings(source: bytes, position: int) -> int:
    pair = re.compile(rb"(?:\s+SETTINGS|\s*,)\s*\w+\s*=\s*(?:'(?:[^'\\]|\\.)*'|[\w.+-]+)", re.IGNORECASE)
    while match := pair.match(source, position):
        position = match.end()
    return position


def settings_start(head: bytes) -> int:
    """Return where an insert's SETTINGS begin, its end when it has none."""
    before = b""
    for token in _tokens(head):
        if token.word and not token.depth and token.text == b"SETTINGS" and before not in (b".", b"INTO", b"TABLE"):
            return token.start
        before = token.text
    return len(head)


def _refuse_file(clause: str) -> None:
    raise QueryError(
        358 if clause == "INTO OUTFILE" else 48,
        "INTO_OUTFILE_NOT_ALLOWED" if clause == "INTO OUTFILE" else "NOT_IMPLEMENTED",
        f"{clause} names a file of the server's machine and is refused over HTTP; "
        "send or receive the data in the request instead",
    )
