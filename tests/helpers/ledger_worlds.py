"""The ledger under test, the in-memory twin or PostgreSQL, behind one face."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import trio

from actors.facts.records import CallStatus, LiveRound, Operator, Owner
from actors.facts.transitions import Answer, Busy, CreateSession, Transition
from actors.ports.ledger import Ledger
from server.books import restore
from server.books.restoring import BookedCall, BookedEnd, Contradicted, Findings
from server.db.driver.database import open_database
from server.db.stores.session_frames import PostgresSessionFrames
from server.ports.session_frames import SessionFrame
from server.secrets.vault import Vault
from tests.helpers import books, memory_restore
from tests.helpers.clocked_ledger import ClockedLedger
from tests.helpers.game import operator
from tests.helpers.memory_ledger import MemoryLedger
from tests.helpers.signed_rows import sign_operator
from tests.helpers.stores import EveryStore

ADD_OPERATOR = """
INSERT INTO operators
    (operator_id, name, api_key_sealed, hmac_secret_sealed, wallet_callback_url, rtp_bps, max_win_multiplier,
     rev_share_bps, status, allow_cidrs, frame_origins, created_at_ms, changed_at_ms)
VALUES ($1, 'Casino', '', '', 'https://wallet.example', 9600, 2000, 1500, 'active', '{}', '{}', 0, 0)
"""


_KEYS = {
    "sessions": ("session_id", "mac"),
    "rounds": ("round_id", "bet_mac"),
    "transactions": ("operator_tx_id", "mac"),
}
SET_CLOCK = "INSERT INTO test_clock VALUES (TRUE, $1) ON CONFLICT (is_set) DO UPDATE SET shows_ms = excluded.shows_ms"


class World:
    """A ledger, and how the tests look at what the port does not show.

    ``ledger`` is told with each call that depends on it what the database's clock shows: see ``ClockedLedger``.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ClockedLedger(ledger, self.set_clock)

    async def set_clock(self, unix_ms: int) -> None:
        """The database's clock shows this, and stands."""
        raise NotImplementedError

    async def add_operator(self, operator_id: UUID | None = None) -> Operator:
        raise NotImplementedError

    async def call_states(self, live: LiveRound) -> dict[str, tuple[CallStatus, int, str | None]]:
        """A round's calls by kind: status, attempts, last error."""
        raise NotImplementedError

    async def take_up(self, live: LiveRound) -> None:
        """A round's parked call is pending again, due at once."""
        raise NotImplementedError

    async def frame(self, created: CreateSession) -> SessionFrame | None:
        """What the session's page is made from."""
        raise NotImplementedError

    async def hang_up(self, owner: Owner) -> None:
        """The connection of a life's heartbeats ends, as with its process."""
        raise NotImplementedError

    async def damage(self, table: str, key: UUID | str) -> None:
        """A session, round or call does not open any more."""
        raise NotImplementedError

    async def restore(self, operator_id: UUID, rows: Sequence[BookedCall], since_ms: int):
        """What `getaway restored` does in the database: the findings, and what could not be done, with the reasons."""
        found = await self.compare(operator_id, rows, since_ms)
        not_done = []
        for end in found.ends:
            try:
                await self.end_as_booked(end)
            except (restore.NotFreeError, memory_restore.NotFreeError) as error:
                not_done.append((f"bet-{end.live.round_id}", str(error)))
        for each in found.contradicted:
            try:
                await self.park_contradicted(each)
            except (restore.NotFreeError, memory_restore.NotFreeError) as error:
                not_done.append((each.call.operator_tx_id, str(error)))
        return found, not_done

    async def move(self) -> None:
        """The database is at another place than its history began at."""
        raise NotImplementedError

    async def compare(self, operator_id: UUID, rows: Sequence[BookedCall], since_ms: int) -> Findings:
        raise NotImplementedError

    async def end_as_booked(self, end: BookedEnd) -> None:
        raise NotImplementedError

    async def park_contradicted(self, found: Contradicted) -> None:
        raise NotImplementedError

    async def commit(self, transition: Transition) -> Answer:
        """Offered again while somebody else has locked a row of it, as the ledger's actor does."""
        while isinstance(answer := await self.offer(transition), Busy):
            await trio.sleep(0.005)
        return answer

    async def offer(self, transition: Transition) -> Answer | Busy:
        """Once."""
        (answer,) = await self.ledger.commit([transition])
        return answer

    async def launched(self, name: object = 1, *, operator: Operator | None = None, **changes) -> CreateSession:
        """A session of its own or of a given operator, stored."""
        created = books.new_session(operator or await self.add_operator(), name, **changes)
        await self.commit(created)
        return created

    async def owned(self, owner: Owner, name: object = 1, **changes) -> CreateSession:
        """A stored session that belongs to ``owner``."""
        created = await self.launched(name, **changes)
        await books.opened(self.ledger, created, owner)
        return created

    async def bet(self, owner: Owner, created: CreateSession, nonce: int = 1, **changes) -> LiveRound:
        live = books.new_round(created, nonce, **changes)
        await self.ledger.commit([books.place(owner, live)])
        assert await self.ledger.live_round(live.operator_id, live.round_id) == live
        return live

    async def fly(self, owner: Owner, created: CreateSession, nonce: int = 1, **changes) -> LiveRound:
        live = await self.bet(owner, created, nonce, **changes)
        await self.ledger.commit([books.start(owner, live)])
        live = books.flying(live)
        assert await self.ledger.live_round(live.operator_id, live.round_id) == live
        return live


class MemoryWorld(World):
    async def set_clock(self, unix_ms):
        self.ledger.real.clock_ms = unix_ms

    async def add_operator(self, operator_id=None):
        added = operator(operator_id=operator_id or uuid4())
        self.ledger.operators.append(added)
        return added

    async def call_states(self, live):
        return {
            stored.call.kind.value: (stored.status, stored.call.attempts, stored.last_error)
            for stored in self.ledger.calls.values()
            if stored.call.round_id == live.round_id
        }

    async def take_up(self, live):
        for stored in self.ledger.calls.values():
            if stored.call.round_id == live.round_id and stored.status is CallStatus.PARKED:
                stored.status = CallStatus.PENDING

    async def frame(self, created):
        stored = self.ledger.sessions.get(created.session_id)
        if stored is None:
            return None
        return SessionFrame(stored.record.operator_id, stored.record.expires_at_ms, stored.page)

    async def hang_up(self, owner):
        self.ledger.real.processes_gone.add(owner)

    async def damage(self, table, key):
        self.ledger.real.damaged.add(key)

    async def move(self):
        self.ledger.real.has_moved = True

    async def compare(self, operator_id, rows, since_ms):
        return memory_restore.compare(self.ledger.real, operator_id, rows, since_ms)

    async def end_as_booked(self, end):
        memory_restore.end_as_booked(self.ledger.real, end)

    async def park_contradicted(self, found):
        memory_restore.park_contradicted(self.ledger.real, found)


class PostgresWorld(World):
    def __init__(self, database, vault: Vault) -> None:
        super().__init__(EveryStore(database, vault))
        self._database = database
        self._vault = vault
        self._frames = PostgresSessionFrames(database, vault)
        self._clock_ms: int | None = None

    async def set_clock(self, unix_ms):
        if unix_ms != self._clock_ms:
            await self._database.run(lambda connection: connection.execute(SET_CLOCK, unix_ms))
            self._clock_ms = unix_ms

    async def add_operator(self, operator_id=None):
        added = operator(operator_id=operator_id or uuid4())

        async def add(connection):
            await connection.execute(ADD_OPERATOR, added.operator_id)
            await sign_operator(connection, self._vault, added.operator_id)

        await self._database.in_transaction(add)
        return added

    async def call_states(self, live):
        rows = await self._database.run(
            lambda connection: connection.fetch(
                "SELECT kind, status, attempts, last_error FROM transactions WHERE operator_id = $1 AND round_id = $2",
                live.operator_id,
                live.round_id,
            )
        )
        return {row["kind"]: (CallStatus(row["status"]), row["attempts"], row["last_error"]) for row in rows}

    async def take_up(self, live):
        await self._database.run(
            lambda connection: connection.execute(
                "UPDATE transactions SET status = 'pending' WHERE round_id = $1 AND status = 'parked'", live.round_id
            )
        )

    async def frame(self, created):
        return await self._frames.session_frame(created.token_digest)

    async def hang_up(self, owner):
        """All lives of this world have one connection: it gives up the lock of one."""
        await self._database.on_line(lambda line: line.connection.execute("SELECT pg_advisory_unlock($1)", owner.epoch))

    async def damage(self, table, key):
        column, mac = _KEYS[table]
        statement = f"UPDATE {table} SET {mac} = set_byte({mac}, 5, 255 - get_byte({mac}, 5)) WHERE {column}::text = $1"

        async def work(connection):
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute(statement, str(key))

        await self._database.in_transaction(work)

    async def move(self):
        await self._database.run(lambda connection: connection.execute("UPDATE histories SET timeline = '00000007'"))

    async def compare(self, operator_id, rows, since_ms):
        return await self._database.in_snapshot(
            lambda connection: restore.compare(connection, self._vault, operator_id, rows, since_ms)
        )

    async def end_as_booked(self, end):
        await self._database.in_transaction(lambda connection: restore.end_as_booked(connection, self._vault, end))

    async def park_contradicted(self, found):
        await self._database.in_transaction(
            lambda connection: restore.park_contradicted(connection, self._vault, found)
        )


@asynccontextmanager
async def open_world(database_url: str | None, vault: Vault | None = None) -> AsyncIterator[World]:
    """On PostgreSQL, or on the twin when there is no URL."""
    if database_url is None:
        yield MemoryWorld(MemoryLedger())
        return
    async with open_database(database_url, Path()) as database:
        yield PostgresWorld(database, vault or Vault(bytes(32)))
