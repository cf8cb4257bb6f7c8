"""HTTP/1.1 connections: hypercorn's server of one connection, on a stream whose first bytes were read already.

hypercorn would turn any request into HTTP/2 that asks for it. Nothing is upgraded on these connections, so whoever
writes watches for that and ends the connection instead.
"""

import logging
import re
import sys
from collections.abc import Callable
from typing import Final, Protocol

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Event, RawData, Updated
from hypercorn.logging import Logger
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    ConnectionState,
    Scope,
)

from server.edge.http.refusals import http2, no_request, refusal_bytes
from server.edge.http.upgrade import head_length, head_lines, may_be_stream
from server.edge.settings import EdgeSettings
from server.edge.wire.failures import where
from server.edge.wire.transport import Transport
from server.http.errors import ApiError

log = logging.getLogger("getaway.edge")

PART_BYTES_MAX: Final = 2_048
"""Of a body so much is taken apart at a time."""

_SWITCHING = b"HTTP/1.1 101 "
_HEAD, _INTERIM = b"HTTP/1.1 ", b"HTTP/1.1 1"
_EMPTY_ANSWER = re.compile(
    rb"HTTP/1\.1 ([45][0-9]{2}) [^\r\n]*\r\ncontent-length: 0\r\nconnection: close\r\n[^\0]*\r\n\r\n"
)
"""A refusal of hypercorn's own: no answer of the application closes its connection."""


class ProtocolSwitchError(Exception):
    """A request would have switched the connection to another protocol, and was refused."""


class _QuietLogger(Logger):
    """The application answers and logs its own failures; what is left for hypercorn to tell is about clients."""

    async def exception(self, message: str, *args: object, **kwargs: object) -> None:
        """One line at most: the text of an exception may quote the client."""
        log.warning("an exchange failed behind the application", extra={"error": where(sys.exception())})


class Place(Protocol):
    """What a connection has among the others of its port."""

    def note_client(self, forwarded: list[str]) -> None:
        """Where the other end is a proxy that we trust, these X-Forwarded-For values say whose the request is."""

    async def turn(self, *, is_caller: bool, lines: int) -> None:
        """Wait until it may do something that costs the process as much as a request whose head has so many ``lines``.
        ``is_caller``: an operator has signed the one before; calls have turns of their own."""

    def signed(self, *, is_signed: bool) -> None:
        """Whether the request that it is at was signed by an operator."""


class HttpStream(trio.abc.Stream):
    """``below`` is the transport itself or TLS over it; ``replay`` what was read of it already.

    Proxies keep connections, so a player's upgrade may come behind other requests. ``is_player`` judges a complete head
    (and raises ``ApiError`` for an upgrade that is refused); what it accepts is never shown to hypercorn: it is
    ``taken``, and ``when_taken`` is called.
    """

    def __init__(
        self,
        transport: Transport,
        below: trio.abc.Stream,
        replay: bytes,
        *,
        receive_bytes_max: int,
        is_player: Callable[[bytes], bool],
        when_taken: Callable[[], object],
        place: "Place",
    ) -> None:
        self._transport = transport
        self._below = below
        self._replay = replay
        self._receive_bytes_max = receive_bytes_max
        self._is_player = is_player
        self._when_taken = when_taken
        self._place = place
        self._is_signed = False
        self._lines = 0
        """Of the head that comes next, see ``head_lines``: what was handed over since the last answer has so many."""
        self._is_first = True
        """Whether nothing was handed over yet."""
        self._is_chunked = False
        """Whether the body that comes is of chunks, as far as its head has been seen."""
        self._begun = self._ended = self._ended_before = 0
        self.taken: bytes | None = None
        """What was read of a player's upgrade: its head at least."""

    def counted(self, app: ASGIFramework) -> ASGIFramework:
        """``app``, its requests counted: when they begin, and when the last bytes of their answers go out.

        A request waits for its turn, except the first, which has waited already. ``signed`` of the scope's state is to
        be called for each that an operator had signed: the one behind it waits among calls.
        """

        def signed() -> None:
            self._is_signed = True
            self._place.signed(is_signed=True)

        async def count(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            self._begun += 1
            lines, self._lines = self._lines, 0
            begun = self._begun
            self._transport.note_whole()
            if scope["type"] == "http":
                scope["state"] = ConnectionState({"signed": signed})
                self._is_chunked = any(name.lower() == b"transfer-encoding" for name, _ in scope["headers"])
            if begun > 1:
                await self._begin_another(scope, lines)

            async def send_counted(message: ASGISendEvent) -> None:
                if message["type"] == "http.response.body" and not message.get("more_body", False):
                    self._ended = begun
                await send(message)

            try:
                await app(scope, receive, send_counted)
            finally:
                self._ended = begun

        return count

    async def _begin_another(self, scope: Scope, lines: int) -> None:
        """Behind a proxy it may be another client's than the one before."""
        if scope["type"] == "http":
            headers = ((name.lower(), value) for name, value in scope["headers"])
            self._place.note_client([value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"])
        was_signed, self._is_signed = self._is_signed, False
        self._place.signed(is_signed=False)
        await self._place.turn(is_caller=was_signed, lines=lines)

    @property
    def socket(self) -> trio.socket.SocketType:
        """Whom hypercorn asks for addresses."""
        return self._transport.socket

    @property
    def is_answering(self) -> bool:
        """Whether the application has begun with a request and not given the last part of its answer yet."""
        return self._begun != self._ended

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What was read already, then what comes."""
        if self._replay:
            data, self._replay = self._replay, b""
            await trio.lowlevel.checkpoint()
            is_first, self._is_first = self._is_first, False
            return await self._part(data, begins=is_first)
        # Not more than a head may have: hypercorn measures a head only if it does not come at once.
        data = bytes(await self._below.receive_some(self._receive_bytes_max))
        begins = self._is_between_requests()
        if begins and may_be_stream(data):
            data = await self._judge(data)
        self._ended_before = self._ended
        return await self._part(data, begins=begins)

    async def _part(self, data: bytes, *, begins: bool) -> bytes:
        """The head if it ``begins`` with one, and some of a body; the rest is for the next time. 16 KiB have room for
        3,000 chunks or trailers, which are taken apart in one go, whether anybody wants them or not; two lines of those
        are a piece."""
        head_bytes = (head_length(data) or len(data)) if begins else 0
        self._replay = data[head_bytes + PART_BYTES_MAX :]
        part = data[: head_bytes + PART_BYTES_MAX]
        if begins:
            self._is_chunked = b"chunked" in part[:head_bytes].lower()
        if self._is_chunked:
            await self._transport.piece(part.count(b"\n", head_bytes) // 2)
        if not self.is_answering:
            self._lines += head_lines(part)
        return part

    async def pay_for_refusal(self) -> None:
        """A head that hypercorn refuses has been taken apart, too. A connection's first was paid for before."""
        if self._begun:
            await self._place.turn(is_caller=False, lines=self._lines)

    def _is_between_requests(self) -> bool:
        """Whether bytes that come now begin a request: what was handed over before has been answered.

        hypercorn reads ahead, so this is asked when bytes have come, not when they are waited for. Should it be wrong,
        a client that sends the beginning of a request in a body gets a websocket that it did not ask for.
        """
        return self._begun == self._ended != self._ended_before

    async def _judge(self, data: bytes) -> bytes:
        """Read on to the end of a head, and keep it from hypercorn if it is a player's upgrade."""
        while head_length(data) is None and 0 < len(data) <= self._receive_bytes_max:
            more = bytes(await self._below.receive_some(self._receive_bytes_max + 1 - len(data)))
            if not more:
                return data
            data += more
        length = head_length(data)
        if length is None:
            return data
        try:
            if not self._is_player(data[:length]):
                return data
        except ApiError as error:
            await self._place.turn(is_caller=False, lines=head_lines(data[:length]))
            await self._below.send_all(refusal_bytes(error))
            raise ProtocolSwitchError from None
        self.taken = data
        self._when_taken()
        return b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._below.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._below.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close, unless the connection goes on as a player's."""
        if self.taken is None:
            await self._below.aclose()


class TlsHttpStream(HttpStream):
    """With what hypercorn asks of TLS streams, so that it knows the scheme."""

    async def do_handshake(self) -> None:
        await trio.lowlevel.checkpoint()

    def selected_alpn_protocol(self) -> str:
        """The only one that is offered."""
        return "http/1.1"

    @property
    def transport_stream(self) -> Transport:
        """Whom hypercorn asks for addresses."""
        return self._transport


class _Connection(TCPServer):
    """Ends a connection that hypercorn is about to switch to another protocol, and one whose client has gone, which
    hypercorn would keep until it is too long idle. Writes an answer at once, which hypercorn hands over as head, body
    and nothing, and gives its own refusals, which have nothing but a status, the form and headers of all others."""

    stream: HttpStream  # type: ignore[assignment]  # hypercorn takes any that has what it asks for
    _head = b""
    """Of an answer whose body is still to come."""
    _has_ended = False
    """The client says no more."""

    async def run(self) -> None:
        """Serve the connection, and leave no cycle of references behind: it would be garbage to be looked for."""
        try:
            await super().run()
        finally:
            vars(self).pop("protocol", None)

    async def _read_data(self) -> None:
        await super()._read_data()
        self._has_ended = True
        await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, Updated) and event.idle and self._has_ended:
            return  # There is no next request to be waited for.
        if isinstance(event, RawData):
            switches = event.data.startswith(_SWITCHING) or not isinstance(self.protocol.protocol, H11Protocol)
            if switches:
                await self.stream.send_all(refusal_bytes(http2()))
                raise ProtocolSwitchError
            data, self._head = self._head + event.data, b""
            if self.stream.is_answering and event.data.startswith(_HEAD) and not event.data.startswith(_INTERIM):
                self._head = data
                return
            if not data:
                return
            refusal = _EMPTY_ANSWER.fullmatch(data)
            if refusal is not None:
                await self.stream.pay_for_refusal()
            event = RawData(data=data if refusal is None else refusal_bytes(no_request(int(refusal[1]))))
        await super().protocol_send(event)


class HttpServer:
    """What all HTTP connections of a port share."""

    def __init__(self, app: ASGIFramework, settings: EdgeSettings) -> None:
        self._app = app
        self._context = WorkerContext(None)
        self._config = Config()
        self._config.logger_class = _QuietLogger
        self._config.errorlog = None
        self._config.h11_max_incomplete_size = settings.head_bytes_max
        self._config.keep_alive_timeout = settings.keep_alive_ms / 1000
        # A safety net under idle connections: hypercorn forgets one whose websocket it refused by itself.
        self._config.read_timeout = settings.keep_alive_ms / 1000  # type: ignore[assignment]  # any number will do
        self._config.include_server_header = False

    async def finish(self) -> None:
        """Close idle connections now, the others after the answer that they are at."""
        await self._context.terminated.set()

    async def serve(self, stream: HttpStream) -> None:
        """Serve one connection to its end. Raises, in groups, what a broken client makes hypercorn raise."""
        app = ASGIWrapper(stream.counted(self._app))
        await _Connection(app, self._config, self._context, {}, stream)  # type: ignore[arg-type]  # any stream
