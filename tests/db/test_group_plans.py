"""What a commit reads does not grow with what others play, whatever plans were made while the tables were empty."""

import trio

from tests.helpers import books

OTHERS = 400
"""Flights of others, and wins that their wallet does not take."""
ROUNDS = 40
PER_SCAN_MAX = 3
"""Entries found in an index: an exact search finds one for each version of the row that is still in it."""

SCANS = """
SELECT indexrelname AS name, idx_scan AS scans, idx_tup_read AS found FROM pg_stat_user_indexes
WHERE relname IN ('rounds', 'transactions', 'sessions')
"""


class Play:
    """Rounds of one operator, each of a session of its own, taken step by step in groups."""

    def __init__(self, database, world, owner, operator):
        self._database, self._ledger, self._owner, self._operator = database, world.ledger, owner, operator
        self._names = 0

    async def fly(self, count):
        created = [books.new_session(self._operator, name) for name in range(self._names, self._names + count)]
        self._names += count
        await self._ledger.commit(created)
        for session in created:
            await books.opened(self._ledger, session, self._owner)
        live = [books.new_round(session) for session in created]
        await self._ledger.commit([books.place(self._owner, each) for each in live])
        await self._ledger.commit([books.start(self._owner, each) for each in live])
        return live

    async def win(self, live):
        await self._ledger.commit([books.cash_out(self._owner, books.flying(each)) for each in live])

    async def one_round(self):
        live = await self.fly(1)
        await self.win(live)
        await self._ledger.commit([books.acknowledge(live[0])])

    async def scans(self):
        """By index: searches, and entries found. A connection tells of them in the first commit a second later."""
        await trio.sleep(1.1)
        await self.one_round()
        rows = await self._database.run(lambda connection: connection.fetch(SCANS))
        return {row["name"]: (row["scans"], row["found"]) for row in rows}


async def test_a_round_finds_its_rows_among_those_of_others(database, world, owner):
    play = Play(database, world, owner, await world.add_operator())
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
