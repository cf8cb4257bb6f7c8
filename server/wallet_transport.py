"""How wallet calls travel: an ``httpx`` transport over connections that are kept for each operator apart.

``httpx`` comes with a transport of its own, whose pool hands a connection on without looking whether bytes were left
on it (see ``wallet_connection``), and which resolves names in threads that all hosts share.
"""

import ssl
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import httpx
import trio

from server.wallet_connection import Endpoint, Resolver, WalletConnection, connect

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSettings:
    """Bounds of the transport.

    ``idle_connections_max`` is per operator: above it the oldest idle connection is closed. How many calls to one
    operator are in flight is bounded by the caller. ``idle_ms_max`` stays below the 5 s after which common servers
    close an idle connection. An answer above ``answer_bytes_max`` is refused and its connection is closed.
    The body of a refusal isn't used: it is read for at most ``drain_ms_max`` so that the connection can be kept.
    ``resolver_threads_max`` is per operator: above it a call waits, within its own deadline.
    """

    answer_bytes_max: int = 65_536
    idle_connections_max: int = 16
    idle_ms_max: int = 4_000
    drain_ms_max: int = 250
    resolver_threads_max: int = 4


@dataclass(frozen=True, slots=True)
class _Idle:
    """A kept connection, until ``expires_at`` by trio's clock."""

    endpoint: Endpoint
    connection: WalletConnection
    expires_at: float


class WalletTransport(httpx.AsyncBaseTransport):
    """Carries POSTs whose extensions say for whom (``extensions`` makes them). The deadline is the caller's.

    An answer has its body only with status 200, whole and as it came. Of its headers it has only ``Content-Encoding``:
    without the others the client has no cookie to keep and no redirect to prepare.
    """

    def __init__(self, settings: TransportSettings, ssl_context: ssl.SSLContext, resolver: Resolver) -> None:
        self._settings = settings
        self._ssl_context = ssl_context
        self._resolver = resolver
        self._idle: dict[UUID, list[_Idle]] = {}
        self._is_closed = False

    @staticmethod
    def extensions(operator_id: UUID, *, may_reuse: bool) -> dict[str, object]:
        """A request's extensions: whose connections it may use, and whether it may use a kept one."""
        return {"operator_id": operator_id, "may_reuse": may_reuse}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One exchange. Raises ``WalletConnectionError`` and, for headers that can't be sent, ``h11`` errors."""
        operator_id = request.extensions["operator_id"]
        endpoint = _endpoint(request.url)
        connection = await self._take_idle(operator_id, endpoint) if request.extensions["may_reuse"] else None
        if connection is None:
            addresses = await self._resolver.addresses(operator_id, endpoint)
            connection = await connect(endpoint, addresses, self._ssl_context)
        try:
            answer = await connection.exchange(
                request.url.raw_path,
                request.headers.raw,
                request.content,
                answer_bytes_max=self._settings.answer_bytes_max,
                drain_ms_max=self._settings.drain_ms_max,
            )
        finally:
            self._keep_or_close(operator_id, endpoint, connection)
        headers = [header for header in answer.headers if header[0] == b"content-encoding"]
        return httpx.Response(answer.status, headers=headers, stream=httpx.ByteStream(answer.body))

    def close(self) -> None:
        """Close the idle connections and keep no more; calls in flight go on. To be called inside trio."""
        self._is_closed = True
        for kept in self._idle.values():
            for idle in kept:
                idle.connection.close()
        self._idle.clear()

    async def _take_idle(self, operator_id: UUID, endpoint: Endpoint) -> WalletConnection | None:
        """The operator's newest idle connection that is still good; the others that are not are closed."""
        kept = self._idle.get(operator_id, [])
        while kept:
            idle = kept.pop()
            try:
                is_current = idle.endpoint == endpoint and trio.current_time() < idle.expires_at
                if is_current and await idle.connection.is_quiet():
                    return idle.connection
            except BaseException:
                idle.connection.close()
                raise
            idle.connection.close()
        return None

    def _keep_or_close(self, operator_id: UUID, endpoint: Endpoint, connection: WalletConnection) -> None:
        if not connection.is_reusable or self._is_closed:
            connection.close()
            return
        now = trio.current_time()
        kept = self._idle.setdefault(operator_id, [])
        kept.append(_Idle(endpoint, connection, now + self._settings.idle_ms_max / 1000))
        # In order of age: what has expired is in front.
        while kept and (kept[0].expires_at <= now or len(kept) > self._settings.idle_connections_max):
            kept.pop(0).connection.close()


def _endpoint(url: httpx.URL) -> Endpoint:
    return Endpoint(url.raw_host.decode("ascii"), url.port or _DEFAULT_PORTS[url.scheme], url.scheme == "https")
