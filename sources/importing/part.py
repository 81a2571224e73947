"""One part of an import: the lines of one content, how they are read, and what can be told of them before."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from contracts.imports import CONNECTION_PREFIX
from sources.importing.layout import Layout, Piece

# These carry no identity of their own: told by another content, a row is another row.
PLACED_KINDS = ("trades", "quotes")


@dataclass(frozen=True)
class Part:
    """A content to import. `lines` counts those that may be rows; times are microseconds, 0 where nothing tells them.

    `open` gives all lines of the content anew; the first `skip` of them are no rows. `unread` counts the lines of the
    sample that give no row, with the first reasons.
    """

    file: str
    sha256: str
    layout: Layout
    lines: int
    open: Callable[[], Iterator[bytes]] = field(repr=False)
    skip: int = 0
    member: str = ""
    first_time: int = 0
    last_time: int = 0
    sampled: int = 0
    unread: int = 0
    reasons: tuple[str, ...] = ()

    @property
    def connection_id(self) -> str:
        """Return under which name its pieces stand on the tape: the content's, and how it is read."""
        told = self.layout
        of = told.names[0][2] if len(told.names) == 1 else "many"
        return f"{CONNECTION_PREFIX}{told.content}-{told.fingerprint}-{told.venue}-{of}-{told.space}"[:128]

    @property
    def instruments(self) -> tuple[str, ...]:
        """Return the instruments that it can hold; none where a column tells them."""
        return tuple(sorted({name for _, _, name in self.layout.names}))

    @property
    def placed(self) -> bool:
        """Return whether its rows are known by their place in the content alone."""
        return self.layout.kind in PLACED_KINDS and "trade_id" not in self.layout.columns

    def piece(self, first_line: int) -> Piece:
        """Return what the tape keeps beside the lines from there on."""
        return Piece(self.layout, first_line, self.file, self.sha256, self.member)
