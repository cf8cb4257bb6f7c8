"""Two nodes on one database: one is killed, or stopped in its tracks for longer than its lease, and comes back."""

import os
import signal

import psycopg
import pytest
import trio

from actors.shared.game_settings import GameSettings
from tests.helpers.server_process import ServerProcess
from tests.whole.house import audit_house, finished_round, open_house
from tests.whole.player import Player, connected

RATE_PER_MS = "0.00006"
LEASE_S = GameSettings(bet_limits={}).lease_ms / 1000
WAIT_S_MAX = 30
LIVES = """
SELECT epoch, ended_at_ms IS NOT NULL, database_ms() - heartbeat_at_ms FROM nodes
WHERE node = 'test-node' ORDER BY epoch
"""


@pytest.fixture
def houses(postgres, tmp_path):
    """A house, and a second node beside its server."""
    with open_house(postgres, tmp_path, rate_per_ms=RATE_PER_MS) as house:
        folder = tmp_path / "other"
        folder.mkdir()
        url = house.server.environ["GETAWAY_DATABASE_URL"]
        other = ServerProcess(
            url, folder, GETAWAY_GAME_GROWTH_RATE_PER_MS=RATE_PER_MS, GETAWAY_SERVER_NODE="other-node"
        )
        try:
            yield house, other.start()
        finally:
            other.kill()


def lives(house):
    """Of the first node: epoch, whether it is known to be over, and the age of its last beat in milliseconds."""
    with psycopg.connect(house.server.environ["GETAWAY_DATABASE_URL"]) as connection:
        return connection.execute(LIVES).fetchall()


async def until_true(condition):
    with trio.fail_after(WAIT_S_MAX):
        while not await trio.to_thread.run_sync(condition):
            await trio.sleep(0.05)


async def play_a_round(house, url, session):
    """The player comes to the node at ``url``, as soon as it is let in, and plays."""
    with trio.fail_after(WAIT_S_MAX):
        while True:
            async with connected(url) as socket:
                player = Player(socket, session, house.rate_per_ms, house.tick_texts)
                await player.send("hello", session=session.token)
                if (await player.receive())["type"] == "welcome":
                    house.players.append(player)
                    return await player.play(1_000, auto_cashout=1.01)
            await trio.sleep(0.1)


def is_refunded(house, started):
    return finished_round(house.operator, started["round_id"])["status"] == "refunded"


async def test_who_is_killed_is_known_by_its_lock_and_its_players_play_elsewhere(houses):
    house, other = houses
    session = await trio.to_thread.run_sync(house.operator.session)
    async with house.playing(session) as player:
        started = await player.bet(1_000, auto_cashout=1000)
        house.server.kill()
        ended = await play_a_round(house, other.url, session)
        assert ended["status"] == "settled"
        assert [is_over for _, is_over, _ in lives(house)] == [True], "not by its lease: that is written nowhere"
        await player.closed()
    house.operator.url = other.url
    assert await trio.to_thread.run_sync(is_refunded, house, started)
    await trio.to_thread.run_sync(house.server.start)
    house.operator.url = house.server.url
    audit_house(house)


async def test_who_was_silent_for_longer_than_its_lease_begins_a_new_life(houses):
    house, other = houses
    session = await trio.to_thread.run_sync(house.operator.session)
    async with house.playing(session) as player:
        started = await player.bet(1_000, auto_cashout=1000)
        ((first, is_over, _),) = lives(house)
        assert not is_over
        os.kill(house.server.pid, signal.SIGSTOP)
        try:
            await until_true(lambda: lives(house)[0][2] > LEASE_S * 1000)
            house.operator.url = other.url
            assert await trio.to_thread.run_sync(is_refunded, house, started)
            assert not lives(house)[0][1], "it may be alive: nobody has its lock"
        finally:
            os.kill(house.server.pid, signal.SIGCONT)
        await until_true(lambda: len(lives(house)) == 2)
        (_, is_over, _), (second, is_new_over, _) = lives(house)
        assert (is_over, is_new_over) == (True, False)
        assert second > first
        await player.closed()
    assert (await play_a_round(house, house.url, session))["status"] == "settled"
    house.operator.url = house.server.url
    audit_house(house)
