"""The database: a pool of connections behind the bridge, and the units of work that cross it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import asyncpg
import trio

from actors.ports import LedgerUnavailableError
from server.db.bridge import Bridge
from server.db.embedded import embedded_server
from server.db.errors import DatabaseUnavailableError

Value = TypeVar("Value")
Connection = asyncpg.pool.PoolConnectionProxy
Work = Callable[[Connection], Awaitable[Value]]

EMBEDDED = "embedded"
POSTGRES_VERSION_MIN = 150_000
CONNECT_TIMEOUT_S = 10

_TROUBLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    OSError,
    TimeoutError,
)
"""What says nothing about the work itself: it may be repeated, and whether it was done is not known."""


class Database:
    """Runs units of work, each on one connection, within ``command_timeout_ms`` including the wait for it."""

    def __init__(self, bridge: Bridge, pool: "asyncpg.Pool[asyncpg.Record]", command_timeout_ms: int) -> None:
        self._bridge = bridge
        self._pool = pool
        self._timeout_s = command_timeout_ms / 1000

    async def run(self, work: Work[Value]) -> Value:
        """The result of ``await work(connection)``, in one crossing.

        Raises ``LedgerUnavailableError`` on trouble and what the work raises otherwise.
        """

        async def on_loop() -> Value:
            async with asyncio.timeout(self._timeout_s), self._pool.acquire() as connection:
                return await work(connection)

        with _trouble_is_unavailability():
            return await self._bridge.run(on_loop)

    async def in_transaction(self, work: Work[Value]) -> Value:
        """Like ``run``, all of it or nothing."""

        async def whole(connection: Connection) -> Value:
            async with connection.transaction():
                return await work(connection)

        return await self.run(whole)


@contextmanager
def _trouble_is_unavailability() -> Iterator[None]:
    try:
        yield
    except _TROUBLE as error:
        raise LedgerUnavailableError(f"the database is in trouble ({type(error).__name__})") from error


@asynccontextmanager
async def open_database(
    url: str, data_dir: Path, *, pool_size: int = 8, command_timeout_ms: int = 10_000
) -> AsyncIterator[Database]:
    """Connect to ``url``, or start or join the embedded server under ``data_dir/postgres``.

    Raises ``DatabaseUnavailableError`` with one line for a person.
    """
    if url != EMBEDDED:
        async with _connected(url, pool_size, command_timeout_ms) as database:
            yield database
        return
    server = embedded_server(data_dir / "postgres")
    embedded_url = await trio.to_thread.run_sync(server.__enter__)
    try:
        async with _connected(embedded_url, pool_size, command_timeout_ms) as database:
            yield database
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(lambda: server.__exit__(None, None, None))


@asynccontextmanager
async def _connected(url: str, pool_size: int, command_timeout_ms: int) -> AsyncIterator[Database]:
    async def connect() -> "asyncpg.Pool[asyncpg.Record]":
        return await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=pool_size,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=command_timeout_ms / 1000,
            server_settings={
                "application_name": "getaway",
                "timezone": "UTC",
                "statement_timeout": str(command_timeout_ms),
                "idle_in_transaction_session_timeout": str(2 * command_timeout_ms),
            },
        )

    with Bridge() as bridge:
        try:
            pool = await bridge.run(connect)
        except (*_TROUBLE, asyncpg.PostgresError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DatabaseUnavailableError(f"the database can't be reached: {reason}") from error
        try:
            database = Database(bridge, pool, command_timeout_ms)
            await _check_version(database)
            yield database
        finally:
            with trio.CancelScope(shield=True):
                await bridge.run(lambda: _close(pool))


async def _check_version(database: Database) -> None:
    version = int(await database.run(lambda connection: connection.fetchval("SHOW server_version_num")))
    if version < POSTGRES_VERSION_MIN:
        raise DatabaseUnavailableError(f"PostgreSQL 15 or newer is needed, and this is {version // 10_000}")


async def _close(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    try:
        await asyncio.wait_for(pool.close(), CONNECT_TIMEOUT_S)
    except TimeoutError:
        pool.terminate()
