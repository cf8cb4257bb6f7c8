"""A player's connection, as trio-websocket reads and writes it.

Frames are written here whole and one after the other. Ticks are offered: a ready-made frame goes to the kernel at once
or is skipped, and what the kernel left over of one goes out before anything else, so no two frames are ever mixed.
"""

import contextlib
import struct
from collections.abc import Callable

import trio

from actors.kit.clock import ServerClock
from server.edge.player.frame_meter import FrameMeter
from server.edge.player.outlet import Outlet
from server.edge.wire.transport import Transport

_TEXT = b"\x81"
_CLOSE_OPCODE = 0x88
CLOSE_POLICY = 1008
CLOSE_INTERNAL_ERROR = 1011


PING_FRAME = b"\x89\x00"
"""Without a payload: a client that forgets to send one back is alive all the same."""


def text_frame(text: bytes) -> bytes:
    """A whole, unmasked websocket frame with this text (UTF-8), as servers send it."""
    length = len(text)
    if length < 126:
        return _TEXT + bytes((length,)) + text
    if length < 65_536:
        return _TEXT + struct.pack("!BH", 126, length) + text
    return _TEXT + struct.pack("!BQ", 127, length) + text


def _unknown_failure() -> int:
    return CLOSE_INTERNAL_ERROR


class PlayerStream(trio.abc.Stream):
    """``below`` is the transport itself or TLS over it; ``head`` and ``early`` were read of it already: the request's
    head and what came after it."""

    __slots__ = (
        "_below",
        "_clock",
        "_early",
        "_early_wait_s",
        "_failure_code",
        "_handshake_is_over",
        "_head",
        "_is_held",
        "_is_open",
        "_messages_noted",
        "_meter",
        "_receipts_ms",
        "_transport",
        "_writing",
        "heard_at",
        "offers_at_once",
        "outlet",
    )

    def __init__(
        self,
        transport: Transport,
        below: trio.abc.Stream,
        *,
        head: bytes,
        early: bytes,
        clock: ServerClock,
        meter: FrameMeter,
    ) -> None:
        self._transport = transport
        self._below = below
        self._head = head
        self._early = early
        self._clock = clock
        self._meter = meter
        self._writing = trio.StrictFIFOLock()
        self.outlet = Outlet()
        """For frames and ticks that are written at once or not at all."""
        self._handshake_is_over: trio.Event | None = trio.Event()
        self._is_open = False
        self._is_held = False
        self._failure_code: Callable[[], int] = _unknown_failure
        self._messages_noted = 0
        self._receipts_ms: list[int] = []
        """When the messages came that were not taken from the library yet, in order. Bounded by what it reads ahead."""
        self._early_wait_s = meter.charge_s(early)
        self._note_receipts(clock.steady_ms())
        self.offers_at_once = below is transport
        """Whether the outlet can do anything: a TLS record can't be made without waiting for the one before."""
        self.heard_at = trio.current_time()
        """When the last bytes came, by trio's clock."""

    def open(self, failure_code: Callable[[], int]) -> None:
        """The handshake is over: from now on there are frames only.

        ``failure_code`` tells what was wrong with them when the library closes the stream without a close frame.
        """
        self._is_open = True
        self._failure_code = failure_code
        self._see_if_free()
        if self._handshake_is_over is not None:
            self._handshake_is_over.set()
            self._handshake_is_over = None

    def take_receipt_ms(self) -> int:
        """A message was taken from the library: when its last byte was received, in ms of the steady clock."""
        return self._receipts_ms.pop(0)

    def _note_receipts(self, now_ms: int) -> None:
        """Of messages that have come to their last byte."""
        self._receipts_ms += [now_ms] * (self._meter.whole_messages - self._messages_noted)
        self._messages_noted = self._meter.whole_messages

    def when_closed(self, callback: Callable[[], object]) -> None:
        self._transport.when_closed(callback)

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be written any more."""
        return self._transport.is_closed

    @property
    def abuse(self) -> str | None:
        """Why no more is read from this client: see ``FrameMeter.abuse``."""
        return self._meter.abuse

    @property
    def has_room(self) -> bool:
        """Whether the kernel takes more at once."""
        return self._transport.has_room

    @property
    def has_rest(self) -> bool:
        """Whether a part of a tick waits to go out before anything else."""
        return bool(self.outlet.rest)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The head, then frames. A client that sends more of them than it may is read more slowly; of one that sends
        what nobody may, nothing more is read: the library closes the stream."""
        if self._head:
            head, self._head = self._head, b""
            await trio.lowlevel.checkpoint()
            return head
        # The library forgets frames that come before it has accepted, so it does not get them before.
        if self._handshake_is_over is not None:
            await self._handshake_is_over.wait()
        if self._early:
            early, self._early = self._early, b""
            await trio.sleep(self._early_wait_s)
            return early if self._meter.abuse is None else b""
        data = bytes(await self._below.receive_some(max_bytes))
        received_at_ms = self._clock.steady_ms()
        self.heard_at = trio.current_time()
        wait_s = self._meter.charge_s(data)
        if self._meter.abuse is not None:
            return b""
        if wait_s:
            await trio.sleep(wait_s)
        self._note_receipts(received_at_ms)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write whole frames, after what is left of a tick."""

        def frames() -> bytes:
            if data and data[0] == _CLOSE_OPCODE:
                self._is_open = False
            return bytes(data)

        await self._write(frames)

    async def send_frames(self, frames: bytes) -> None:
        """The same, unless a close frame has gone out: then raises ``trio.ClosedResourceError``."""

        def unless_closed() -> bytes:
            if not self._is_open:
                raise trio.ClosedResourceError("the close frame has gone out")
            return frames

        await self._write(unless_closed)

    async def _write(self, frames: Callable[[], bytes]) -> None:
        """Write what is left of a tick, then these ``frames``, chosen when nobody else writes."""
        self.outlet.let(None)
        try:
            async with self._writing:
                chosen = frames()
                rest, self.outlet.rest = self.outlet.rest, b""
                if rest or chosen:
                    await self._below.send_all(rest + chosen if rest else chosen)
        finally:
            self._see_if_free()

    def hold(self) -> None:
        """Take no offers until ``release``: something else must go out before."""
        self._is_held = True
        self.outlet.let(None)

    def release(self) -> None:
        self._is_held = False
        self._see_if_free()

    def _see_if_free(self) -> None:
        """Whether a frame may go out at once: told here, so that each tick has one thing to look at instead of five."""
        may_offer = self._is_open and self.offers_at_once and not self._is_held and not self._transport.is_closed
        is_free = may_offer and not self.outlet.rest and not self._writing.locked()
        self.outlet.let(self._transport.send_now if is_free else None)

    async def wait_send_all_might_not_block(self) -> None:
        await self._below.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close; a client that was sent no close frame gets one."""
        with trio.CancelScope(shield=True):  # the transport's own deadlines hold
            await self._close_frame()
            await self._below.aclose()

    async def linger(self, timeout_s: float) -> None:
        """The same, but close when the other side has left, or after ``timeout_s``."""
        with trio.move_on_after(timeout_s):
            await self._close_frame()
        await self._transport.linger(timeout_s)
        self._failure_code = _unknown_failure  # What it was refers to this: a cycle would be garbage to be looked for.

    async def _close_frame(self) -> None:
        """Say what was wrong: the library just closes the stream when frames are."""

        def goodbye() -> bytes:
            if not self._is_open:
                return b""
            self._is_open = False
            code = self._failure_code() if self._meter.abuse is None else CLOSE_POLICY
            return bytes((_CLOSE_OPCODE, 2)) + code.to_bytes(2, "big")

        if self._is_open and not self.is_closed:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._write(goodbye)

    def cut(self) -> None:
        self._is_open = False
        self.outlet.let(None)
        self._transport.cut()
