"""One connection of asyncpg's: to the first of the URL's places that lets us in and can be written to.

asyncpg would give the first place all the time there is, and send what a pooler between refuses in a first packet.
For the event loop's thread only.
"""

import asyncio
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from server.db.driver.tls import tls_of
from server.db.driver.url import Place, Places

GOLDEN: Final = 0.618_033_988_749_895
"""Multiples of it, without their whole parts, are spread evenly however many there are: connections that were made
together are not renewed together."""
AGE_SPREAD: Final = 0.25
"""The part of the age limit by which limits of connections differ."""

_NEXT_PLACE: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.TargetServerAttributeNotMatched,
)
"""Another place may do better. A wrong password is wrong everywhere, as libpq has it."""
PAST_USE: Final = ("25006", "08", "57")
"""SQLSTATE's code of a server that only reads, and its classes of lost connections and of an operator's intervention: a
connection that has met one of them may answer for ever, and be of no use."""

_TCP_SETTINGS: Final = {
    "keepalives_idle": "TCP_KEEPIDLE",
    "keepalives_interval": "TCP_KEEPINTVL",
    "keepalives_count": "TCP_KEEPCNT",
    "tcp_user_timeout": "TCP_USER_TIMEOUT",
}
"""libpq's names, and the sockets'; not every system has them all."""


if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection


class AgingConnection(_Connection):
    """Knows when it is to be replaced."""

    __slots__ = ("expires_at_s", "may_only_read")

    expires_at_s: float
    """By the loop's clock."""
    may_only_read: bool
    """Whether the URL says that any server will do."""

    @property
    def is_past_use(self) -> bool:
        """Whether it is too old, or its server has said that it only reads from now on."""
        if asyncio.get_running_loop().time() >= self.expires_at_s:
            return True
        said = self.get_settings()
        is_read_only = "on" in {
            getattr(said, "in_hot_standby", "off"),
            getattr(said, "default_transaction_read_only", "off"),
        }
        return is_read_only and not self.may_only_read


class Connector:
    """Makes the pool's connections; ``settings`` are PostgreSQL's, set once a connection is made."""

    def __init__(
        self, places: Places, settings: Mapping[str, str], *, timeout_s: float, command_timeout_s: float, age_s: float
    ) -> None:
        """Raises ``DatabaseUrlError`` if a TLS file is missing or no good."""
        self._places = places
        self._settings = "; ".join(f"SET {name} = '{value}'" for name, value in settings.items())
        self._timeout_s = timeout_s
        self._age_s = age_s
        self._made = 0
        given = places.parameters
        self._arguments: dict[str, Any] = {
            "user": places.user,
            "password": places.password,
            "passfile": places.passfile,
            "database": places.database,
            "ssl": tls_of(given),
            "direct_tls": given.get("sslnegotiation") == "direct",
            "target_session_attrs": given["target_session_attrs"],
            "command_timeout": command_timeout_s,
            "server_settings": {"options": given["options"]} if "options" in given else {},
            "connection_class": AgingConnection,
        }

    async def connect(self, _dsn: None = None, **of_pool: Any) -> AgingConnection:
        """For ``asyncpg.create_pool``. Raises like ``asyncpg.connect``, and ``TimeoutError`` at the timeout."""
        trouble: Exception | None = None
        share_s = self._places.share_s(self._timeout_s)
        async with asyncio.timeout(self._timeout_s):
            for place in self._places.in_order():
                try:
                    async with asyncio.timeout(share_s):
                        connection = await self._connect_to(place, of_pool)
                except _NEXT_PLACE as error:
                    trouble = _more_telling(trouble, error)
                else:
                    self._places.note_answer(place)
                    return connection
        assert trouble is not None
        raise trouble

    async def _connect_to(self, place: Place, of_pool: dict[str, Any]) -> AgingConnection:
        arguments = self._arguments | of_pool
        connection: AgingConnection = await asyncpg.connect(
            host=place.host, port=int(place.port), timeout=self._timeout_s, **arguments
        )
        try:
            if not place.is_socket:
                _keep_alive(connection, self._places.parameters)
            await connection.execute(self._settings)
        except BaseException:
            connection.terminate()
            raise
        self._made += 1
        spread = AGE_SPREAD * (self._made * GOLDEN % 1)
        connection.may_only_read = self._arguments["target_session_attrs"] == "any"
        connection.expires_at_s = asyncio.get_running_loop().time() + self._age_s * (1 - spread)
        return connection


def _more_telling(before: Exception | None, now: Exception) -> Exception:
    """What a server said tells more than that there is none, or that another one only reads."""
    if isinstance(before, asyncpg.PostgresError) and not isinstance(now, asyncpg.PostgresError):
        return before
    return now


def _keep_alive(connection: Any, parameters: Mapping[str, str]) -> None:  # noqa: ANN401 - its transport is nobody's business
    """As libpq does for its own: a peer that has gone without a word is noticed."""
    transport: asyncio.Transport = connection._transport
    link = transport.get_extra_info("socket")
    if link is None or parameters.get("keepalives") == "0":
        return
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, option in _TCP_SETTINGS.items():
        value = int(parameters.get(name, "0"))
        if value and hasattr(socket, option):
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
