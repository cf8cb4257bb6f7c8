"""The outgoing side of a player's socket: messages by the library, ticks straight to the kernel while it takes them.

What waits to be written, messages in a bounded queue and one tick in a slot, has a task that ends when nothing is left:
an idle socket has none.
"""

from typing import Final

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from server.edge.player.player_stream import PING_FRAME, PlayerStream
from server.edge.settings import EdgeSettings
from server.edge.wire.unsent import Unsent

CLOSE_NORMAL: Final = 1000
CLOSE_GOING_AWAY: Final = 1001
CLOSE_PROTOCOL_ERROR: Final = 1002
CLOSE_TOO_LARGE: Final = 1009
CLOSE_TRY_AGAIN: Final = 1013


class SocketSink:
    """Implements ``actors.ports.sink.PlayerSink``. Overflow of the queue, in frames or in bytes: the socket is cut."""

    __slots__ = (
        "_close_timeout_s",
        "_closes_at",
        "_frames",
        "_frames_max",
        "_is_over",
        "_nursery",
        "_over",
        "_stream",
        "_tick",
        "_unsent",
        "_waiting_bytes",
        "_waiting_bytes_max",
        "_websocket",
        "_writing",
        "close_code",
        "end",
        "is_closing",
        "outlet",
    )

    def __init__(self, stream: PlayerStream, settings: EdgeSettings, unsent: Unsent) -> None:
        self._stream = stream
        self._unsent = unsent
        self.outlet = stream.outlet
        """Where the ticks go, straight from the metronome: where none can be written at once, only the newest waits."""
        self.outlet.keep = self._keep
        self._frames_max = settings.outgoing_frames_max
        self._close_timeout_s = settings.close_timeout_ms / 1000
        self._waiting_bytes_max = settings.outgoing_bytes_max
        self._frames: list[bytes] = []
        """JSON texts, and pings, that the kernel has not taken."""
        self._waiting_bytes = 0
        self._tick: bytes | None = None
        self._nursery: trio.Nursery | None = None
        self._websocket: WebSocketConnection | None = None
        self._writing: trio.CancelScope | None = None
        self._closes_at: float | None = None
        self._over: trio.Event | None = None
        self._is_over = False
        self.is_closing = False
        self.close_code = CLOSE_NORMAL
        self.end = "left"
        """Why the socket ended, one of a few words."""

    @property
    def is_behind(self) -> bool:
        """Whether the client has not taken yet what was sent: see ``actors.ports.sink.PlayerSink``.

        What only waits for its turn here, or whose writer has not had one since, is not the client's fault.
        """
        return self._waiting_bytes > 0 and not self._stream.has_room

    def overflow(self) -> None:
        """What waits for this client is too much for it, or for all: it is dropped, and ``welcome`` tells it again."""
        self.end = "overflow"
        self._stream.cut()

    def open(self, nursery: trio.Nursery, websocket: WebSocketConnection) -> None:
        """The handshake is over. ``nursery`` is for what must wait."""
        self._nursery, self._websocket = nursery, websocket
        if self.is_closing:
            self._wake()

    def send(self, *frames: bytes) -> None:
        """Have JSON texts written, each as a message."""
        for text in frames:
            self._queue(text)

    def ping(self) -> None:
        self._queue(PING_FRAME)

    def _queue(self, frame: bytes) -> None:
        if self.is_closing:
            return
        if len(self._frames) >= self._frames_max or self._waiting_bytes + len(frame) > self._waiting_bytes_max:
            self.overflow()
            return
        self._tick = None
        self._frames.append(frame)
        self._note_waiting(self._waiting_bytes + len(frame))
        self._wake()

    def _note_waiting(self, count: int) -> None:
        self._waiting_bytes = count
        self._unsent.note(self, count)

    def _keep(self, tick: bytes, sent: int) -> None:
        if self._frames or self.is_closing:
            return
        if not sent:
            self._tick = tick
        self._wake()

    def close(self, code: int = CLOSE_NORMAL, end: str = "closed") -> None:
        """Close after what is queued was written, for which there is ``close_timeout_ms``."""
        if not self.is_closing:
            self.is_closing, self.close_code, self.end = True, code, end
            self._closes_at = trio.current_time() + self._close_timeout_s
            if self._writing is not None:
                self._writing.deadline = self._closes_at
            self._wake()

    def lost(self) -> None:
        """There is nobody to write to any more. Twice is harmless."""
        self.is_closing = True
        self._nursery = None
        self._stream.hold()
        self.outlet.keep = None  # It refers to this: a cycle would be garbage to be looked for.
        self._frames.clear()
        self._tick = None
        if self._waiting_bytes:
            self._note_waiting(0)
        if self._writing is not None:
            self._writing.cancel()
        self._end()

    async def over(self) -> None:
        """Wait until a socket that is closing was told goodbye, or is lost."""
        if not self._is_over:
            self._over = trio.Event()
            await self._over.wait()

    def _end(self) -> None:
        self._is_over = True
        self._websocket = None  # As above.
        if self._over is not None:
            self._over.set()

    def _wake(self) -> None:
        """See that what waits is written. Nothing passes it: the stream takes no offers until then."""
        self._stream.hold()
        if self._writing is None and self._nursery is not None and self._websocket is not None:
            self._writing = trio.CancelScope()
            if self._closes_at is not None:
                self._writing.deadline = self._closes_at
            self._nursery.start_soon(self._write, self._writing, self._websocket)

    async def _write(self, scope: trio.CancelScope, websocket: WebSocketConnection) -> None:
        """Write what waits, in order. If the socket is to be closed then, close it."""
        try:
            with scope:
                while self._frames or self._tick is not None or self._stream.has_rest:
                    await self._write_once(websocket)
        except (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
            self.lost()
        if self.is_closing and not self._is_over:
            await self._say_goodbye(websocket)
            self._end()
        self._writing = None
        if not self.is_closing:
            self._stream.release()

    async def _write_once(self, websocket: WebSocketConnection) -> None:
        if self._frames:
            frame = self._frames[0]  # It counts until it is out.
            if frame is PING_FRAME:
                await self._stream.send_frames(frame)
            else:
                await websocket.send_message(frame.decode())
            del self._frames[:1]
            self._note_waiting(max(0, self._waiting_bytes - len(frame)))
        elif self._stream.has_rest:
            await self._stream.send_frames(b"")
        elif self._tick is not None:
            tick, self._tick = self._tick, None
            await self._stream.send_frames(tick)

    async def _say_goodbye(self, websocket: WebSocketConnection) -> None:
        if not self._stream.is_closed:
            with trio.move_on_after(self._close_timeout_s):
                await websocket.aclose(self.close_code)
