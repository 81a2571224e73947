"""Numbers as venues write them, kept exact."""

import decimal
import re

from contracts.dataset import Decimal as DecimalType

# The usual form, at most 12 digits on either side, needs no further look.
_USUAL = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,12})?", re.ASCII)
_NUMBER = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,4}))?", re.ASCII)
_LONGEST = 4096


class NotANumberError(ValueError):
    """The text writes no decimal number."""


class TooManyDigitsError(ValueError):
    """The number is one, but has more digits than asked for."""


def exact(text: str, wanted: DecimalType) -> decimal.Decimal:
    """Return the number that the text writes, exactly, within the digits of `wanted`.

    Zeros that change nothing (leading, trailing after the point) don't count as digits. Exponents are read; NaN,
    infinities, blanks, underscores and other scripts' digits are not numbers. Raises NotANumberError or
    TooManyDigitsError; never rounds.
    """
    whole_limit = wanted.precision - wanted.scale
    if whole_limit >= 12 and wanted.scale >= 12 and _USUAL.fullmatch(text):
        return decimal.Decimal(text)
    match = _NUMBER.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise NotANumberError(text[:64])
    sign, whole, fraction, exponent = match.group(1), match.group(2), match.group(3) or "", match.group(4) or "0"
    # digits * 10 ** power, without the zeros that change nothing
    digits = (whole + fraction).lstrip("0")
    power = int(exponent) - len(fraction)
    shorter = digits.rstrip("0")
    if not shorter:
        return decimal.Decimal(0)
    power += len(digits) - len(shorter)
    if -power > wanted.scale or len(shorter) + power > whole_limit:
        raise TooManyDigitsError(text[:64])
    return decimal.Decimal((int(sign == "-"), tuple(map(int, shorter)), 0)).scaleb(power)
