"""The outgoing side of a player's socket: a bounded queue of frames, one slot for a tick, and the task that writes."""

from collections import deque
from typing import Final

import trio

from server.edge.player_stream import PlayerStream, text_frame
from server.edge.settings import EdgeSettings

CLOSE_NORMAL: Final = 1000
CLOSE_GOING_AWAY: Final = 1001
CLOSE_PROTOCOL_ERROR: Final = 1002
CLOSE_POLICY: Final = 1008
CLOSE_TOO_LARGE: Final = 1009
CLOSE_TRY_AGAIN: Final = 1013


class TickFrames:
    """Makes the websocket frame of a tick once for all players in turn that are offered the same bytes."""

    def __init__(self) -> None:
        self._tick = b""
        self._frame = text_frame(b"")

    def frame(self, tick: bytes) -> bytes:
        """The whole frame of this tick."""
        if tick is not self._tick:
            self._tick, self._frame = tick, text_frame(tick)
        return self._frame


class SocketSink:
    """Implements ``actors.ports.PlayerSink``. Overflow of the queue: the socket is cut."""

    def __init__(self, stream: PlayerStream, tick_frames: TickFrames, settings: EdgeSettings) -> None:
        self._stream = stream
        self._tick_frames = tick_frames
        self._frames_max = settings.outgoing_frames_max
        self._close_timeout_s = settings.close_timeout_ms / 1000
        self._frames: deque[bytes] = deque()
        self._tick: bytes | None = None
        self._news = trio.Event()
        self._life = trio.CancelScope()
        self.is_closing = False
        self.close_code = CLOSE_NORMAL
        self.end = "left"
        """Why the socket ended, one of a few words."""

    def send(self, frame: bytes) -> None:
        """Queue one JSON text frame."""
        if self.is_closing:
            return
        if len(self._frames) >= self._frames_max:
            self.end = "overflow"
            self._stream.cut()
            return
        self._tick = None
        self._frames.append(frame)
        self._news.set()

    def offer_tick(self, number: int, frame: bytes) -> None:
        """Write a tick now, or skip it. Where nothing can be written at once, the newest waits in a slot."""
        if self._frames or self.is_closing:
            return
        wire = self._tick_frames.frame(frame)
        stream = self._stream
        if not stream.offers_at_once:
            self._tick = wire
            self._news.set()
        elif stream.offer(wire) and stream.has_rest:
            self._news.set()

    def close(self, code: int = CLOSE_NORMAL, end: str = "closed") -> None:
        """Close after what is queued was written, for which there is ``close_timeout_ms``."""
        if not self.is_closing:
            self.is_closing, self.close_code, self.end = True, code, end
            self._life.deadline = trio.current_time() + self._close_timeout_s
            self._news.set()

    def lost(self) -> None:
        """There is nobody to write to any more."""
        self.is_closing = True
        self._frames.clear()
        self._life.cancel()

    async def write(self) -> None:
        """Write what is queued, in order, until the socket is to be closed and all is out, or it is lost."""
        try:
            with self._life:
                while not (self.is_closing and not self._frames):
                    await self._write_once()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.lost()

    async def _write_once(self) -> None:
        if self._frames:
            count = len(self._frames)
            # Queued until they are out: as long as there is a frame in the queue, no tick passes it.
            await self._stream.send_frames(b"".join(map(text_frame, self._frames)))
            for _ in range(min(count, len(self._frames))):
                self._frames.popleft()
        elif self._stream.has_rest:
            await self._stream.finish_tick()
        elif self._tick is not None:
            tick, self._tick = self._tick, None
            await self._stream.send_frames(tick)
        else:
            self._news = trio.Event()
            await self._news.wait()
