"""Counts the websocket frames that a client sends, by reading their headers only.

Messages are judged one by one further up; pings, pongs, and fragments of which no message ever comes are seen here
alone, and each costs the server about as much as a message.
"""

from server.edge.budgets import Budget

_MASKED = 0x80
_MASK_BYTES = 4


class FrameMeter:
    """Follows one direction of a connection from the first byte after the handshake."""

    __slots__ = ("_budget", "_header", "_payload_left")

    def __init__(self, per_second: float, burst: float) -> None:
        self._budget = Budget(per_second, burst)
        self._header = b""
        self._payload_left = 0

    def wait_s(self, data: bytes) -> float:
        """Count the frames that begin in ``data``; the seconds until the client may send more."""
        return self._budget.charge(self.count(data))

    def count(self, data: bytes) -> int:
        """How many frames' headers end in ``data``. What is no frame is counted somehow: the parser ends it."""
        frames, position = 0, 0
        if self._header:
            data, self._header = self._header + data, b""
        while True:
            skipped = min(self._payload_left, len(data) - position)
            position += skipped
            self._payload_left -= skipped
            if position == len(data):
                return frames
            header_bytes = _header_bytes(data, position)
            if header_bytes is None or position + header_bytes > len(data):
                self._header = data[position:]
                return frames
            self._payload_left = _payload_bytes(data, position)
            position += header_bytes
            frames += 1


def _header_bytes(data: bytes, at: int) -> int | None:
    if at + 2 > len(data):
        return None
    length = data[at + 1] & 0x7F
    extended = {126: 2, 127: 8}.get(length, 0)
    return 2 + extended + (_MASK_BYTES if data[at + 1] & _MASKED else 0)


def _payload_bytes(data: bytes, at: int) -> int:
    length = data[at + 1] & 0x7F
    if length == 126:
        return int.from_bytes(data[at + 2 : at + 4], "big")
    if length == 127:
        return int.from_bytes(data[at + 2 : at + 10], "big")
    return length
