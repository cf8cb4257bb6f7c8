"""One HTTP/1.1 connection to a wallet, on trio.

A general client would keep bytes that follow an answer and take them for the answer to the *next* call, whose money
they are not about. Here a connection is kept only when nothing is left on it. The errors::

    WalletConnectionError         has_left: whether anything may have reached the wallet
    ├── NotConnectedError         no connection, so nothing was sent
    │   └── ForbiddenAddressError the wallet's host is at no address that a wallet may be at
    ├── StaleConnectionError      a connection that was kept ended before the first byte of an answer
    ├── BrokenAnswerError         the answer ended too early, is too large, or isn't HTTP/1
    └── OverdueError              no answer in time
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

import trio

from server.wallet.answer import LOST, WalletAnswerReader

# The shape of ``socket.getaddrinfo``.
Lookup = Callable[..., Sequence[tuple[Any, Any, Any, Any, Any]]]

ADDRESSES_MAX: Final = 4
# How long an address may take to accept while there is another one to try.
_ADDRESS_S_MAX: Final = 1.0
_READ_BYTES_MAX: Final = 65_536
# How long a kept TLS connection is listened to for bytes that its last answer left behind the encryption.
_LISTEN_S: Final = 0.0005


class WalletConnectionError(Exception):
    """A call got no complete answer; the message is a fixed phrase that quotes nothing.

    ``has_left``: a byte of the request may have reached the wallet.
    """

    def __init__(self, phrase: str, *, has_left: bool = True) -> None:
        super().__init__(phrase)
        self.has_left = has_left


class NotConnectedError(WalletConnectionError):
    """There is no connection, so nothing was sent."""

    def __init__(self, phrase: str) -> None:
        super().__init__(phrase, has_left=False)


class ForbiddenAddressError(NotConnectedError):
    """No address of the wallet's host is one that a wallet may be at."""


class StaleConnectionError(WalletConnectionError):
    """A connection that was kept ended before the first byte of an answer: it may have been closed just before."""


class BrokenAnswerError(WalletConnectionError):
    """The answer ended too early, is too large, or isn't HTTP/1."""


class OverdueError(WalletConnectionError):
    """There was no answer in time."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect."""

    host: str
    port: int
    is_tls: bool


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """``headers`` have lower-case names. ``body`` is whole, or, unless ``status`` is 200, empty: of another answer the
    status says all that matters, and its body is not waited for."""

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
        self._reader = WalletAnswerReader()
        self._has_heard = False
        self._is_kept = False
        self.has_left = False
        """A byte of the call under way may have reached the wallet."""
        self.is_reusable = False

    def close(self) -> None:
        """Close at once, without a farewell; twice is harmless."""
        self.is_reusable = False
        self._reader.close()
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

        The body of an answer other than 200 is read for ``drain_ms_max`` at most.
        Raises ``WalletConnectionError``.
        """
        reader = self._reader
        reader.begin(answer_bytes_max)
        self.is_reusable = self._has_heard = self.has_left = False
        await self._send(request)
        while not reader.is_headed and reader.problem is None:
            await self._receive()
        if reader.is_headed and reader.status != 200:
            with trio.move_on_after(drain_ms_max / 1000), suppress(BrokenAnswerError):  # the status has said it all
                await self._read_to_end()
            is_whole = reader.is_complete and reader.problem is None
            return HttpAnswer(reader.status, reader.headers, bytes(reader.body) if is_whole else b"")
        await self._read_to_end()
        return HttpAnswer(200, reader.headers, bytes(reader.body))

    async def _send(self, request: bytes) -> None:
        try:
            left = request[self._write_now(request) :]
            if left:
                self.has_left = True  # of what an encrypted stream has written, nothing is known
                await self._stream.send_all(left)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            return  # a server that refuses early may have answered before it closed: reading tells

    def _write_now(self, request: bytes) -> int:
        """How many bytes the kernel takes at once. Trio's socket would have all other tasks take a turn after that,
        and again after reading: with both, a call costs a third more."""
        if self._stream is not self._plain:
            return 0
        try:
            written = os.write(self._plain.socket.fileno(), request)
        except BlockingIOError:
            return 0
        self.has_left = True
        return written

    async def _read_some(self) -> bytes:
        """What has come; nothing at the end. Raises ``OSError``, or what the stream raises."""
        if self._stream is not self._plain:
            return bytes(await self._stream.receive_some(_READ_BYTES_MAX))
        while True:
            await trio.lowlevel.wait_readable(self._plain.socket)
            try:
                return os.read(self._plain.socket.fileno(), _READ_BYTES_MAX)
            except BlockingIOError:
                continue

    async def _read_to_end(self) -> None:
        reader = self._reader
        while not reader.is_complete and reader.problem is None:
            await self._receive()
        if reader.problem is not None:
            raise BrokenAnswerError(reader.problem, has_left=self.has_left)
        self.is_reusable = self._is_kept = reader.is_clean

    async def _receive(self) -> None:
        try:
            data = await self._read_some()
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            raise self._lost() from None
        if not (data or self._has_heard):
            raise self._lost()
        self._has_heard = True
        if data:
            self._reader.feed(data)
        else:
            self._reader.end()

    def _lost(self) -> WalletConnectionError:
        is_stale = self._is_kept and not self._has_heard
        return (StaleConnectionError if is_stale else BrokenAnswerError)(LOST, has_left=self.has_left)
