"""Kraken's checksum of a book, which every update carries."""

import zlib

from sources.endpoints import Levels

_LEVELS = 10


def checksum(asks: Levels, bids: Levels) -> int:
    """Return the CRC32 of the ten best asks and then the ten best bids, both best first, as Kraken computes it.

    It covers each price and quantity as its digits were sent, without the point and without leading zeros; zeros at
    the end count.
    """
    numbers = [number for side in (asks[:_LEVELS], bids[:_LEVELS]) for level in side for number in level]
    written = " ".join(map(str, numbers))
    if "E" in written:  # a Decimal below 0.000001 shows itself with an exponent
        written = " ".join([format(number, "f") for number in numbers])
    return zlib.crc32("".join([digits.lstrip("0") for digits in written.replace(".", "").split(" ")]).encode())
