"""How an operator's wallet calls travel: below httpx's client, over connections of that operator alone."""

import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Any, Final

import httpx
import trio

from server.wallet.address_policy import AddressPolicy
from server.wallet.connection import AnswerBounds, Endpoint, Sending, UnansweredError, WalletConnection, connect

# The shape of ``socket.getaddrinfo``.
Lookup = Callable[..., Sequence[tuple[Any, Any, Any, Any, Any]]]

ADDRESSES_MAX: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSettings(AnswerBounds):
    """Bounds of one operator's transport.

    Above ``idle_connections_max`` the oldest idle connection is closed. How many calls to one operator are in flight is
    bounded by the caller. ``idle_ms_max`` stays below the 5 s after which common servers close an idle connection.
    Above ``resolver_threads_max`` a call waits, within its own deadline: a name server that is stuck holds its threads
    long after the calls that waited for it have given up, and must not end the resolution of other operators' names.
    """

    idle_connections_max: int = 16
    idle_ms_max: int = 4_000
    resolver_threads_max: int = 4


class WalletTransport(httpx.AsyncBaseTransport):
    """Carries requests that have a ``Sending`` in their extensions, until its caller's scope ends."""

    def __init__(
        self,
        settings: TransportSettings,
        ssl_context: ssl.SSLContext,
        policy: AddressPolicy,
        lookup: Lookup = socket.getaddrinfo,
    ) -> None:
        self._settings = settings
        self._ssl_context = ssl_context
        self._policy = policy
        self._lookup = lookup
        self._resolver_threads = trio.CapacityLimiter(settings.resolver_threads_max)
        # In order of age: what has expired is in front.
        self._idle: list[WalletConnection] = []
        self._is_closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a POST, on a kept connection if it may, and read the whole answer. Raises ``UnansweredError``."""
        sending: Sending = request.extensions["sending"]
        endpoint = Endpoint.of(request.url)
        connection = await self._take_idle(endpoint) if sending.may_reuse else None
        if connection is None:
            connection = await connect(endpoint, await self.addresses(endpoint), self._ssl_context)
        try:
            return await connection.exchange(request, sending, self._settings)
        finally:
            self._keep_or_close(connection)

    async def aclose(self) -> None:
        """Close the idle connections and keep no more; calls in flight go on."""
        self._is_closed = True
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def addresses(self, endpoint: Endpoint) -> list[str]:
        """At most ``ADDRESSES_MAX`` addresses that a wallet may be at, in order of preference.

        Resolved once: what was judged is what is connected to, whatever the name means a moment later.
        Raises ``UnansweredError``.
        """
        permitted = self._policy.permitted(await self._resolved(endpoint))
        if not permitted:
            raise UnansweredError(
                "the wallet's host is at a private, loopback or reserved address, which [wallet] "
                "allow_private_networks does not name"
            )
        return permitted

    async def _resolved(self, endpoint: Endpoint) -> list[str]:
        try:
            return [str(ip_address(endpoint.host))]
        except ValueError:
            pass
        try:
            found = await trio.to_thread.run_sync(
                partial(self._lookup, endpoint.host, endpoint.port, type=socket.SOCK_STREAM),
                abandon_on_cancel=True,
                limiter=self._resolver_threads,
            )
        except (OSError, UnicodeError):
            raise UnansweredError("the name of the wallet's host was not found") from None
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))[:ADDRESSES_MAX]

    async def _take_idle(self, endpoint: Endpoint) -> WalletConnection | None:
        """The newest idle connection that is still good; the others that are not are closed."""
        while self._idle:
            connection = self._idle.pop()
            is_good = False
            try:
                is_current = connection.endpoint == endpoint and trio.current_time() < connection.expires_at
                is_good = is_current and await connection.is_quiet()
            finally:
                if not is_good:
                    connection.close()
            if is_good:
                return connection
        return None

    def _keep_or_close(self, connection: WalletConnection) -> None:
        if not connection.is_reusable or self._is_closed:
            connection.close()
            return
        now = trio.current_time()
        connection.expires_at = now + self._settings.idle_ms_max / 1000
        self._idle.append(connection)
        while self._idle[0].expires_at <= now or len(self._idle) > self._settings.idle_connections_max:
            self._idle.pop(0).close()
