"""Times of a file's lines in microseconds since 1970, exactly as the file's form says."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from zoneinfo import ZoneInfo

from sources.fields import Fault, shown, within_years
from sources.importing.layout import DAY_MS, EPOCH, TimeForm

ReadTime = Callable[[str], int]

_SECOND, _DAY = 1_000_000, 86_400_000_000
_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)
# Milliseconds since midnight: of a day, of ten where a clock is far off.
_MOST_MS = 10 * 86_400_000


@lru_cache(maxsize=256)
def reader(form: TimeForm) -> ReadTime:
    """Return what reads a time cell; it raises Fault where the cell is in none of the forms."""
    if form.how == DAY_MS:
        return _of_day(date.fromisoformat(form.day), ZoneInfo(form.zone))
    if form.how == EPOCH:
        return _counted
    return _written(form.forms, ZoneInfo(form.zone))


def micros(moment: datetime) -> int:
    """Return a moment with a zone in microseconds, exactly."""
    since = moment - _EPOCH_START
    return (since.days * 86_400 + since.seconds) * _SECOND + since.microseconds


def _of_day(day: date, zone: ZoneInfo) -> ReadTime:
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - the zone comes with the hour
    start = micros(midnight.replace(tzinfo=zone))
    plain = micros((midnight + timedelta(days=1)).replace(tzinfo=zone)) - start == _DAY

    def read(cell: str) -> int:
        try:
            told = Decimal(cell)
            found = int((told * 1000).to_integral_value()) if -_MOST_MS <= told <= _MOST_MS else None
        except InvalidOperation:
            found = None
        if found is None:
            raise Fault("wrong_type", f"time is {shown(cell)}, wanted milliseconds since midnight")
        if plain and 0 <= found < _DAY:
            return start + found
        return _local(midnight + timedelta(microseconds=found), zone, cell)

    return read


def _counted(cell: str) -> int:
    whole, _, fraction = cell.partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit() and 9 <= len(whole) <= 19):
        raise Fault("wrong_type", f"time is {shown(cell)}, wanted a count since 1970 in s, ms, us or ns")
    count = int(whole)
    if count < 10**11:
        return count * _SECOND + int(fraction[:6].ljust(6, "0"))
    if count < 10**14:
        return count * 1000 + int(fraction[:3].ljust(3, "0"))
    return within_years(count if count < 10**17 else count // 1000, "time", cell)


def _written(forms: tuple[str, ...], zone: ZoneInfo) -> ReadTime:
    @lru_cache(maxsize=1 << 14)
    def read(cell: str) -> int:
        text = f"{cell[:-1]}+00:00" if cell.endswith("Z") else cell
        text = f"{text[:-4]}+00:00" if text.endswith(" UTC") else text
        for form in forms:
            if (found := _of_form(text, form)) is not None:
                moment = found
                break
        else:
            raise Fault("wrong_type", f"time is {shown(cell)}, wanted {' or '.join(forms)}")
        if moment.tzinfo is not None:
            return micros(moment)
        return _local(moment, zone, cell)

    return read


def _of_form(text: str, form: str) -> datetime | None:
    if form == "iso":
        try:
            return datetime.fromisoformat(text) if len(text) >= 10 and not text.isdigit() else None
        except ValueError:
            return None
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 - the zone is the file's
    except ValueError:
        return None


def _local(moment: datetime, zone: ZoneInfo, cell: str) -> int:
    """Return a clock's time in its zone; of an hour that comes twice the first, of one that never comes a Fault."""
    placed = moment.replace(tzinfo=zone)
    if placed.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
        raise Fault("wrong_type", f"time {shown(cell)} falls into the hour that summer time leaves out")
    return micros(placed)
