"""One statement, on a connection of its own that trio's thread drives: for commits, which every round waits for.

Through asyncpg each of them wakes another thread and is woken by it, and the two take the interpreter from each
other: a call and its answer, 10 ms apart, take 0.20 to 0.33 ms of CPU, and 0.04 to 0.09 ms here. On two cores that
others load as well, the slowest of a hundred bets takes 140 to 530 ms with all commits by asyncpg, and 43 to 50 ms
so. ``psycopg.pq`` is libpq as it is; trio waits for its socket, and nothing here blocks. All else has asyncpg's types
and pool (``database.py``).
"""

import select
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import psycopg
import trio
from psycopg import pq

from actors.ports.ledger import LedgerUnavailableError
from server.db.driver.url import Place, Places
from server.db.errors import RefusedError

Rows = list[tuple[str | None, ...]]

_NAME: Final = b"direct"
_CALLS_PLANNED_MIN: Final = 16
_CALLS_PLANNED_MAX: Final = 1024
"""How many calls use a connection's plans before they are made anew, at first and later on. It takes milliseconds."""
_NO_SUCH_CHARACTER: Final = "22021"
_CANCEL_S_MAX: Final = 1.0
"""How long a request to stop a query may take: the query has a ``statement_timeout``, too."""
_REFUSALS: Final = ("22", "23")
"""SQLSTATE's classes of data exceptions and integrity constraints: the values themselves are refused."""


class DirectStatement:
    """``statement``, which takes texts and gives rows of texts, prepared when it is first used.

    One call at a time: the next ones wait for it in order. A connection in trouble, or older than ``age_ms_max``, is
    closed, and the next call makes another one. ``settings`` are PostgreSQL's, set once a connection is made.
    """

    def __init__(
        self, places: Places, statement: str, settings: Mapping[str, str], timeout_ms: int, age_ms_max: int
    ) -> None:
        self._places = places
        self._age_s = age_ms_max / 1000
        self._expires_at_s = 0.0
        """Of the connection, by trio's clock."""
        self._statement = statement.encode()
        self._settings = "; ".join(f"SET {name} = '{value}'" for name, value in settings.items()).encode()
        self._timeout_s = timeout_ms / 1000
        self._turn = trio.StrictFIFOLock()
        self._connection: pq.abc.PGconn | None = None
        self._poll = select.poll()
        """Of the connection's socket."""
        self._calls = 0
        """Since the connection's plans were made."""
        self._calls_planned = _CALLS_PLANNED_MIN
        """So many may use them."""

    async def fetch(self, *texts: str) -> Rows:
        """The rows for ``texts``. It ends within the timeout, the wait for other calls included.

        Raises ``RefusedError`` if the database refuses the values, and ``LedgerUnavailableError`` on all other trouble:
        it may be done, then, or not. A cancelled call may be done as well.
        """
        if any("\0" in text for text in texts):  # libpq would take it for the end
            raise RefusedError(_NO_SUCH_CHARACTER, None, None)
        trouble = "no answer in time"
        try:
            values = [text.encode() for text in texts]
            with trio.move_on_after(self._timeout_s):
                return await self._fetch_in_turn(values)
        except (psycopg.Error, OSError, ValueError) as error:
            trouble = type(error).__name__
        # Not within the handler: what libpq says may quote the URL, and its password with it.
        raise LedgerUnavailableError(f"the database is in trouble ({trouble})")

    def close(self) -> None:
        """Close the connection; only when no call is under way."""
        if self._connection is not None:
            self._connection.finish()
            self._connection = None

    async def _fetch_in_turn(self, values: list[bytes]) -> Rows:
        async with self._turn:
            if not self._is_open():
                self.close()
                self._connection = await self._connected()
                self._calls, self._calls_planned = 0, _CALLS_PLANNED_MIN
            assert self._connection is not None
            return await self._ask(self._connection, values)

    async def _ask(self, connection: pq.abc.PGconn, values: list[bytes]) -> Rows:
        try:
            if self._calls == self._calls_planned:
                await self._plan_again(connection)
            self._calls += 1
            connection.send_query_prepared(_NAME, values)
            result = await _answer(connection)
        except RefusedError:
            raise
        except BaseException:
            await self._give_up(connection)
            raise
        columns = range(result.nfields)
        return [tuple(_text(result.get_value(row, column)) for column in columns) for row in range(result.ntuples)]

    def _is_open(self) -> bool:
        """Whether there is a connection that its server has not closed meanwhile. What it says before takes one more
        reading to be seen."""
        connection = self._connection
        if connection is None or trio.current_time() >= self._expires_at_s:
            return False
        try:
            while self._poll.poll(0):
                connection.consume_input()
        except psycopg.OperationalError:
            return False
        return connection.status == pq.ConnStatus.OK

    async def _connected(self) -> pq.abc.PGconn:
        """To the first place that lets us in and can be written to. Raises as ``fetch`` does, and ``OSError``."""
        trouble: Exception = psycopg.OperationalError("none of the hosts is known")
        found = [(place, address) for place in self._places.in_order() for address in await _addresses(place)]
        share_s = self._places.share_s(self._timeout_s, len(found))
        for place, address in found:
            with trio.move_on_after(share_s):
                try:
                    connection = await self._opened(self._places.conninfo(place, address))
                except (psycopg.OperationalError, OSError) as error:
                    trouble = error
                    continue
                self._places.note_answer(place)
                return await self._set_up(connection)
        raise trouble

    async def _opened(self, conninfo: bytes) -> pq.abc.PGconn:
        connection = pq.PGconn.connect_start(conninfo)
        try:
            turn: int = pq.PollingStatus.WRITING  # as libpq asks for: by polling too soon it misses a refusal
            while turn != pq.PollingStatus.OK:
                await _wait_for(turn, connection)
                turn = connection.connect_poll()
            connection.nonblocking = 1
        except BaseException:
            connection.finish()
            raise
        return connection

    async def _set_up(self, connection: pq.abc.PGconn) -> pq.abc.PGconn:
        try:
            connection.send_query(self._settings)
            await _answer(connection)
            connection.send_prepare(_NAME, self._statement)
            await _answer(connection)
            self._poll = select.poll()
            self._poll.register(connection.socket, select.POLLIN)
        except RefusedError as error:
            connection.finish()
            raise LedgerUnavailableError(f"the database is in trouble (SQLSTATE {error.sqlstate})") from None
        except BaseException:
            connection.finish()
            raise
        self._expires_at_s = trio.current_time() + self._age_s
        return connection

    async def _plan_again(self, connection: pq.abc.PGconn) -> None:
        """Of a small table any index seems as good as the right one, and plans stay as they are while it grows."""
        connection.send_query(b"DISCARD PLANS")
        await _answer(connection)
        self._calls, self._calls_planned = 0, min(2 * self._calls_planned, _CALLS_PLANNED_MAX)

    async def _give_up(self, connection: pq.abc.PGconn) -> None:
        """Ask the server to stop what it is doing for a connection, and close that."""
        try:
            is_at_work = connection.transaction_status == pq.TransactionStatus.ACTIVE
            with trio.move_on_after(_CANCEL_S_MAX if is_at_work else 0, shield=True), suppress(psycopg.Error, OSError):
                request = connection.cancel_conn()
                request.start()
                while (turn := request.poll()) != pq.PollingStatus.OK:
                    await _wait_for(turn, request)
        finally:
            self.close()


async def _wait_for(turn: int, connection: pq.abc.PGconn | pq.abc.PGcancelConn) -> None:
    """Wait for what libpq waits for. Raises ``psycopg.OperationalError`` if it has failed."""
    if turn == pq.PollingStatus.READING:
        await trio.lowlevel.wait_readable(connection.socket)
    elif turn == pq.PollingStatus.WRITING:
        await trio.lowlevel.wait_writable(connection.socket)
    else:
        raise psycopg.OperationalError("no connection")


async def _answer(connection: pq.abc.PGconn) -> pq.abc.PGresult:
    """The last result of what was sent. Raises as ``DirectStatement.fetch`` does, and ``psycopg.Error``."""
    while connection.flush():
        await trio.lowlevel.wait_writable(connection.socket)
    results: list[pq.abc.PGresult] = []
    while True:
        while connection.is_busy():
            await trio.lowlevel.wait_readable(connection.socket)
            connection.consume_input()
        result = connection.get_result()
        if result is None:
            break
        results.append(result)
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise _failure(result)
    return results[-1]


def _failure(result: pq.abc.PGresult) -> Exception:
    """Never with the server's own words: they quote values, and those tell of players and of seeds."""
    state = _text(result.error_field(pq.DiagnosticField.SQLSTATE)) or ""
    if not state.startswith(_REFUSALS):
        return LedgerUnavailableError(f"the database is in trouble (SQLSTATE {state})")
    table = _text(result.error_field(pq.DiagnosticField.TABLE_NAME))
    constraint = _text(result.error_field(pq.DiagnosticField.CONSTRAINT_NAME))
    return RefusedError(state, table, constraint)


async def _addresses(place: Place) -> list[str]:
    """Where a place is; nothing is looked up for a socket's folder, nor if the host is unknown."""
    if place.is_socket:
        return [""]
    try:
        found = await trio.socket.getaddrinfo(place.host, None, type=trio.socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
