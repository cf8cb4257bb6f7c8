"""Follows the websocket frames that a client sends, by reading their headers only.

Messages are judged one by one further up; pings, pongs, and fragments of which no message ever comes are seen here
alone, and each costs the server about as much as a message.
"""

from typing import Final

from server.edge.wire.budgets import Budget

_FINAL: Final = 0x80
_OPCODE: Final = 0x0F
_CONTROL: Final = 0x08
_CLOSE: Final = 0x08
_CONTINUATION: Final = 0x00
_WHOLE_PING: Final = 0x89
_WHOLE_PONG: Final = 0x8A
_MASKED: Final = 0x80
_MASK_BYTES: Final = 4
_LONG: Final = 126
"""In the place of a length that has two bytes of its own; above, it has eight."""

FRAGMENTS_MAX: Final = 64
"""Frames of one message. A message has 4 KiB at most; one that comes in more pieces is there to cost something."""


class FrameMeter:
    """Follows one direction of a connection from the first byte after the handshake.

    It has three budgets: of frames (``per_second``, ``burst``), of the pings and pongs among them, which cost the most
    and which no page needs more than now and then, and of bytes.
    """

    __slots__ = (
        "_budget",
        "_bytes",
        "_control_budget",
        "_controls",
        "_ends_message",
        "_fragments",
        "_header",
        "_payload_left",
        "abuse",
        "messages",
    )

    def __init__(
        self, per_second: float, burst: float, *, control: Budget | None = None, received: Budget | None = None
    ) -> None:
        self._budget = Budget(per_second, burst)
        self._control_budget = control or self._budget
        self._bytes = received
        self._controls = 0
        """Pings and pongs that were counted but not charged yet."""
        self._fragments = 0
        """Frames of the message that is under way."""
        self._header = b""
        self._payload_left = 0
        self._ends_message = False
        """The frame that came last is the last one of a message."""
        self.messages = 0
        """How many messages have come, or will when their last frame is complete; pings and the like are none."""
        self.abuse: str | None = None
        """What ends the socket: ``control`` (a ping or pong before the first message) or ``fragments`` (a message of
        more than ``FRAGMENTS_MAX`` frames)."""

    @property
    def whole_messages(self) -> int:
        """How many messages have come to their last byte."""
        return self.messages - (self._ends_message and self._payload_left > 0)

    def charge_s(self, data: bytes) -> float:
        """Count the frames that begin in ``data``; the seconds until the client may send more."""
        wait_s = self._budget.charge(self.count(data))
        controls, self._controls = self._controls, 0
        if controls:
            wait_s = max(wait_s, self._control_budget.charge(controls))
        return wait_s if self._bytes is None else max(wait_s, self._bytes.charge(len(data)))

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
            self._note_kind(data[position])
            position += header_bytes
            frames += 1

    def _note_kind(self, first: int) -> None:
        self._ends_message = not first & _CONTROL and bool(first & _FINAL)
        if first & _OPCODE == _CLOSE:
            return
        if first & _CONTROL:
            self._controls += 1
            # What is no right ping or pong is the library's to judge.
            if not self.messages and first in (_WHOLE_PING, _WHOLE_PONG) and self._payload_left < _LONG:
                self.abuse = self.abuse or "control"
        else:
            self._fragments = self._fragments + 1 if first & _OPCODE == _CONTINUATION else 1
            if self._fragments > FRAGMENTS_MAX:
                self.abuse = self.abuse or "fragments"
            self.messages += bool(first & _FINAL)


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
