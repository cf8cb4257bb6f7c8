"""Troubles that kill nobody: rude wallets, rows that somebody holds locked, a pause."""

import asyncio
import signal
import threading
from contextlib import asynccontextmanager

import asyncpg
import trio

from tests.chaos.disasters import REAL_LEASE
from tests.chaos.gamblers import RUDE_SHARE
from tests.chaos.rudeness import DEBITS_AND_REFUSES, NAMED
from tests.chaos.world import ChaosError, in_thread

RUDE = 0.8
LOCKED_S = 2
LONG_LOCKED_S = 7
"""Beyond the time for which a bet is offered again."""
PAUSE_S = 13
"""Longer than the real lease."""
LOCKS = (
    ("SELECT 1 FROM sessions WHERE session_id = $1 FOR UPDATE", 0),
    ("SELECT 1 FROM rounds WHERE session_id = $1 FOR UPDATE", 1),
    ("SELECT 1 FROM transactions WHERE session_id = $1 FOR UPDATE", 2),
)
"""Each of one gambler, by number."""
LOCK_REVENUE = "SELECT 1 FROM revenue_days FOR UPDATE"


async def go_through(world, *troubles, lease=REAL_LEASE):
    """One server gets through these one after the other; everybody plays on, and the books are compared."""
    await in_thread(lambda: world.server.start(**lease))
    world.table.mistreating = True
    for trouble in troubles:
        await world.play_on()
        await trouble(world)
    await world.play_on()
    await world.come_to_rest()
    if world.server.status is not None:
        raise ChaosError(f"the server has ended:\n{world.server.log()[-2000:]}")
    await world.audit()
    world.server.kill()


async def rude_wallets(world):
    """Most calls are treated badly, until each named way was met, the worst by a repetition at once."""
    wallet, table = world.house.wallet, world.table
    before = wallet.met.copy()

    def all_were_met():
        new = wallet.met - before
        return new[DEBITS_AND_REFUSES, True] > 0 and {name for name, _ in new} == NAMED

    table.rude_share = RUDE
    try:
        await world.until(all_were_met, "meeting wallets that are rude in all ways")
    finally:
        table.rude_share = RUDE_SHARE
    world.figures.count("rude")


async def locked_rows(world, held_s=LOCKED_S):
    """A person's open transaction locks a session, another one's rounds, a third one's calls, and all days of revenue;
    meanwhile everybody else plays on."""
    table = world.table
    statements = [(text, table.gamblers[number].session.session_id) for text, number in LOCKS]
    async with _transaction(world.database_url, [*statements, (LOCK_REVENUE,)]):
        before = table.ended_counts()

        def others_have_played():
            now = table.ended_counts()
            return all(now[number] > before[number] + 1 for number in range(len(LOCKS), len(now)))

        await trio.sleep(held_s)
        await world.until(others_have_played, "the others' rounds beside locked rows")
    world.figures.count("locks")


async def pause(world):
    """The server is stopped for longer than its lease, nobody takes its place, and it goes on."""
    world.server.send(signal.SIGSTOP)
    await trio.sleep(PAUSE_S)
    world.server.send(signal.SIGCONT)
    world.figures.count("pause")


@asynccontextmanager
async def _transaction(url, statements):
    """Open as long as this lasts, and rolled back then."""
    is_open, is_over = threading.Event(), threading.Event()

    async def hold():
        connection = await asyncpg.connect(url)
        try:
            await connection.execute("BEGIN")
            for statement in statements:
                await connection.execute("SET LOCAL lock_timeout = '20s'")
                await connection.fetch(*statement)
            is_open.set()
            await asyncio.to_thread(is_over.wait)
        finally:
            await connection.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(in_thread, asyncio.run, hold())
        try:
            while not is_open.is_set():
                await trio.sleep(0.01)
            yield
        finally:
            is_over.set()
