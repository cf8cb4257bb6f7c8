"""A connection beside the pool, which nobody waits for: heartbeats must not stand in a queue, and the lock that their
connection holds says whether the process lives. For the event loop's thread only."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg

from server.db.driver.connecting import PAST_USE, AgingConnection

Value = TypeVar("Value")

LINE_MS_MAX: Final = 2_000
"""How long a statement may take. A server that is silent for longer is left: half a lease remains to reach another."""


class Line:
    """What a unit of work on the line is given: the connection, and the locks that it holds for as long as it lasts."""

    def __init__(self, connection: AgingConnection) -> None:
        self.connection = connection
        self.held: set[object] = set()


class KeptLine:
    """Makes its connection when it is first used, keeps it, and replaces one that is past use or had trouble."""

    def __init__(self, connect: Callable[[], Awaitable[AgingConnection]]) -> None:
        self._connect = connect
        self._line: Line | None = None
        self._turn = asyncio.Lock()

    async def run(self, work: Callable[[Line], Awaitable[Value]]) -> Value:
        """The result of ``await work(line)``, which must bear to be repeated: a connection that has ended since it was
        last used is replaced at once. One at a time. Raises like ``asyncpg``, and ``TimeoutError``."""
        async with self._turn:
            was_kept = self._is_usable()
            try:
                return await self._run(work)
            except TimeoutError:
                raise
            except Exception:
                if not was_kept or self._line is not None:
                    raise
            return await self._run(work)

    async def _run(self, work: Callable[[Line], Awaitable[Value]]) -> Value:
        if self._line is None or not self._is_usable():
            self._end()
            self._line = Line(await self._connect())
        try:
            async with asyncio.timeout(LINE_MS_MAX / 1000):
                return await work(self._line)
        except BaseException as error:
            # In whatever state the work left it, also if it was cancelled, unless the server itself has said no.
            if not isinstance(error, asyncpg.PostgresError) or (error.sqlstate or "").startswith(PAST_USE):
                self._end()
            raise

    def _is_usable(self) -> bool:
        return self._line is not None and not (self._line.connection.is_closed() or self._line.connection.is_past_use)

    async def close(self) -> None:
        """At once, and with it go its locks."""
        self._end()

    def _end(self) -> None:
        if self._line is not None:
            self._line.connection.terminate()
            self._line = None
