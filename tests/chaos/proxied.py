"""The wallet and the database behind a proxy that turns bad while players bet: the same server process gets through."""

import trio

from tests.chaos.proxy import MODES, Proxy
from tests.chaos.world import ChaosError, in_thread

BAD_MODES = {"wallet": MODES[1:-1], "database": MODES[1:]}
BAD_S = 1.5
QUICK = {
    "GETAWAY_DATABASE_COMMAND_TIMEOUT_MS": "1000",
    "GETAWAY_WALLET_BET_TIMEOUT_MS": "500",
    "GETAWAY_WALLET_DELIVERY_TIMEOUT_MS": "500",
}


async def through_bad_networks(world, where, modes=None):
    """The connections to the ``wallet`` or the ``database`` turn bad in every way; books are compared after each."""
    async with trio.open_nursery() as nursery:
        before_database = Proxy(world.cluster.port, world.table.seed)
        await before_database.open(nursery)
        url = world.database_url.replace(f":{world.cluster.port}/", f":{before_database.port}/")
        proxy = {"wallet": world.wallet_proxy, "database": before_database}[where]
        await in_thread(lambda: world.server.start(**QUICK, GETAWAY_DATABASE_URL=url))
        for mode in modes or BAD_MODES[where]:
            await _turn_bad(world, proxy, mode)
            world.figures.count(f"proxy.{where}.{mode}")
        world.server.kill()
        nursery.cancel_scope.cancel()


async def _turn_bad(world, proxy, mode):
    world.table.mistreating = world.table.betting = True
    await world.play_on()
    proxy.turn(mode)
    await trio.sleep(BAD_S)
    proxy.turn("pass")
    # Calls that the proxy swallowed are counted by the server, and were never seen by the wallet.
    world.books.attempts_are_known = False
    began_at = trio.current_time()
    await world.play_on()
    world.figures.resumed_after_proxy_ms.append((trio.current_time() - began_at) * 1000)
    await world.come_to_rest()
    if world.server.status is not None:
        raise ChaosError(f"the server did not survive {mode}:\n{world.server.log()[-2000:]}")
    await world.audit()
