"""A whole server while its database comes back as a standby behind the same address, which later leads to the promoted
one."""

from contextlib import asynccontextmanager
from functools import partial

import psycopg
import pytest
import trio

from tests.helpers.programs_of_postgres import LocalServer, servers_folder
from tests.helpers.server_process import ServerProcess
from tests.server.db.test_failover import Address

STANDBY_S = 3
SERVING = '"event": "serving"'
CUT = "the database's history was cut"
READY_S_MAX = 60
"""A quiet machine needs about one. What must not happen is that it stays with what it met while there was only a
standby; how soon its connections are back is measured in tests/server/db/test_failover.py."""


@pytest.fixture
def pair():
    with servers_folder() as folder:
        leader = LocalServer(folder / "leader").initialize().start()
        try:
            follower = LocalServer(folder / "follower").copy_as_standby(leader).start()
            try:
                yield leader, follower
            finally:
                follower.kill()
        finally:
            leader.kill()


@asynccontextmanager
async def promoted_under_a_server(pair, folder):
    """The server, from when the address leads to the promoted one on."""
    leader, follower = pair
    address = Address(leader.port)
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, address.serve, 0, host="127.0.0.1"))
        server = ServerProcess(f"postgresql://postgres@127.0.0.1:{port_of(listener)}/postgres", folder)
        try:
            await trio.to_thread.run_sync(server.start)
            await trio.to_thread.run_sync(leader.kill)
            leader.be_a_standby_from_the_next_start_on()
            await trio.to_thread.run_sync(leader.start)
            await trio.sleep(STANDBY_S)
            assert not await trio.to_thread.run_sync(server.is_ready), "it is ready on a server that only reads"
            await trio.to_thread.run_sync(follower.promote)
            address.leads_to = follower.port
            yield server
            server.tell_to_stop()
            assert await trio.to_thread.run_sync(server.wait) == 0
        finally:
            server.kill()
            nursery.cancel_scope.cancel()


def port_of(listener):
    return listener.socket.getsockname()[1]


async def until_true(condition):
    with trio.fail_after(READY_S_MAX):
        while not await trio.to_thread.run_sync(condition):
            await trio.sleep(0.05)


async def test_it_is_ready_again_by_itself_when_a_standby_that_commits_waited_for_is_promoted(pair, tmp_path):
    leader, _ = pair
    await leader_waits_for_its_standby(leader)
    async with promoted_under_a_server(pair, tmp_path) as server:
        await until_true(server.is_ready)
    assert server.errors() == []


async def leader_waits_for_its_standby(leader):
    def change():
        for command in ("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"):
            with psycopg.connect(leader.url, autocommit=True) as connection:
                connection.execute(command)

    await trio.to_thread.run_sync(change)


async def test_it_waits_in_peace_for_a_person_when_a_standby_that_may_lack_commits_is_promoted(pair, tmp_path):
    """One new life begins, and goes on: the cut is noted by then."""
    async with promoted_under_a_server(pair, tmp_path) as server:
        await until_true(lambda: CUT in server.log())
        await until_true(lambda: server.log().count(SERVING) == 2)
        await trio.sleep(STANDBY_S)
        assert server.log().count(SERVING) == 2
        assert not await trio.to_thread.run_sync(server.is_ready)
