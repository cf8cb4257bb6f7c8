"""The life of a server of two workers: killed in part, killed as a whole, told to stop, and kept from starting."""

import asyncio
import os
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest
import trio

from server.db.embedded.embedded import embedded_server
from server.workers.brief import BEAT_S
from server.workers.worker import SILENCE_S_MAX
from tests.helpers.server_process import ServerProcess
from tests.server.workers.team import (
    ENDED_BY_ITSELF,
    LOST_PARENT,
    SILENT,
    Team,
    is_alive,
    open_team_house,
    wait_until,
)
from tests.whole.fairness import first_ms_at, hundredths_of
from tests.whole.house import audit_house, finished_round
from tests.whole.player import now_ms

RATE_PER_MS = "0.0002"
STAKE = 700
SLACK_MS = 50
GONE_S_MAX = 20
OTHER_KEY = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="


@pytest.fixture
def house(database_url, tmp_path):
    with open_team_house(database_url, tmp_path, rate_per_ms=RATE_PER_MS) as house:
        yield house


async def in_thread(what, *arguments):
    return await trio.to_thread.run_sync(what, *arguments)


async def flights(house, stack, number, count):
    """Players of this worker, each with a round that nothing but its crash ends."""
    players = []
    for _ in range(count):
        session = await in_thread(house.operator.session)
        players.append(await stack.enter_async_context(house.playing_at(number, session)))
        started = await players[-1].bet(STAKE, auto_cashout=1000)
        assert started["type"] == "round_started", started
    return players


async def test_a_killed_worker_is_replaced_and_its_rounds_end_by_the_rules(house):
    team = house.server
    team.pardoned = (ENDED_BY_ITSELF,)
    async with AsyncExitStack() as stack:
        lost = await flights(house, stack, 1, 6)
        kept = await stack.enter_async_context(house.playing_at(2, await in_thread(house.operator.session)))
        flying = [(player, player.round) for player in lost if player.round is not None]
        killed = team.end_worker(1)
        killed_at_ms = now_ms()
        for player in lost:
            await player.closed()
        ended = await kept.play(STAKE, auto_cashout=1.01)
        assert ended["status"] == "settled", "the other worker has noticed nothing"
    await in_thread(team.wait_until_complete)
    assert team.children()[1] != killed
    assert team.children().keys() == {1, 2}
    for player, started in flying:
        told = await in_thread(finished_round, house.operator, started["round_id"])
        if told["status"] == "settled":
            assert told["result"] == "crash"
            assert crashed_at_ms(told, started) <= killed_at_ms + SLACK_MS
        else:
            assert told["status"] == "refunded"
        for number in (2, 1):  # the one that took over, and the one that is back
            async with house.playing_at(number, player.session) as again:
                assert (again.round, again.welcome["history"][0]["round_id"]) == (None, started["round_id"])
                assert again.welcome["balance_minor"] == house.wallet.balances[player.session.player_id, "USD"]
    await in_thread(audit_house, house)


def crashed_at_ms(told, started):
    """No later than this a round with this crash point has ended."""
    return started["started_at"] + first_ms_at(hundredths_of(told["outcome"]["crashPoint"]), RATE_PER_MS)


async def test_a_worker_that_is_told_to_stop_by_hand_is_started_again(house):
    house.server.pardoned = (ENDED_BY_ITSELF,)
    async with house.playing_at(1, await in_thread(house.operator.session)) as player:
        house.server.end_worker(1, signal.SIGTERM)
        assert [frame["reason"] for frame in await player.closed()] == ["shutdown"]
    await in_thread(house.server.wait_until_complete)
    (line,) = [each for each in house.server.lines(worker=0) if each["event"] == ENDED_BY_ITSELF]
    assert (line["child"], line["exit_status"]) == (1, 0)


async def test_a_worker_that_stands_still_is_killed_and_replaced(house):
    """SIGSTOP: it has not ended, its connections are open, and nobody else would notice."""
    team = house.server
    team.pardoned = (ENDED_BY_ITSELF, SILENT)
    async with AsyncExitStack() as stack:
        (lost,) = await flights(house, stack, 1, 1)
        kept = await stack.enter_async_context(house.playing_at(2, await in_thread(house.operator.session)))
        still = team.children()[1]
        os.kill(still, signal.SIGSTOP)
        assert (await kept.play(STAKE, auto_cashout=1.01))["status"] == "settled"
        await lost.closed()
    await in_thread(wait_until, lambda: team.children().get(1) not in (still, None), "it is replaced")
    assert not is_alive(still)
    await in_thread(team.wait_until_complete)
    assert [line["child"] for line in team.lines(worker=0) if line["event"] == SILENT] == [1]
    async with house.playing_at(1, lost.session) as again:
        await again.play(STAKE, auto_cashout=1.01)
    await in_thread(audit_house, house)


async def test_a_parent_that_stood_still_itself_kills_nobody(house):
    team = house.server
    workers = team.children()
    os.kill(team.pid, signal.SIGSTOP)
    await trio.sleep(SILENCE_S_MAX + 2)
    os.kill(team.pid, signal.SIGCONT)
    await trio.sleep(3 * BEAT_S)
    assert team.children() == workers
    assert team.errors() == []


async def test_told_to_stop_all_rounds_land_and_nobody_is_left(house):
    team = house.server
    pids = [team.pid, *team.children().values()]
    async with AsyncExitStack() as stack:
        players = [
            await stack.enter_async_context(house.playing_at(number, await in_thread(house.operator.session)))
            for number in (1, 2, 1, 2)
        ]
        started = [await player.bet(STAKE, auto_cashout=1.2) for player in players]
        team.tell_to_stop()
        for player, flight in zip(players, started, strict=True):
            await player.closed()
            frames = [frame for frame in player.seen if frame["type"].endswith("_ended")]
            assert [frame["type"] for frame in frames] == ["round_ended", "session_ended"], frames
            assert (frames[0]["round_id"], frames[0]["status"]) == (flight["round_id"], "settled")
            assert frames[1]["reason"] == "shutdown"
    assert await in_thread(team.wait) == 0
    assert [pid for pid in pids if is_alive(pid)] == []
    assert team.errors() == []
    await in_thread(team.start)
    await in_thread(audit_house, house)


async def test_interrupted_twice_it_stops_at_once(house):
    team = house.server
    pids = [team.pid, *team.children().values()]
    async with house.playing_at(1, await in_thread(house.operator.session)) as player:
        await player.bet(STAKE, auto_cashout=1000)
        async with house.playing_at(2, await in_thread(house.operator.session)) as second:
            await second.bet(STAKE, auto_cashout=1000)
            os.kill(team.pid, signal.SIGINT)
            await trio.sleep(0.1)
            os.kill(team.pid, signal.SIGINT)
            assert await in_thread(team.wait) == 1
    assert [pid for pid in pids if is_alive(pid)] == []
    assert "told twice" in team.log()


async def test_workers_do_not_outlive_a_killed_parent(house):
    team = house.server
    workers = list(team.children().values())
    async with house.playing_at(2, await in_thread(house.operator.session)) as player:
        started = await player.bet(STAKE, auto_cashout=1.1)
        os.kill(team.pid, signal.SIGKILL)
        await player.closed()
        frames = [frame for frame in player.seen if frame["type"] != "balance"]
        assert frames[-1] == {"type": "session_ended", "reason": "shutdown"}
        assert frames[-2]["type"] == "round_ended", "it stops as if it had been told to"
    assert await in_thread(team.wait) == -signal.SIGKILL
    await in_thread(wait_until, lambda: not any(map(is_alive, workers)), "the workers end", GONE_S_MAX)
    assert {line["event"] for line in team.lines() if line["level"] == "error"} == {LOST_PARENT}
    team.pardoned = (LOST_PARENT,)
    await in_thread(team.start)
    told = await in_thread(finished_round, house.operator, started["round_id"])
    assert told["status"] == "settled"
    await in_thread(audit_house, house)


def test_secrets_are_in_no_command_line_and_no_environment(house):
    key = house.server.environ["GETAWAY_MASTER_KEY"]
    for pid in house.server.children().values():
        words = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        assert b"GETAWAY_" not in words
        assert key.encode() not in words
        assert house.server.environ["GETAWAY_DATABASE_URL"].encode() not in words


async def test_each_line_of_the_log_names_its_worker(house):
    serving = {line["worker"]: line["node"] for line in house.server.lines() if line["event"] == "serving"}
    assert serving == {1: "test-node-1", 2: "test-node-2"}
    assert {line["worker"] for line in house.server.lines()} == {0, 1, 2}


@pytest.fixture
def team(database_url, tmp_path):
    team = Team(database_url, tmp_path)
    yield team
    team.kill()


def ended(team):
    """The exit status of a server that ends by itself, and the errors in its log."""
    team.spawn()
    return team.wait(), [(line["worker"], line["event"]) for line in team.lines() if line["level"] == "error"]


def check_port_is_named(status, errors, words):
    assert status == 1
    ((worker, event),) = errors
    assert worker == 0
    assert event.startswith(f"the server can't run: {words}: Address already in use")


def test_a_taken_port_of_metrics_ends_it(team):
    with socket.create_server(("127.0.0.1", team.metrics_port + 1)):
        status, errors = ended(team)
    check_port_is_named(status, errors, f"[server] metrics_port {team.metrics_port + 1} can't be served")


def test_a_taken_port_of_players_ends_it(team):
    with socket.create_server(("127.0.0.1", team.port)):
        status, errors = ended(team)
    check_port_is_named(status, errors, f"[server] port {team.port} can't be served")


def test_two_servers_do_not_mingle_on_one_port(team, database_url, tmp_path):
    team.start()
    (tmp_path / "second").mkdir()
    for kind in (Team, ServerProcess):
        second = kind(database_url, tmp_path / "second", GETAWAY_SERVER_PORT=str(team.port))
        second.spawn()
        try:
            assert second.wait() == 1
        finally:
            second.kill()
        assert f"[server] port {team.port} can't be served" in second.log()
    assert team.errors() == []


def test_a_worker_that_can_not_start_ends_all(team):
    """The key is wrong for what the database holds, which only who opens it finds out."""
    team.start()
    team.create_operator("http://127.0.0.1:1/wallet")
    team.tell_to_stop()
    assert team.wait() == 0
    team.environ["GETAWAY_MASTER_KEY"] = OTHER_KEY
    status, errors = ended(team)
    assert status == 2
    assert any(worker in (1, 2) and "another master key" in event for worker, event in errors), errors
    assert any(worker == 0 and "could not start (exit status 2)" in event for worker, event in errors), errors


def test_a_newer_server_of_the_same_name_ends_the_older_one(team, database_url, tmp_path):
    team.start()
    (tmp_path / "newer").mkdir()
    newer = Team(database_url, tmp_path / "newer").start()
    try:
        assert team.wait() == 1
        assert "another server has taken the names of this one's nodes" in team.log()
        assert newer.children().keys() == {1, 2}
        assert newer.errors() == []
    finally:
        newer.kill()


def test_too_few_connections_of_the_database_are_told_at_the_start(team):
    team.environ["GETAWAY_DATABASE_POOL_SIZE"] = "64"
    status, errors = ended(team)
    assert status == 3
    ((worker, event),) = errors
    assert worker == 0
    assert "2 workers with [database] pool_size = 64 need 132 connections" in event


@pytest.fixture
def embedded_house(tmp_path):
    variables = {"GETAWAY_DATABASE_ALLOW_UNSAFE_DURABILITY": "false", "GETAWAY_DATABASE_POOL_SIZE": "50"}
    with open_team_house("embedded", tmp_path, rate_per_ms=RATE_PER_MS, **variables) as house:
        yield house


async def test_the_embedded_database_has_room_for_all_and_ends_with_them(embedded_house, tmp_path):
    house, team, folder = embedded_house, embedded_house.server, tmp_path / "data" / "postgres"
    for number in (1, 2):
        async with house.playing_at(number, await in_thread(house.operator.session)) as player:
            await player.play(STAKE, auto_cashout=1.1)
    await in_thread(audit_house, house)
    assert await in_thread(allowed_connections, folder) == 2 * (50 + 2) + 2 + 40
    killed_postmaster = postmaster(folder)
    os.kill(killed_postmaster, signal.SIGKILL)
    team.pardoned = ("the embedded database",)
    await in_thread(wait_until, lambda: "the embedded database runs again" in team.log(), "it runs again")
    await in_thread(team.wait_until_complete)
    await in_thread(wait_until, team.is_ready, "it is ready again")
    assert {line["worker"] for line in team.lines() if line["logger"] == "getaway.database"} == {0}
    pids = [*team.children().values(), postmaster(folder)]
    assert killed_postmaster not in pids
    os.kill(team.pid, signal.SIGKILL)
    assert await in_thread(team.wait) == -signal.SIGKILL
    await in_thread(wait_until, lambda: not any(map(is_alive, pids)), "all end", GONE_S_MAX)
    await in_thread(team.start)
    started_again = postmaster(folder)
    team.tell_to_stop()
    assert await in_thread(team.wait) == 0
    assert not is_alive(started_again)


def postmaster(folder):
    """Its process id."""
    return int((folder / "postmaster.pid").read_text().split()[0])


def allowed_connections(folder):
    async def ask(url):
        connection = await asyncpg.connect(url)
        try:
            return int(await connection.fetchval("SHOW max_connections"))
        finally:
            await connection.close()

    with embedded_server(folder) as url:
        return asyncio.run(ask(url))
