"""Losses other than a killed server: PostgreSQL is killed under it, or it falls silent for longer than its lease."""

import signal

import trio

from tests.chaos.kills import FLYING_MIN, SLOW, long_flights
from tests.chaos.world import POLL_S, VARIABLES, VICTIM, ChaosError, Server, in_thread

SILENCE_S_MAX = 45
REAL_LEASE = {}
SHORT_LEASE = {
    "module": VICTIM,
    "CHAOS_SHORT_LEASE": "1",
    "GETAWAY_WALLET_BET_TIMEOUT_MS": "2000",
    "GETAWAY_WALLET_DELIVERY_TIMEOUT_MS": "2000",
}
SILENCES = (
    (None, False),
    (None, True),
    ("commit.settled.inside", False),
    ("commit.StartRound.before", True),
    ("send.win.after", False),
    ("commit.PlaceBet.inside", True),
    ("commit.AcknowledgeCall.before", False),
)
"""Where a node is silenced (before a write that it does after its lease, amid a transaction that locks its rows), and
whether it finds the wallet's answers when it wakes up, about a bet and a refund that have been settled without it."""
AFTERMATH_S = 3
"""So long the woken server may try to write what it had in mind: several of its heartbeats, sweeps and retries."""


async def kill_postgres(world, times, dice):
    """PostgreSQL is killed again and again while players bet; the same server process goes on by itself."""
    world.server.spawn()
    await world.until(world.server.is_ready, "the server's start")
    for _ in range(times):
        world.table.mistreating = world.table.betting = True
        await trio.sleep(dice.uniform(0.1, 0.8))
        await in_thread(world.cluster.kill)
        await trio.sleep(dice.uniform(0, 0.5))
        await in_thread(world.cluster.start)
        began_at = trio.current_time()
        await world.play_on()
        world.figures.resumed_ms.append((trio.current_time() - began_at) * 1000)
        await world.come_to_rest()
        if world.server.status is not None:
            raise ChaosError(f"the server ended with PostgreSQL:\n{world.server.log()[-2000:]}")
        await world.audit()
        world.figures.count("postgres")
    world.server.kill()


async def silence_a_node(world, point=None, finds_answers=False, lease=REAL_LEASE):
    """A server is stopped in its tracks for longer than its lease, another one takes its rounds, then it wakes up.

    ``point`` (of ``tests.chaos.points``) stops it there; without one it is stopped amid flights, with a bet and a
    refund that the wallet has not answered. What it still means to write must change nothing.
    """
    other = Server(world.database_url, world.server.log_path.parent, **VARIABLES, GETAWAY_SERVER_NODE="other-node")
    world.house.wallet.is_read_late = finds_answers
    try:
        with long_flights(world) as answer:
            await _fall_silent(world, point, lease)
            world.forget_faults()
            await in_thread(lambda: other.start(**lease))
            world.table.betting = False
            # Amid flights the node is a slow one, on which nobody should play when it is back: see all of them away.
            world.table.turn_to(other.url, None if point is None else world.house.url)
            rounds, _ = await in_thread(world.books.unfinished)
            await world.until(lambda: not rounds & world.books.unfinished()[0], "the takeover", SILENCE_S_MAX)
            if point is None:
                await world.until(lambda: world.table.is_seated, "everybody's way to the other node", SILENCE_S_MAX)
            ends = await in_thread(_ends_of, world, rounds)
            if finds_answers:
                answer.set()
            world.server.send(signal.SIGCONT)
            await trio.sleep(AFTERMATH_S)
        if world.server.status is not None:
            raise ChaosError(f"the woken server ended:\n{world.server.log()[-2000:]}")
        assert await in_thread(_ends_of, world, rounds) == ends, "the woken server changed what had ended"
        await _audit_beside(world, other)
        world.figures.interrupted_rounds += len(rounds)
        world.figures.count("silence")
    finally:
        other.kill()
        world.server.kill()
        world.house.wallet.is_read_late = False
        world.table.turn_to(world.house.url)


async def _fall_silent(world, point, lease):
    if point is None:
        await in_thread(lambda: world.server.start(**SLOW, **lease))
        world.table.betting = True
        await world.until(lambda: world.books.live_counts()[1] >= FLYING_MIN, "flights at once")
        world.server.send(signal.SIGSTOP)
        return
    world.server.spawn_victim(point, 5, CHAOS_SIGNAL="STOP")
    world.table.betting = True
    await world.until(world.server.is_stopped, f"{point} was not reached")


async def _audit_beside(world, other):
    """Both run: the players play on at the other one, then the books are compared, which the woken one answers for."""
    await world.play_on()
    await world.come_to_rest()
    while not await in_thread(other.is_ready):
        await trio.sleep(POLL_S)
    await world.audit()


def _ends_of(world, round_ids):
    statement = (
        "SELECT round_id, status, result, payout_minor, settled_at_ms, owner_node, owner_epoch FROM rounds"
        " WHERE round_id::text = ANY($1) ORDER BY round_id"
    )
    return world.books.query(statement, list(round_ids))
