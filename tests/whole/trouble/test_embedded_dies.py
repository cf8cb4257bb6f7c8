"""The embedded PostgreSQL is killed under a running server, which starts it again and goes on."""

import os
import signal

import trio

from tests.helpers.server_process import ServerProcess
from tests.whole.house import House, audit_house
from tests.whole.player import Player, connected
from tests.whole.wallet import Wallet

RESUMED_S_MAX = 30
RATE_PER_MS = "0.0006"
STARTED_AGAIN = "the embedded database has ended and is started again"


async def plays(house, session):
    """Whether a player who comes anew, as the page does, is welcome and plays a round."""
    async with connected(house.url) as socket:
        player = Player(socket, session, house.rate_per_ms, house.tick_texts)
        await player.send("hello", session=session.token)
        if (await player.receive())["type"] != "welcome":
            return False
        house.players.append(player)
        if (await player.bet(1_000, auto_cashout=1.2))["type"] != "round_started":
            return False
        return (await player.until("round_ended"))["status"] == "settled"


async def test_a_killed_embedded_database_is_started_again(tmp_path):
    server = ServerProcess(
        "embedded",
        tmp_path,
        GETAWAY_GAME_GROWTH_RATE_PER_MS=RATE_PER_MS,
        GETAWAY_DATABASE_ALLOW_UNSAFE_DURABILITY="false",
    )
    wallet = Wallet()
    try:
        house = House(server.start(), wallet, RATE_PER_MS)
        await trio.to_thread.run_sync(house.add_operator)
        session = house.operator.session()
        async with house.playing(session) as player:
            await player.play(1_000, auto_cashout=1.2)
            postmaster = int((tmp_path / "data" / "postgres" / "postmaster.pid").read_text().split()[0])
            os.kill(postmaster, signal.SIGKILL)
            with trio.fail_after(RESUMED_S_MAX):
                while STARTED_AGAIN not in server.log():
                    await trio.sleep(0.1)
        with trio.fail_after(RESUMED_S_MAX):
            while not await plays(house, session):
                await trio.sleep(0.2)
        house.forgets_attempts = True
        complaints, server.errors = server.errors(), list
        assert all(STARTED_AGAIN in line for line in complaints)
        audit_house(house)
        server.tell_to_stop()
        assert server.wait() == 0
    finally:
        server.kill()
        wallet.close()
