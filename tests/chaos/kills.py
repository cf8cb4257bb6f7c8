"""A server that is killed at a named point; what each point needs to be reached; and the recovery after it."""

import signal
import threading
from contextlib import contextmanager

from tests.chaos.points import POINTS
from tests.chaos.world import REACHED_S_MAX, SLOW_RATE_PER_MS, VARIABLES, ChaosError, Server, in_thread
from tests.whole.wallet import Fault

FLYING_MIN = 4
KILLED = -signal.SIGKILL
SLOW = {"GETAWAY_GAME_GROWTH_RATE_PER_MS": SLOW_RATE_PER_MS}
SHORT_DRAIN = {"GETAWAY_SERVER_DRAIN_MS_MAX": "300", "GETAWAY_WALLET_BET_TIMEOUT_MS": "1500"}


async def kill_at(world, name, repetition=0):
    """Have the server killed at this point, and recover. Raises ``ChaosError`` when the point is not reached."""
    point = POINTS[name]
    hits = 1 + repetition % point.hits_max
    await SCENARIOS[point.scenario](world, name, hits)
    world.figures.count(name)


async def _until_killed(world, server, name):
    await world.until(lambda: server.status is not None, f"{name} was not reached", REACHED_S_MAX)
    if server.status != KILLED:
        raise ChaosError(f"the victim of {name} ended with {server.status}:\n{server.log()[-2000:]}")


async def _while_playing(world, name, hits):
    world.server.spawn_victim(name, hits)
    world.table.mistreating = world.table.betting = True
    world.table.launching = "CreateSession" in name
    await _until_killed(world, world.server, name)
    await world.recover()


async def _while_recovering(world, name, hits):
    await leave_orphans(world)
    world.server.spawn_victim(name, hits, CHAOS_ONE_BY_ONE="1")
    await _until_killed(world, world.server, name)
    await world.recover()


@contextmanager
def long_flights(world):
    """Rounds that last, one bet that the wallet does not answer, one refund that it does not answer either."""
    table, answer = world.table, threading.Event()
    held, owed = (gambler.session.player_id for gambler in table.gamblers[:2])
    before = table.auto_cashouts, table.by_hand
    table.auto_cashouts, table.by_hand, table.mistreating = (5,), False, False
    world.house.wallet.mistreat(held, "bet", Fault(hold=answer, takes_effect=True))
    world.house.wallet.mistreat(owed, "bet", Fault(status=500, takes_effect=True))
    world.house.wallet.mistreat(owed, "refund", Fault(hold=answer, takes_effect=True))
    try:
        yield answer
    finally:
        world.forget_faults()  # one that waits for this event is meaningless after it
        answer.set()
        table.auto_cashouts, table.by_hand = before


def is_amid_everything(world):
    betting, flying = world.books.live_counts()
    (claimed,) = world.books.query("SELECT count(*) AS n FROM transactions WHERE claim_node IS NOT NULL")
    return betting >= 1 and flying >= FLYING_MIN and claimed["n"] >= 1


async def leave_orphans(world):
    """Kill a server amid flights, an unanswered bet and an unanswered refund."""
    is_left = False
    while not is_left:  # a flight may end by itself just before the kill
        with long_flights(world):
            await in_thread(lambda: world.server.start(**SLOW))
            world.table.betting = True
            await world.until(lambda: is_amid_everything(world), "flights, a bet and a refund at once")
            world.server.kill()
        is_left = await in_thread(is_amid_everything, world)


async def _while_draining(world, name, hits):
    with long_flights(world):
        world.server.spawn_victim(name, hits, **SLOW, **SHORT_DRAIN)
        world.table.betting = True
        await world.until(lambda: world.books.live_counts()[1] >= FLYING_MIN, "flights at once")
        world.server.tell_to_stop()
        await _until_killed(world, world.server, name)
    await world.recover()


async def _while_migrating(world, name, hits):
    """On an empty database of its own: the next start brings the schema that every other database has."""
    await in_thread(_migrate_twice, world, name, hits)


def _migrate_twice(world, name, hits):
    with world.cluster.database(template="template0") as url:
        victim = Server(url, world.server.log_path.parent, **VARIABLES)
        try:
            victim.spawn_victim(name, hits)
            assert victim.has_ended(REACHED_S_MAX) and victim.status == KILLED, f"{name} was not reached"
            victim.start()
            assert _schema(world, url) == _schema(world, world.database_url)
        finally:
            victim.kill()


def _schema(world, url):
    columns = "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
    told = world.books.query(f"{columns} WHERE table_schema = 'public' ORDER BY 1, 2", url=url)
    return told, world.books.query("SELECT name, checksum FROM migrations ORDER BY name", url=url)


SCENARIOS = {
    "play": _while_playing,
    "recovery": _while_recovering,
    "drain": _while_draining,
    "migration": _while_migrating,
}
