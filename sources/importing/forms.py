"""Which form a table's times are written in: one for the whole file, so that each of its lines is read alike."""

import re
from collections.abc import Sequence
from pathlib import Path

from contracts.errors import TerminalError
from sources.fields import Fault
from sources.importing.layout import EPOCH, TEXT, TimeForm
from sources.importing.rows import BLANKS
from sources.importing.times import reader

# Forms that can stand beside each other in one column; of those that contradict (day or month first) one is chosen.
_FAMILIES: tuple[tuple[str, ...], ...] = (
    ("iso",),
    ("%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M:%S.%f", "%Y/%m/%d %H:%M"),
    ("%Y%m%d", "%Y%m%d %H:%M:%S", "%Y%m%d %H:%M:%S.%f", "%Y%m%d %H:%M", "%Y%m%d %H%M%S"),
    ("%m/%d/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p"),
    ("%d/%m/%Y", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M"),
    ("%m/%d/%y", "%m/%d/%y %H:%M"),
    ("%d.%m.%Y", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M"),
    ("%b %d %Y", "%b %d %Y %H:%M:%S", "%B %d %Y"),
    ("%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y"),
)
# A count since 1970 of a year between 1973 and 5138 is in the unit whose length it has; 8 digits are a date.
_COUNTED = re.compile(r"\d{9,10}(\.\d+)?|\d{12,13}(\.\d+)?|\d{15,16}|\d{18,19}", re.ASCII)


def form_of(path: Path, cells: Sequence[str], zone: str) -> TimeForm:
    """Return the form in which most of the cells can be read; TerminalError where none is."""
    told = [cell for cell in cells if cell.casefold() not in BLANKS]
    if told and 2 * sum(_COUNTED.fullmatch(cell) is not None for cell in told) >= len(told):
        return TimeForm(EPOCH)
    forms = [TimeForm(TEXT, "", zone, family) for family in _FAMILIES]
    counts = [sum(_read(form, cell) for cell in told) for form in forms]
    most = max(counts, default=0)
    if not most:
        shown = f"{told[0]!r}" if told else "nothing"
        raise TerminalError(f"{path}: its column of times holds {shown}, which is in no known form")
    return forms[counts.index(most)]


def _read(form: TimeForm, cell: str) -> bool:
    try:
        reader(form)(cell)
    except Fault:
        return False
    return True
