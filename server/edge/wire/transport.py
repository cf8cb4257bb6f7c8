"""A TCP connection as a trio stream whose writes have a deadline of their own.

hypercorn shields its writes from every cancellation, so the one who writes must itself give up on a reader that stalls.
"""

import contextlib
import select
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import trio

from actors.kit.fair_queue import QueueFullError, Turnstile
from server.edge.wire.unsent import Unsent

_READ_BYTES: Final = 65_536
_DRAINED_BYTES_MAX: Final = 1_048_576
PIECE_BYTES_MAX: Final = 512
PIECES_MAX: Final = 16
"""So many reads or chunks that bring less are for nothing: a head, a message or a body of an honest client comes in
one, or in a few. Each costs some 40 microseconds and a turn of the loop, if it brings a single byte."""
_TCP_NOTSENT_LOWAT: Final = 25
"""Linux's number; the ``socket`` module knows the name from Python 3.12 on."""


class Transport(trio.abc.Stream):
    """Owns an accepted, non-blocking socket. Everything on it raises ``trio.BrokenResourceError`` once it is broken and
    ``trio.ClosedResourceError`` once it is closed."""

    __slots__ = (
        "_goodbyes",
        "_is_drained",
        "_pieces",
        "_raw",
        "_send_bytes_per_second_min",
        "_send_timeout_s",
        "_unsent",
        "_when_closed",
        "in_pieces",
        "is_closed",
        "send_now",
        "socket",
    )

    def __init__(
        self,
        raw: socket.socket,
        *,
        send_timeout_s: float,
        send_bytes_per_second_min: int,
        unsent: Unsent | None = None,
        goodbyes: Turnstile | None = None,
    ) -> None:
        self._raw = raw
        self._goodbyes = goodbyes
        self._unsent = unsent
        self.socket = trio.socket.from_stdlib_socket(raw)
        self._send_timeout_s = send_timeout_s
        self._send_bytes_per_second_min = send_bytes_per_second_min
        self._when_closed: Callable[[], object] | None = None
        self._is_drained = False
        """Nothing more had come when it was last read."""
        self._pieces = 0
        self.in_pieces: Callable[[], Awaitable[None]] | None = None
        """Waits, before the next read, for what ``PIECES_MAX`` pieces cost."""
        self.is_closed = False
        self.send_now: Callable[[bytes], int] = raw.send
        """Write as much as the kernel takes now: how many bytes that was. Raises ``OSError`` if it is full, or broken:
        then whoever reads learns it. The socket's own, since ticks go this way: each call between is heard."""
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def when_closed(self, callback: Callable[[], object]) -> None:
        """Call this, instead of what was to be called before, as soon as the connection is closed."""
        if self.is_closed:
            callback()
        else:
            self._when_closed = callback

    def keep_little_unsent(self, bytes_max: int) -> None:
        """Let the kernel take no more once so many bytes wait for the network, where it can do that. Whoever asks for
        this keeps account of what waits before it, too."""
        self._unsent = None
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                self._raw.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, bytes_max)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What has come; nothing at the end."""
        # Not by ``self.socket``: thousands of players wait here for hours, and each of its coroutines has a frame.
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._pieces >= PIECES_MAX:
            await self.piece(0)
        bytes_max = max_bytes or _READ_BYTES
        has_waited = False
        try:
            while True:
                if self._is_drained:
                    await trio.lowlevel.wait_readable(self._raw)
                    self._is_drained, has_waited = False, True
                try:
                    data = self._raw.recv(bytes_max)
                except BlockingIOError:
                    self._is_drained = True
                    continue
                if not has_waited:  # otherwise everybody else has had a turn already
                    await trio.lowlevel.cancel_shielded_checkpoint()
                self._is_drained = len(data) < bytes_max
                self._pieces += len(data) < PIECE_BYTES_MAX
                if not data:
                    await self._say_goodbye()
                return data
        except OSError as error:
            await self._say_goodbye()
            raise self._trio_error() from error

    async def piece(self, count: int = 1) -> None:
        """Something came in so many pieces more, though perhaps not in reads of their own."""
        times, self._pieces = divmod(self._pieces + count, PIECES_MAX)
        for _ in range(times):  # whatever begins meanwhile: these have come
            if self.in_pieces is not None:
                await self.in_pieces()

    def note_whole(self) -> None:
        """The pieces were good for something: a request has come."""
        self._pieces = 0

    async def _say_goodbye(self) -> None:
        """Thousands may leave at one moment, and what each of them leaves behind is cleared away one by one."""
        if self._goodbyes is not None and not self.is_closed:
            with contextlib.suppress(QueueFullError):
                await self._goodbyes.pass_through(None)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write all. Whatever ends it early, a deadline or a cancellation, cuts the connection: a part may be out."""
        started = trio.current_time()
        sent = 0
        unsent = self._unsent
        try:
            with memoryview(data) as view, self._trio_errors():
                while sent < len(view):
                    behind_at = started + sent / self._send_bytes_per_second_min
                    deadline = min(trio.current_time(), behind_at) + self._send_timeout_s
                    sent += await self._send_some(view[sent:], deadline)
                    if unsent is not None and (sent < len(view) or unsent.has(self)):
                        unsent.note(self, len(view) - sent)
        except BaseException:
            self.cut()
            raise
        if not data:
            await trio.lowlevel.checkpoint()

    async def _send_some(self, data: memoryview, deadline: float) -> int:
        with trio.move_on_at(deadline):
            return await self.socket.send(data)
        raise trio.BrokenResourceError("the other side does not read")

    @property
    def has_room(self) -> bool:
        """Whether the kernel takes more at once. A look at it costs a system call."""
        if self.is_closed:
            return False
        look = select.poll()
        look.register(self._raw, select.POLLOUT)
        return bool(look.poll(0))

    async def wait_send_all_might_not_block(self) -> None:
        with self._trio_errors():
            await trio.lowlevel.wait_writable(self._raw)

    async def linger(self, timeout_s: float) -> None:
        """Say that no more will come, then read until the other side has left too: to close over unread bytes would
        take back what it has not read yet."""
        left = _DRAINED_BYTES_MAX
        with trio.move_on_after(timeout_s), contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            self._shut_down_writing()
            while left > 0:
                data = await self.receive_some()
                left -= len(data) or left
        self.cut()

    def _shut_down_writing(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        """Close, after reading what has come already: see ``linger``."""
        if not self.is_closed:
            self._shut_down_writing()
            with contextlib.suppress(OSError):
                for _ in range(_DRAINED_BYTES_MAX // _READ_BYTES):
                    if not self._raw.recv(_READ_BYTES):
                        break
            self.cut()
        await trio.lowlevel.checkpoint()

    def overflow(self) -> None:
        self.cut()

    def cut(self) -> None:
        """Close at once; whoever reads or writes is told. Twice is harmless."""
        if not self.is_closed:
            self.is_closed = True
            if self._unsent is not None:
                self._unsent.note(self, 0)
            self._is_drained = False  # to read is an error now, not to be waited for
            self.socket.close()
            # Who is told refers to this: kept, it would be a cycle, and garbage that has to be looked for.
            when_closed, self._when_closed, self.in_pieces = self._when_closed, None, None
            if when_closed is not None:
                when_closed()

    @contextlib.contextmanager
    def _trio_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._trio_error() from error

    def _trio_error(self) -> Exception:
        if self.is_closed:
            return trio.ClosedResourceError("the connection was closed")
        return trio.BrokenResourceError("the connection is broken")


class Records(trio.abc.Stream):
    """TLS over a transport, its handshake done. A record may bring a single byte, and a read hundreds of records: each
    is taken out, decrypted and handed on alone, so it is a piece, too."""

    __slots__ = ("_pieces", "_tls", "_transport")

    def __init__(self, transport: Transport, tls: trio.SSLStream[Transport]) -> None:
        self._transport = transport
        self._tls = tls
        self._pieces = 0

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What has come; nothing at the end."""
        # Before the next one, not behind this one: what has come is handed on at once, or it would be lost.
        pieces, self._pieces = self._pieces, 0
        await self._transport.piece(pieces)
        data = bytes(await self._tls.receive_some(max_bytes))
        self._pieces = int(len(data) < PIECE_BYTES_MAX)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._tls.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._tls.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._tls.aclose()
