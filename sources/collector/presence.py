"""Which events are in Kafka already, in a bit each."""

_CHUNK_BITS = 1 << 16


class Presence:
    """A set of tape positions (connection, message number, message index).

    Message numbers run without holes, so a bitmap holds a hundred million of them in a dozen megabytes; chunks keep a
    stray large number from costing more than one of them.
    """

    def __init__(self) -> None:
        self._chunks: dict[tuple[str, int, int], bytearray] = {}
        self.count = 0

    def add(self, connection_id: str, message_number: int, message_index: int) -> None:
        """Remember a position."""
        chunk, bit = divmod(message_number, _CHUNK_BITS)
        key = (connection_id, message_index, chunk)
        bits = self._chunks.get(key)
        if bits is None:
            bits = self._chunks[key] = bytearray(_CHUNK_BITS // 8)
        mask = 1 << (bit & 7)
        if not bits[bit >> 3] & mask:
            bits[bit >> 3] |= mask
            self.count += 1

    def holds(self, connection_id: str, message_number: int, message_index: int) -> bool:
        """Return whether the position was added."""
        chunk, bit = divmod(message_number, _CHUNK_BITS)
        bits = self._chunks.get((connection_id, message_index, chunk))
        return bits is not None and bool(bits[bit >> 3] & (1 << (bit & 7)))
