"""The listener: accepts connections, contains each of them, and ends them in order.

Whatever a client sends, what it makes the libraries raise ends at ``_contained``: the connection is cut, at most one
line is logged, and nobody else notices.
"""

import errno
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import trio
from hypercorn.typing import ASGIFramework

from actors.kit.clock import ServerClock
from actors.kit.fair_queue import Turnstile
from actors.play.lobby import Lobby
from server.edge.http.http_connection import HttpServer, ProtocolSwitchError
from server.edge.http.refusals import full, refusal_bytes
from server.edge.listen.admission import Admission
from server.edge.listen.connection import (
    Connection,
    EdgeObserver,
    HelloObserver,
    NoHellos,
    NoObserver,
    Port,
    tls_context,
)
from server.edge.listen.tolerance import Tolerance
from server.edge.player.pinger import Pinger
from server.edge.player.player_socket import PlayerPort
from server.edge.settings import EdgeSettings
from server.edge.wire.failures import where
from server.edge.wire.transport import Transport
from server.edge.wire.unsent import Unsent

log = logging.getLogger("getaway.edge")

_CLIENT_GONE: Final = (
    errno.ECONNABORTED,
    errno.ECONNRESET,
    errno.EPERM,
    errno.EPROTO,
    errno.ENETDOWN,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ETIMEDOUT,
)
"""What ``accept`` may report of a connection that has ended already: the next one is not concerned."""
_ORDINARY: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError, ProtocolSwitchError)
"""How connections end that are lost, cut or refused."""

ACCEPTED_AT_ONCE_MAX: Final = 16
"""The kernel's queue knows no turns: whoever is honest waits there behind all that a flood has put in. It is emptied as
fast as places are given and refused, and the turns come after it."""
CALLS_AT_ONCE: Final = 8
"""Of operators' calls, which are counted by operator. What shares a turn of the loop is cheaper: one at a time would be
a third fewer launches a second than eight."""
QUIET_MOMENT_S_MAX: Final = 0.004
"""So that a busy server still lets some 200 a second in."""
_CUT_TIMEOUT_S: Final = 1
"""For tasks to notice that their connection was cut."""


class Edge:
    """A port that is served. ``host`` and ``port`` are where it listens."""

    def __init__(self, listener: socket.socket, shared: Port, nursery: trio.Nursery) -> None:
        self.host: str
        self.port: int
        self.host, self.port = listener.getsockname()[:2]
        self._listener = listener
        self._shared = shared
        self._settings = shared.settings
        self._nursery = nursery
        self._goodbyes = Turnstile(shared.settings.connections_max, shared.settings.connections_max)
        self._unsent = Unsent(shared.settings.unsent_bytes_total_max)
        self._connections: set[Connection] = set()
        self._refusals: set[Transport] = set()
        self._accepting = trio.CancelScope()
        self._quiet = trio.Event()
        self._is_stopping = False

    @property
    def connections_open(self) -> int:
        """Connections that are served, players' sockets among them."""
        return len(self._connections)

    @property
    def gave_way(self) -> int:
        """Connections without a session that were cut for others, so far."""
        return self._shared.admission.gave_way

    @property
    def players_open(self) -> int:
        return len(self._shared.player_sockets)

    async def accept(self) -> None:
        """Accept connections until ``stop``; whatever ends this, no connection holds it up."""
        try:
            with self._accepting, self._listener:
                while True:
                    await self._accept_some()
        except BaseException:
            self._cut_all()  # hypercorn's writes are shielded: only this ends them
            raise

    async def _accept_some(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE_MAX):
            try:
                raw, peer = self._listener.accept()
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._listener)
                return
            except OSError as error:
                if error.errno not in _CLIENT_GONE:
                    log.warning("no connection can be accepted", extra={"error": _name(error)})
                    await trio.sleep(self._settings.accept_pause_ms / 1000)
                break
            self._take(raw, peer)
        await trio.lowlevel.checkpoint()  # however many there are to accept, others get their turn

    def _take(self, raw: socket.socket, peer: tuple[str, int]) -> None:
        try:
            raw.setblocking(False)
            transport = Transport(
                raw,
                send_timeout_s=self._settings.send_timeout_ms / 1000,
                send_bytes_per_second_min=self._settings.send_bytes_per_second_min,
                unsent=self._unsent,
                goodbyes=self._goodbyes,
            )
        except OSError:
            raw.close()
        else:
            self._admit(transport, peer[0] if peer else "")

    def _admit(self, transport: Transport, peer: str) -> None:
        connection = Connection(transport, self._shared, peer)
        if self._shared.admission.admit(connection, connection.group):
            self._connections.add(connection)
            self._nursery.start_soon(self._contained, connection)
            return
        self._shared.observer.connection_refused()
        if self._shared.tls is None and len(self._refusals) < self._settings.refusals_max:
            self._refusals.add(transport)
            self._nursery.start_soon(self._refuse, transport)
        else:
            transport.cut()

    async def _contained(self, connection: Connection) -> None:
        try:
            await connection.run()
        except* _ORDINARY:
            pass
        except* Exception as group:
            log.warning("a connection failed", extra={"error": where(group)})
        finally:
            connection.cut()
            self._shared.admission.leave(connection)
            self._connections.discard(connection)
            self._note_quiet()

    async def _refuse(self, transport: Transport) -> None:
        try:
            with trio.move_on_after(self._settings.refusal_timeout_ms / 1000):
                await transport.send_all(refusal_bytes(full()))
                await transport.linger(self._settings.refusal_timeout_ms / 1000)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            transport.cut()
            self._refusals.discard(transport)
            self._note_quiet()

    def _note_quiet(self) -> None:
        if not self._connections and not self._refusals:
            self._quiet.set()

    async def stop(self) -> None:
        """Accept nothing more, close what is idle, give the rest ``shutdown_timeout_ms``, then cut it.

        Whoever calls it again, meanwhile or later, waits until it is over.
        """
        if not self._is_stopping:
            self._is_stopping = True
            self._accepting.cancel()
            self._quiet = trio.Event()
            self._note_quiet()
            await self._shared.http.finish()
            for connection in list(self._connections):
                connection.finish()
        with trio.move_on_after(self._settings.shutdown_timeout_ms / 1000):
            await self._quiet.wait()
        self._cut_all()
        self._nursery.cancel_scope.cancel()
        with trio.move_on_after(_CUT_TIMEOUT_S):
            await self._quiet.wait()

    def _cut_all(self) -> None:
        for connection in list(self._connections):
            connection.cut()
        for transport in list(self._refusals):
            transport.cut()


@dataclass(frozen=True, slots=True)
class ListeningAddress:
    """A port that is ours. A context manager: leaving it closes the port.

    Connections wait until it is served if ``listener`` listens already; they are refused if it is only bound.
    """

    settings: EdgeSettings
    listener: socket.socket
    tls: ssl.SSLContext | None

    def copy(self) -> "ListeningAddress":
        """The same port once more: connections wait there until all copies are closed. Raises ``OSError``."""
        return ListeningAddress(self.settings, self.listener.dup(), self.tls)

    def close(self) -> None:
        """Give the port up, for this copy."""
        self.listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


async def listen(settings: EdgeSettings) -> ListeningAddress:
    """Take the port. Raises ``OSError`` if it can't be listened on or the TLS files can't be used."""
    tls = tls_context(settings)
    return ListeningAddress(settings, await _bound(settings), tls)


async def serve_edge(
    listening: ListeningAddress,
    app: ASGIFramework,
    *,
    lobby: Lobby | None,
    clock: ServerClock,
    observer: EdgeObserver | None = None,
    is_caller: Callable[[bytes], bool] = lambda head: False,
    security: HelloObserver | None = None,
    task_status: trio.TaskStatus[Edge] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve ``app``, and players if there is a ``lobby``, until the ``Edge`` that is reported is stopped.

    ``is_caller`` tells whether a request's head has the key of an operator.

    Raises ``OSError`` if a port that is only bound can't be listened on.
    """
    players, settings = None, listening.settings
    if lobby is not None:
        players = PlayerPort(
            lobby=lobby,
            clock=clock,
            settings=listening.settings,
            pinger=Pinger(listening.settings),
            unsent=Unsent(listening.settings.unsent_bytes_total_max),
        )
    shared = Port(
        settings=listening.settings,
        http=HttpServer(app, listening.settings),
        players=players,
        observer=observer or NoObserver(),
        security=security or NoHellos(),
        tls=listening.tls,
        admission=Admission(settings.connections_max, settings.connections_of_one_max),
        turnstile=Turnstile(settings.connections_max, settings.connections_max, patience_s=QUIET_MOMENT_S_MAX),
        calls=Turnstile(
            settings.connections_max, settings.connections_max, patience_s=QUIET_MOMENT_S_MAX, at_once=CALLS_AT_ONCE
        ),
        hellos=Turnstile(settings.connections_max, settings.connections_max),
        tolerance=Tolerance(settings.units_per_second, settings.units_burst),
        is_caller=is_caller,
        player_sockets=set(),
    )
    listening.listener.listen(listening.settings.backlog)
    async with trio.open_nursery() as nursery:
        edge = Edge(listening.listener, shared, nursery)
        nursery.start_soon(edge.accept)
        if players is not None:
            nursery.start_soon(players.pinger.run)
        task_status.started(edge)


async def address_of(settings: EdgeSettings) -> tuple[socket.AddressFamily, tuple[str, int], bool]:
    """Where to bind: the family, address and port, and whether IPv4 is taken as well. Raises ``OSError``."""
    found = await trio.socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
    )
    family, _, _, _, address = found[0]
    takes_both = settings.host == "::" and socket.has_dualstack_ipv6()
    return family, (str(address[0]), int(address[1])), takes_both


async def _bound(settings: EdgeSettings) -> socket.socket:
    family, address, takes_both = await address_of(settings)
    listener = socket.create_server(address, family=family, backlog=settings.backlog, dualstack_ipv6=takes_both)
    listener.setblocking(False)
    return listener


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, type(error).__name__)
