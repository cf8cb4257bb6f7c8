"""The pool's connections, kept out of it between two units of work: a way into the pool and out again costs as much as
all else of a small unit's crossing. For the event loop's thread only."""

import asyncio
from collections import deque
from typing import Any, Final

import asyncpg

PooledConnection = asyncpg.pool.PoolConnectionProxy

IDLE_S_MAX: Final = 30.0
"""What was not used for so long goes back into the pool, which closes it after a while."""


class KeptConnections:
    """Lends the connections of ``pool``, the last one used first.

    What had trouble, or was closed meanwhile, goes back into the pool, which makes a new one in its place. What is too
    old, or can only be read from, is closed.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._idle: deque[tuple[float, PooledConnection]] = deque()
        """With the time by the loop's clock when it was given back, the oldest first."""
        self._waiting = 0

    async def take(self, timeout_s: float) -> PooledConnection:
        """A connection to be used alone until ``give_back``. Raises like the pool, and ``TimeoutError``."""
        while self._idle:
            _, connection = self._idle.pop()
            if _is_open(connection):
                if not _is_past_use(connection):
                    return connection
                connection.terminate()
            await self._pool.release(connection)
        self._waiting += 1
        try:
            while True:
                connection = await self._pool.acquire(timeout=timeout_s)
                if not _is_past_use(connection):
                    return connection
                connection.terminate()
        finally:
            self._waiting -= 1

    async def give_back(self, connection: PooledConnection, *, is_well: bool) -> None:
        """Keep it, unless the unit failed on it or somebody waits at the pool for one."""
        if _is_open(connection) and _is_past_use(connection):
            connection.terminate()
        if not is_well or self._waiting:
            await self._pool.release(connection)
            return
        now = asyncio.get_running_loop().time()
        self._idle.append((now, connection))
        if self._idle[0][0] < now - IDLE_S_MAX:
            await self._pool.release(self._idle.popleft()[1])

    async def close(self, timeout_s: float) -> None:
        """Close all connections, by force those that are still in use after ``timeout_s``."""
        while self._idle:
            await self._pool.release(self._idle.pop()[1])
        try:
            await asyncio.wait_for(self._pool.close(), timeout_s)
        except TimeoutError:
            self._pool.terminate()


def _is_open(connection: PooledConnection) -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        return False  # The pool has taken it back: its server closed it.


def _is_past_use(connection: PooledConnection) -> bool:
    """See ``AgingConnection``: the pool's proxies pass the question on."""
    aging: Any = connection
    return bool(aging.is_past_use)
