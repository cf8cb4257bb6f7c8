"""One HTTP/1.1 connection to a wallet, on trio.

httpx's own pool keeps bytes that follow an answer and takes them for the answer to the *next* call, whose money they
are not about. Here a connection is kept only when nothing is left on it.
"""

import math
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

import httpx
import trio

from server.wallet.answer import LOST, WalletAnswerReader

# How long an address may take to accept while there is another one to try.
_ADDRESS_S_MAX: Final = 1.0
_READ_BYTES_MAX: Final = 65_536
# How long a kept TLS connection is listened to for bytes that its last answer left behind the encryption.
_LISTEN_S: Final = 0.0005
_OF_USE: Final = b"retry-after"
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class UnansweredError(httpx.TransportError):
    """A call got no complete answer; the message is a fixed phrase that quotes nothing."""


@dataclass(slots=True)
class Sending:
    """One sending of a call, in the ``extensions`` of its request as ``sending``."""

    may_reuse: bool
    """It may go out on a connection that was kept from an earlier call."""
    has_left: bool = False
    """A byte of the request may have reached the wallet."""
    is_stale: bool = False
    """A connection that was kept ended before the first byte of an answer: it may have been closed just before."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    host: str
    port: int
    is_tls: bool

    @classmethod
    def of(cls, url: httpx.URL) -> Self:
        """Where a request to ``url`` goes."""
        return cls(url.raw_host.decode("ascii"), url.port or _DEFAULT_PORTS[url.scheme], url.scheme == "https")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerBounds:
    """An answer above ``answer_bytes_max`` is refused and its connection is closed. The body of a refusal is read for
    at most ``drain_ms_max``: its status has said what matters most."""

    answer_bytes_max: int = 65_536
    drain_ms_max: int = 250


async def connect(endpoint: Endpoint, addresses: Sequence[str], ssl_context: ssl.SSLContext) -> "WalletConnection":
    """Connect to the first address that accepts and, for https, verify. Raises ``UnansweredError``."""
    plain = await _connect_first(endpoint.port, addresses)
    if not endpoint.is_tls:
        return WalletConnection(endpoint, plain, plain)
    secure = trio.SSLStream(plain, ssl_context, server_hostname=endpoint.host, https_compatible=True)
    try:
        await secure.do_handshake()
    except BaseException as error:
        plain.socket.close()
        if isinstance(error, trio.BrokenResourceError | ssl.SSLError):
            raise UnansweredError("no secure connection to the wallet: TLS failed") from None
        raise
    return WalletConnection(endpoint, secure, plain)


async def _connect_first(port: int, addresses: Sequence[str]) -> trio.SocketStream:
    for index, address in enumerate(addresses):
        is_last = index == len(addresses) - 1
        with trio.move_on_after(math.inf if is_last else _ADDRESS_S_MAX):
            try:
                return await trio.open_tcp_stream(address, port)
            except OSError:
                continue
    raise UnansweredError("no connection to the wallet")


class WalletConnection:
    """A connection that carries one call at a time. Not safe to share between calls in flight."""

    def __init__(self, endpoint: Endpoint, stream: trio.abc.Stream, plain: trio.SocketStream) -> None:
        self.endpoint = endpoint
        self.expires_at = math.inf
        """While it is kept, by trio's clock."""
        self.is_reusable = False
        self._stream = stream
        self._plain = plain
        self._reader = WalletAnswerReader()
        self._has_heard = False

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
        with trio.move_on_after(_LISTEN_S) as scope, suppress(trio.BrokenResourceError):
            await self._stream.receive_some(1)
        return scope.cancelled_caught

    async def exchange(self, request: httpx.Request, sending: Sending, bounds: AnswerBounds) -> httpx.Response:
        """Send a whole request and read the answer. Afterwards ``is_reusable`` says whether the connection can be kept.

        Raises ``UnansweredError``.
        """
        reader, was_kept = self._reader, self.is_reusable
        reader.begin(bounds.answer_bytes_max)
        self.is_reusable = self._has_heard = False
        sending.has_left = True  # of what an encrypted stream has written, nothing is known
        await self._send(request)
        while not reader.is_headed and reader.problem is None:
            await self._receive()
        is_refusal = reader.is_headed and reader.status != 200
        with trio.move_on_after(bounds.drain_ms_max / 1000 if is_refusal else math.inf):
            while not reader.is_complete and reader.problem is None:
                await self._receive()
        self.is_reusable = reader.is_clean
        if reader.problem is not None and not is_refusal:
            sending.is_stale = was_kept and not self._has_heard
            raise UnansweredError(reader.problem)
        return _response(reader)

    async def _send(self, request: httpx.Request) -> None:
        with suppress(trio.BrokenResourceError):  # who refuses early may have answered before closing: reading tells
            await self._stream.send_all(_bytes_of(request))

    async def _receive(self) -> None:
        data = None
        with suppress(trio.BrokenResourceError):
            data = await self._stream.receive_some(_READ_BYTES_MAX)
        if data:
            self._has_heard = True
            self._reader.feed(bytes(data))
        elif data is None:
            self._reader.problem = LOST
        else:
            self._reader.end()


def _bytes_of(request: httpx.Request) -> bytes:
    head = b"".join(b"%b: %b\r\n" % header for header in request.headers.raw)
    return b"POST %b HTTP/1.1\r\n%b\r\n%b" % (request.url.raw_path, head, request.content)


def _response(reader: WalletAnswerReader) -> httpx.Response:
    """The body is whole, or, unless the status is 200, empty: then the status says all that matters.

    Of the head it has only what is of use: what else it says httpx would unpack, follow or remember.
    """
    is_whole = reader.is_complete and reader.problem is None
    if any(name == b"content-encoding" and value != b"identity" for name, value in reader.headers):
        if reader.status == 200:
            raise UnansweredError("the answer is compressed, which was not asked for")
        is_whole = False
    headers = [(name, value) for name, value in reader.headers if name == _OF_USE]
    return httpx.Response(reader.status, headers=headers, content=bytes(reader.body) if is_whole else b"")
