"""What a commit reads does not grow with what others play, whatever plans were made while the tables were empty."""

from pathlib import Path

import pytest

from server.db.driver.commit_statement import _CALLS_PLANNED_MAX, _CALLS_PLANNED_MIN
from server.db.driver.database import open_database
from server.db.stores.groups import commit_group
from server.secrets.vault import Vault
from tests.helpers import books
from tests.helpers.ledger_worlds import PostgresWorld

OTHERS = 400
"""Flights of others, and wins that their wallet does not take."""
ROUNDS = 40
PER_SCAN_MAX = 3
"""Entries found in an index: an exact search finds one for each version of the row that is still in it."""

TABLES = ("rounds", "transactions", "sessions")
SCANS = """
SELECT indexrelname AS name, idx_scan AS scans, idx_tup_read AS found FROM pg_stat_user_indexes
WHERE relname IN ('rounds', 'transactions', 'sessions')
"""


@pytest.fixture
async def alone(database_url, postgres):
    """A new database on one connection. What statistics remember of other tests, where nearly every row is another
    operator's, makes an operator's rows look few. Each connection tells of its scans by and by, and leaves out what
    another one looks at just then: the counts of several come whenever it suits them. Nor may statistics be renewed
    meanwhile, or old versions of rows be kept for who does that."""
    postgres.execute(*(f"ALTER TABLE {table} SET (autovacuum_enabled = off)" for table in TABLES), url=database_url)
    async with open_database(database_url, Path(), pool_size=1) as database:
        yield database


class Play:
    """Rounds of one operator, each of a session of its own, taken step by step in groups."""

    def __init__(self, database, world, owner, operator):
        self._database, self._ledger, self._owner, self._operator = database, world.ledger, owner, operator
        self._names = 0
        self._calls, self._calls_planned = 0, _CALLS_PLANNED_MIN

    async def commit(self, *transitions):
        """On the connection that does all the rest; plans are made anew when ``DirectStatement`` makes them."""

        async def work(connection):
            if self._calls == self._calls_planned:
                await connection.execute("DISCARD PLANS")
                self._calls, self._calls_planned = 0, min(2 * self._calls_planned, _CALLS_PLANNED_MAX)
            self._calls += 1
            await commit_group(connection, Vault(bytes(32)), transitions)

        await self._database.in_transaction(work)

    async def fly(self, count):
        created = [books.new_session(self._operator, name) for name in range(self._names, self._names + count)]
        self._names += count
        await self.commit(*created)
        for session in created:
            await books.opened(self._ledger, session, self._owner)
        live = [books.new_round(session) for session in created]
        await self.commit(*(books.place(self._owner, each) for each in live))
        await self.commit(*(books.start(self._owner, each) for each in live))
        return live

    async def win(self, live):
        await self.commit(*(books.cash_out(self._owner, books.flying(each)) for each in live))

    async def one_round(self):
        live = await self.fly(1)
        await self.win(live)
        await self.commit(books.acknowledge(live[0]))

    async def scans(self):
        """By index: searches, and entries found."""

        async def read(connection):
            await connection.execute("SELECT pg_stat_force_next_flush()")
            await connection.execute("SELECT pg_stat_clear_snapshot()")
            return await connection.fetch(SCANS)

        return {row["name"]: (row["scans"], row["found"]) for row in await self._database.run(read)}


async def test_a_round_finds_its_rows_among_those_of_others(alone):
    world = PostgresWorld(alone, Vault(bytes(32)))
    owner = await world.ledger.register_node("node-a", books.NOON_MS)
    play = Play(alone, world, owner, await world.add_operator())
    await play.one_round()
    await play.win(await play.fly(OTHERS))
    await play.fly(OTHERS)
    for _ in range(ROUNDS):
        await play.one_round()
    before = await play.scans()
    for _ in range(ROUNDS):
        await play.one_round()
    found = {}
    for name, (scans, entries) in (await play.scans()).items():
        searches = scans - before[name][0]
        if searches >= ROUNDS:
            found[name] = (entries - before[name][1]) / searches
    assert {"rounds_pkey", "transactions_pkey", "sessions_pkey"} <= set(found)
    assert {name: per_scan for name, per_scan in found.items() if per_scan > PER_SCAN_MAX} == {}
