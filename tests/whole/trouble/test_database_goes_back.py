"""A backup of the embedded database is put back under the server: what was revealed is not promised again."""

import shutil

import pytest
import trio

from tests.helpers.promises import Promises, Sheet
from tests.helpers.server_process import ServerProcess
from tests.whole.house import House
from tests.whole.wallet import Wallet

RATE_PER_MS = "0.0006"
SERVING = '"event": "serving"'
SERVING_S_MAX = 60
SINCE = "2026-01-01T00:00:00Z"


def broken(invariant, detail):
    raise AssertionError(f"{invariant}: {detail}")


@pytest.fixture
def server(tmp_path):
    server = ServerProcess("embedded", tmp_path, GETAWAY_GAME_GROWTH_RATE_PER_MS=RATE_PER_MS)
    yield server
    server.kill()


def stopped(server):
    server.tell_to_stop()
    assert server.wait() == 0


async def copy(source, target):
    """With owners and modes, which PostgreSQL insists on."""
    await trio.run_process(["cp", "-a", str(source), str(target)])


async def serving_again(server):
    """Bets are closed until a person has looked: it is not ready."""
    before = server.log().count(SERVING)
    await trio.to_thread.run_sync(server.spawn)
    with trio.fail_after(SERVING_S_MAX):
        while server.log().count(SERVING) == before:
            await trio.sleep(0.1)


async def visit(house, session, promises, rounds):
    """One socket: so many rounds, then away. The promise that the player left with."""
    sheet = Sheet(promises)
    async with house.playing(session) as player:
        for number in range(rounds):
            sheet.says_bet(f"bet-{number}", f"own-{number}")
            started = await player.bet(100, auto_cashout=1.01, id=f"bet-{number}", client_seed=f"own-{number}")
            assert started["type"] == "round_started"
            await player.until("round_ended")
        await trio.sleep(0.3)
    for frame in player.seen:
        sheet.sees(frame)
    return player.next


async def test_a_restored_database_promises_nothing_that_was_revealed(server, tmp_path):
    wallet, data, backup = Wallet(), tmp_path / "data" / "postgres", tmp_path / "backup"
    try:
        house = House(server.start(), wallet, RATE_PER_MS)
        await trio.to_thread.run_sync(house.add_operator)
        session, promises = house.operator.session(), Promises(broken)
        await visit(house, session, promises, 1)
        stopped(server)
        await copy(data, backup)

        server.start()
        left_with = await visit(house, session, promises, 3)
        stopped(server)
        assert left_with["nonce"] == 5 and len(promises.revealed) >= 5, "four rounds, and what was discarded between"
        lost = set(promises.revealed)

        await trio.to_thread.run_sync(shutil.rmtree, data)
        await copy(backup, data)
        promises.was_cut = True
        await serving_again(server)
        assert "the database's history was cut while nothing ran" in server.log()
        done = await trio.to_thread.run_sync(server.getaway, "restored", "--since", SINCE, "--yes")
        assert done.returncode == 0, done.stderr
        with trio.fail_after(SERVING_S_MAX):
            while not await trio.to_thread.run_sync(server.is_ready):
                await trio.sleep(0.1)
        promised = await visit(house, session, promises, 0)
        assert promised["nonce"] == 2, "the database knows of one round"
        assert promised["server_seed_hash"] not in lost
        assert lost <= set(promises.revealed)
    finally:
        wallet.close()
