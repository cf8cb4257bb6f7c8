"""One HTTP/1.1 connection to a wallet, on h11 and trio.

A general client would keep bytes that follow an answer and take them for the answer to the *next* call, whose money
they are not about. Here a connection is kept only when nothing is left on it. The errors::

    WalletConnectionError
    ├── NotConnectedError         no connection, so nothing was sent
    ├── StaleConnectionError      a connection that was kept ended before the first byte of an answer
    └── BrokenAnswerError         the answer ended too early, is too large, or isn't HTTP/1
"""

import math
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Any, Final
from uuid import UUID

import h11
import trio

# The shape of ``socket.getaddrinfo``.
Lookup = Callable[..., Sequence[tuple[Any, Any, Any, Any, Any]]]

ADDRESSES_MAX: Final = 4
# How long an address may take to accept while there is another one to try.
_ADDRESS_S_MAX: Final = 1.0
_READ_BYTES_MAX: Final = 65_536
_HEAD_BYTES_MAX: Final = 65_536
# How long a kept TLS connection is listened to for bytes that its last answer left behind the encryption.
_LISTEN_S: Final = 0.0005
_LOST: Final = "the connection was lost before the answer was complete"
# What h11 is told of every call, so that it reads an answer: how one is framed depends on the method alone. To have it
# write the requests, too, would be a third of a call, and nothing in them comes from outside.
_A_POST: Final = h11.Request(method=b"POST", target=b"/", headers=[(b"Host", b"wallet"), (b"Content-Length", b"0")])
_ITS_END: Final = h11.EndOfMessage()


class WalletConnectionError(Exception):
    """A call got no complete answer; the message is a fixed phrase that quotes nothing."""


class NotConnectedError(WalletConnectionError):
    """There is no connection, so nothing was sent."""


class StaleConnectionError(WalletConnectionError):
    """A connection that was kept ended before the first byte of an answer: it may have been closed just before."""


class BrokenAnswerError(WalletConnectionError):
    """The answer ended too early, is too large, or isn't HTTP/1."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect."""

    host: str
    port: int
    is_tls: bool


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """``headers`` have lower-case names. ``body`` is empty unless ``status`` is 200: no other body is of use."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


class Resolver:
    """Turns host names into addresses, in threads that are bounded for each operator.

    A name server that is stuck holds its threads long after the calls that waited for it have given up: without a bound
    of its own, one operator's broken domain would end the resolution of every other's.
    """

    def __init__(self, threads_max: int, lookup: Lookup = socket.getaddrinfo) -> None:
        self._threads_max = threads_max
        self._lookup = lookup
        self._limiters: dict[UUID, trio.CapacityLimiter] = {}

    async def addresses(self, operator_id: UUID, endpoint: Endpoint) -> list[str]:
        """At most ``ADDRESSES_MAX`` addresses, in order of preference. Raises ``NotConnectedError``."""
        try:
            return [str(ip_address(endpoint.host))]
        except ValueError:
            pass
        limiter = self._limiters.setdefault(operator_id, trio.CapacityLimiter(self._threads_max))
        try:
            found = await trio.to_thread.run_sync(
                partial(self._lookup, endpoint.host, endpoint.port, type=socket.SOCK_STREAM),
                abandon_on_cancel=True,
                limiter=limiter,
            )
        except (OSError, UnicodeError):
            raise NotConnectedError("the name of the wallet's host was not found") from None
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))[:ADDRESSES_MAX]


async def connect(endpoint: Endpoint, addresses: Sequence[str], ssl_context: ssl.SSLContext) -> "WalletConnection":
    """Connect to the first address that accepts and, for https, verify. Raises ``NotConnectedError``."""
    plain = await _connect_first(endpoint.port, addresses)
    if not endpoint.is_tls:
        return WalletConnection(plain, plain)
    secure = trio.SSLStream(plain, ssl_context, server_hostname=endpoint.host, https_compatible=True)
    try:
        await secure.do_handshake()
    except BaseException as error:
        plain.socket.close()
        if isinstance(error, trio.BrokenResourceError | ssl.SSLError | ssl.CertificateError):
            raise NotConnectedError("no secure connection to the wallet: TLS failed") from None
        raise
    return WalletConnection(secure, plain)


async def _connect_first(port: int, addresses: Sequence[str]) -> trio.SocketStream:
    for index, address in enumerate(addresses):
        is_last = index == len(addresses) - 1
        with trio.move_on_after(math.inf if is_last else _ADDRESS_S_MAX):
            try:
                return await trio.open_tcp_stream(address, port)
            except OSError:
                continue
    raise NotConnectedError("no connection to the wallet")


class WalletConnection:
    """A connection that carries one call at a time. Not safe to share between calls in flight."""

    def __init__(self, stream: trio.abc.Stream, plain: trio.SocketStream) -> None:
        self._stream = stream
        self._plain = plain
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES_MAX)
        self._has_heard = False
        self._is_ended = False
        self._is_kept = False
        self.is_reusable = False

    def close(self) -> None:
        """Close at once, without a farewell; twice is harmless."""
        self.is_reusable = False
        self._plain.socket.close()

    async def is_quiet(self) -> bool:
        """Whether a kept connection has neither ended nor said anything since its last answer."""
        if self._plain.socket.is_readable():
            return False
        if self._stream is self._plain:
            return True
        with trio.move_on_after(_LISTEN_S) as scope:
            try:
                await self._stream.receive_some(1)
            except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
                return False
        return scope.cancelled_caught

    async def exchange(self, request: bytes, *, answer_bytes_max: int, drain_ms_max: int) -> HttpAnswer:
        """Send a whole POST and read the answer. Afterwards ``is_reusable`` says whether the connection can be kept.

        The body of an answer other than 200 is read for ``drain_ms_max`` at most, only to keep the connection.
        Raises ``WalletConnectionError``.
        """
        self.is_reusable = self._has_heard = False
        await self._send(request)
        head = await self._read_head()
        headers = list(head.headers)
        if head.status_code == 200:
            return HttpAnswer(200, headers, await self._read_body(answer_bytes_max))
        if head.status_code >= 200:
            with trio.move_on_after(drain_ms_max / 1000):
                try:
                    await self._read_body(answer_bytes_max)
                except BrokenAnswerError:
                    self.is_reusable = False  # the status has said it all
        return HttpAnswer(head.status_code, headers, b"")

    async def _send(self, request: bytes) -> None:
        self._http.send(_A_POST)
        self._http.send(_ITS_END)
        try:
            left = request[self._write_now(request) :]
            if left:
                await self._stream.send_all(left)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            return  # a server that refuses early may have answered before it closed: reading tells

    def _write_now(self, request: bytes) -> int:
        """How many bytes the kernel takes at once. Trio's socket would have all other tasks take a turn after that,
        and again after reading: with both, a call costs a third more."""
        if self._stream is not self._plain:
            return 0
        try:
            return os.write(self._plain.socket.fileno(), request)
        except BlockingIOError:
            return 0

    async def _read_some(self) -> bytes:
        """What has come; nothing at the end. Raises ``OSError``, or what the stream raises."""
        if self._stream is not self._plain:
            return bytes(await self._stream.receive_some(_READ_BYTES_MAX))
        while True:
            await trio.lowlevel.wait_readable(self._plain.socket)
            with suppress(BlockingIOError):
                return os.read(self._plain.socket.fileno(), _READ_BYTES_MAX)

    async def _read_head(self) -> h11.Response | h11.InformationalResponse:
        while True:
            event = await self._next_event()
            if isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                continue
            if isinstance(event, h11.Response | h11.InformationalResponse):
                if event.http_version not in {b"1.1", b"1.0"}:
                    raise BrokenAnswerError("the answer is not valid HTTP/1")
                return event
            raise BrokenAnswerError(_LOST)

    async def _read_body(self, bytes_max: int) -> bytes:
        body = bytearray()
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Data):
                body += event.data
                if len(body) > bytes_max:
                    raise BrokenAnswerError("the answer is too large")
            elif isinstance(event, h11.EndOfMessage):
                self._end_cycle()
                return bytes(body)
            else:
                raise BrokenAnswerError(_LOST)

    def _end_cycle(self) -> None:
        leftover, is_closed = self._http.trailing_data
        is_done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if is_done and not leftover and not is_closed:
            self._http.start_next_cycle()
            self.is_reusable = self._is_kept = True

    async def _next_event(self) -> object:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError:
                raise BrokenAnswerError(_LOST if self._is_ended else "the answer is not valid HTTP/1") from None
            if event is not h11.NEED_DATA:
                return event
            await self._receive()

    async def _receive(self) -> None:
        try:
            data = await self._read_some()
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            raise self._lost() from None
        if not data and not self._has_heard:
            raise self._lost()
        self._has_heard = True
        self._is_ended = not data
        self._http.receive_data(data)

    def _lost(self) -> WalletConnectionError:
        is_stale = self._is_kept and not self._has_heard
        return StaleConnectionError(_LOST) if is_stale else BrokenAnswerError(_LOST)
