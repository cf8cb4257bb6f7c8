"""How wallet calls travel: connections that are kept for each operator apart.

``httpx`` would bring a pool that hands a connection on without looking whether bytes were left on it (see
``wallet_connection``), and which resolves names in threads that all hosts share.
"""

import ssl
from dataclasses import dataclass
from uuid import UUID

import trio

from server.wallet.address_policy import AddressPolicy
from server.wallet.connection import (
    Endpoint,
    ForbiddenAddressError,
    HttpAnswer,
    NotConnectedError,
    OverdueError,
    Resolver,
    WalletConnection,
    connect,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSettings:
    """Bounds of the transport.

    ``idle_connections_max`` is per operator: above it the oldest idle connection is closed. How many calls to one
    operator are in flight is bounded by the caller. ``idle_ms_max`` stays below the 5 s after which common servers
    close an idle connection. An answer above ``answer_bytes_max`` is refused and its connection is closed.
    The body of a refusal is read for at most ``drain_ms_max``: its status has said what matters most.
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


class WalletTransport:
    """Carries whole requests, each for one operator."""

    def __init__(
        self,
        settings: TransportSettings,
        ssl_context: ssl.SSLContext,
        resolver: Resolver,
        policy: AddressPolicy,
    ) -> None:
        self._policy = policy
        self._settings = settings
        self._ssl_context = ssl_context
        self._resolver = resolver
        self._idle: dict[UUID, list[_Idle]] = {}
        self._is_closed = False

    async def exchange(
        self, operator_id: UUID, endpoint: Endpoint, request: bytes, *, may_reuse: bool, give_up_at: float
    ) -> HttpAnswer:
        """Send a POST, on one of the operator's kept connections if it ``may_reuse`` one, and read the answer.

        All of it until ``give_up_at`` by trio's clock. Raises ``WalletConnectionError``.
        """
        connection = await self._take_idle(operator_id, endpoint) if may_reuse else None
        with trio.move_on_at(give_up_at):
            if connection is None:
                addresses = await self._permitted_addresses(operator_id, endpoint)
                connection = await connect(endpoint, addresses, self._ssl_context)
            return await self._exchange(operator_id, endpoint, connection, request)
        if connection is None:
            raise NotConnectedError("no connection to the wallet in time")
        raise OverdueError("no answer in time", has_left=connection.has_left)

    def close(self) -> None:
        """Close the idle connections and keep no more; calls in flight go on. To be called inside trio."""
        self._is_closed = True
        for kept in self._idle.values():
            for idle in kept:
                idle.connection.close()
        self._idle.clear()

    async def _exchange(
        self, operator_id: UUID, endpoint: Endpoint, connection: WalletConnection, request: bytes
    ) -> HttpAnswer:
        try:
            return await connection.exchange(
                request,
                answer_bytes_max=self._settings.answer_bytes_max,
                drain_ms_max=self._settings.drain_ms_max,
            )
        finally:
            self._keep_or_close(operator_id, endpoint, connection)

    async def _permitted_addresses(self, operator_id: UUID, endpoint: Endpoint) -> list[str]:
        """Resolved once: what was judged is what is connected to, whatever the name means a moment later.

        Raises ``NotConnectedError``.
        """
        found = await self._resolver.addresses(operator_id, endpoint)
        permitted = self._policy.permitted(found)
        if not permitted:
            raise ForbiddenAddressError(
                "the wallet's host is at a private, loopback or reserved address, which [wallet] "
                "allow_private_networks does not name"
            )
        return permitted

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
