"""The database: a pool of connections behind the bridge, and the units of work that cross it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import asyncpg
import trio

from actors.ports.ledger import LedgerUnavailableError
from server.db.driver.bridge import Bridge
from server.db.driver.commit_statement import DirectStatement, Rows
from server.db.driver.connecting import PAST_USE, AgingConnection, Connector
from server.db.driver.heartbeat_line import KeptLine, Line
from server.db.driver.statements import COMMIT_GROUP
from server.db.driver.url import FORM, read_url
from server.db.embedded.embedded import EmbeddedServer
from server.db.errors import DatabaseUnavailableError, DatabaseUrlError, RefusedError

log = logging.getLogger("getaway.database")

Value = TypeVar("Value")
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection = asyncpg.pool.PoolConnectionProxy
Work = Callable[[Connection], Awaitable[Value]]

EMBEDDED = "embedded"
EMBEDDED_FOLDER = "postgres"
"""Of the embedded server, below ``data_dir``."""
POSTGRES_VERSION_MIN = 150_000
CONNECT_TIMEOUT_S = 10
LOCK_MS_MAX = 1_000
"""How long a statement waits for what somebody else has locked. Whoever waits keeps a connection from all others."""
CONNECTION_AGE_MS_MAX = 600_000
STARTING_UP_S_MAX = 300
"""How long the start waits for a database that is starting up itself: it may have to recover."""
STARTING_UP_PAUSE_S = 0.5

_BACKEND: Final = "SELECT pg_backend_pid()"
_CONFUSED: Final = (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError)
"""A statement was prepared on a connection that somebody else has had before, or has now."""
_NOT_SESSION_MODE: Final = (
    "the pooler before it gives one connection to many: it must be in session mode (pool_mode = session)"
)

REFUSALS = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, RefusedError)
"""The database says no to the values themselves: repeating the same work would be refused again."""

_TROUBLE = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    DatabaseUrlError,
)
"""Everything else says nothing about the work: it may be repeated, and whether it was done is not known."""


class Database:
    """Runs units of work, each on one connection, within ``command_timeout_ms`` including the wait for it."""

    def __init__(
        self,
        bridge: Bridge,
        pool: Pool,
        line: KeptLine,
        groups: DirectStatement,
        *,
        command_timeout_ms: int,
    ) -> None:
        self._bridge = bridge
        self._pool = pool
        self._line = line
        self._groups = groups
        self._timeout_s = command_timeout_ms / 1000
        self.embedded: EmbeddedServer | None = None
        """This process's use of the embedded server, if the database is in one."""

    async def run(self, work: Work[Value], *, timeout_ms: int | None = None) -> Value:
        """The result of ``await work(connection)``, in one crossing. ``timeout_ms`` replaces the usual deadline.

        Raises ``LedgerUnavailableError`` on trouble, one of ``REFUSALS``, and what else the work raises.
        """
        timeout_s = self._timeout_s if timeout_ms is None else timeout_ms / 1000

        async def on_loop() -> Value:
            async with asyncio.timeout(timeout_s):
                connection = await self._acquired(timeout_s)
                try:
                    return await work(connection)
                except asyncpg.PostgresError as error:
                    if (error.sqlstate or "").startswith(PAST_USE):
                        connection.terminate()
                    raise
                finally:
                    await self._pool.release(connection)

        with _trouble_is_unavailability():
            return await self._bridge.run(on_loop)

    async def _acquired(self, timeout_s: float) -> Connection:
        """A connection of the pool that is of use. The pool keeps the timeout for the way back, too: a dead connection
        can't hold a crossing for ever."""
        while True:
            connection = await self._pool.acquire(timeout=timeout_s)
            aging: Any = connection  # the pool's proxies pass the question on
            if not aging.is_past_use:
                return connection
            connection.terminate()
            await self._pool.release(connection)

    async def on_line(self, work: Callable[[Line], Awaitable[Value]]) -> Value:
        """The result of ``await work(line)``, on a connection that lasts and that no other unit of work waits for. The
        work may be done twice.

        Raises ``LedgerUnavailableError`` on trouble.
        """
        with _trouble_is_unavailability():
            return await self._bridge.run(lambda: self._line.run(work))

    async def commit_group(self, batch: str) -> Rows:
        """What ``COMMIT_GROUP`` answers for a batch: kind and key of what it has applied. Commits itself.

        Raises ``LedgerUnavailableError`` on trouble, and one of ``REFUSALS``.
        """
        return await self._groups.fetch(batch)

    async def in_transaction(self, work: Work[Value], *, timeout_ms: int | None = None) -> Value:
        """Like ``run``, all of it or nothing."""

        async def whole(connection: Connection) -> Value:
            async with connection.transaction():
                if timeout_ms is not None:
                    limits = (f"SET LOCAL {name} = {timeout_ms:d}" for name in ("statement_timeout", "lock_timeout"))
                    await connection.execute("; ".join(limits))
                return await work(connection)

        return await self.run(whole, timeout_ms=timeout_ms)

    async def in_snapshot(self, work: Work[Value], *, before: Work[None] | None = None) -> Value:
        """Like ``run``, for reads: all of its statements see the same moment.

        ``before`` comes first, on the same connection: a snapshot can read a temporary table, but not make one.
        """

        async def whole(connection: Connection) -> Value:
            if before is not None:
                await before(connection)
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return await work(connection)

        return await self.run(whole)


@contextmanager
def _trouble_is_unavailability() -> Iterator[None]:
    try:
        yield
    except REFUSALS:
        raise
    except _TROUBLE as error:
        raise LedgerUnavailableError(f"the database is in trouble ({type(error).__name__})") from error


@asynccontextmanager
async def open_database(
    url: str,
    data_dir: Path,
    *,
    pool_size: int = 8,
    command_timeout_ms: int = 10_000,
    version_min: int = POSTGRES_VERSION_MIN,
    embedded_connections_min: int | None = None,
    connection_age_ms_max: int = CONNECTION_AGE_MS_MAX,
) -> AsyncIterator[Database]:
    """Connect to ``url``, or start or join the embedded server below ``data_dir``.

    ``embedded_connections_min``: so many connections the embedded server must let in, if it has to be started.
    Raises ``DatabaseUnavailableError`` with one line for a person, never with the URL's password.
    """
    if url != EMBEDDED:
        async with _connected(url, pool_size, command_timeout_ms, version_min, connection_age_ms_max) as database:
            yield database
        return
    server = EmbeddedServer(data_dir / EMBEDDED_FOLDER, embedded_connections_min)
    try:
        embedded_url = await trio.to_thread.run_sync(lambda: server.open(trio.from_thread.check_cancelled))
        async with _connected(
            embedded_url, pool_size, command_timeout_ms, version_min, connection_age_ms_max
        ) as database:
            database.embedded = server
            yield database
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(server.close)


@asynccontextmanager
async def _connected(
    url: str, pool_size: int, command_timeout_ms: int, version_min: int, age_ms_max: int
) -> AsyncIterator[Database]:
    try:
        places = read_url(url)
        settings = _settings(places.application_name, command_timeout_ms)
        connector = Connector(
            places,
            settings,
            timeout_s=CONNECT_TIMEOUT_S,
            command_timeout_s=command_timeout_ms / 1000,
            age_s=age_ms_max / 1000,
        )
    except DatabaseUrlError as error:
        raise DatabaseUnavailableError(f"the database can't be used: {error}") from None

    with Bridge() as bridge:
        pool = await _reached(bridge, connector, pool_size, version_min)
        line = KeptLine(connector.connect)
        groups = DirectStatement(places, COMMIT_GROUP, settings, command_timeout_ms, age_ms_max)
        try:
            yield Database(bridge, pool, line, groups, command_timeout_ms=command_timeout_ms)
        finally:
            groups.close()
            with trio.CancelScope(shield=True):
                await bridge.run(line.close)
                await bridge.run(lambda: _close(pool))


def _settings(application_name: str, command_timeout_ms: int) -> dict[str, str]:
    """PostgreSQL's, of every connection; set by a statement, because a pooler refuses them in the first packet.

    Not ``default_transaction_read_only``: who turns that on means that nobody shall write.
    """
    return {
        "application_name": application_name.replace("'", "''"),
        "timezone": "UTC",
        "client_encoding": "UTF8",
        # What the statements are written for: each sees all that was committed before it began.
        "default_transaction_isolation": "read committed",
        "statement_timeout": str(command_timeout_ms),
        "lock_timeout": str(min(command_timeout_ms, LOCK_MS_MAX)),
        "idle_in_transaction_session_timeout": str(2 * command_timeout_ms),
    }


async def _nothing_to_reset(_connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """No unit of work leaves anything behind in its connection: what it sets is LOCAL, and its locks end with it.

    In place of the usual statement, which would be another round trip for each crossing.
    """


async def _close(pool: Pool) -> None:
    """By force, what is still in use after a while."""
    try:
        await asyncio.wait_for(pool.close(), CONNECT_TIMEOUT_S)
    except TimeoutError:
        pool.terminate()


async def _reached(bridge: Bridge, connector: Connector, pool_size: int, version_min: int) -> Pool:
    """The pool, once it has a connection to a server that is new enough and keeps connections apart."""
    is_waiting = False
    with trio.move_on_after(STARTING_UP_S_MAX):
        while True:
            reason = None
            try:
                return await bridge.run(lambda: _tried(connector, pool_size, version_min))
            except asyncpg.CannotConnectNowError:
                if not is_waiting:
                    log.warning("the database is starting up or shutting down; waiting until it lets us in")
                is_waiting = True
            except _TROUBLE as error:
                reason = _reason(error)
            if reason is not None:
                raise DatabaseUnavailableError(f"the database can't be used: {reason}")
            await trio.sleep(STARTING_UP_PAUSE_S)
    raise DatabaseUnavailableError(f"the database can't be used: it lets nobody in, even after {STARTING_UP_S_MAX} s")


async def _tried(connector: Connector, pool_size: int, version_min: int) -> Pool:
    connect: Any = connector.connect  # it takes what the pool passes on, whatever that is
    pool = await asyncpg.create_pool(
        min_size=1, max_size=pool_size, connection_class=AgingConnection, connect=connect, reset=_nothing_to_reset
    )
    is_well = False
    try:
        version = int(await pool.fetchval("SHOW server_version_num"))
        if version < version_min:
            raise DatabaseUrlError(
                f"PostgreSQL {version_min // 10_000} or newer is needed, and this is {version // 10_000}"
            )
        async with pool.acquire() as connection:
            backend = await connection.fetchval(_BACKEND)
            if connection.get_server_pid() != backend:  # a pooler has its own numbers
                await _check_pooler(connector, backend)
        is_well = True
    finally:
        if not is_well:
            pool.terminate()
    return pool


async def _check_pooler(connector: Connector, backend: int) -> None:
    """Between two transactions of one connection, a pooler in session mode gives its backend to no other."""
    other = await connector.connect()
    try:
        if await other.fetchval(_BACKEND) == backend:
            raise DatabaseUrlError(_NOT_SESSION_MODE)
    finally:
        other.terminate()


def _reason(error: Exception) -> str:
    """Why the database can't be used, in one line. What a server or the system says holds no password; errors about
    the URL itself are told in words of our own."""
    lines = str(error).splitlines()
    said = lines[0] if lines else type(error).__name__
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_TIMEOUT_S} s"
    if isinstance(error, _CONFUSED):
        return _NOT_SESSION_MODE
    if isinstance(error, asyncpg.TooManyConnectionsError):
        return f"{said}: raise its max_connections (or the limit of the role or database), or lower pool_size"
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return "none of its servers lets anybody write: is it a standby, or default_transaction_read_only on?"
    if isinstance(error, (OSError, asyncpg.PostgresError, DatabaseUrlError)):
        return said
    return f"its URL must be {FORM} ({type(error).__name__})"
