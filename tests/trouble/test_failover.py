"""A whole server while its database comes back as a standby behind the same address, which later leads to the promoted
one."""

import time
from functools import partial

import pytest
import trio

from tests.db.test_failover import BACK_S_MAX, Address
from tests.helpers.programs_of_postgres import LocalServer, servers_folder
from tests.helpers.server_process import ServerProcess

STANDBY_S = 3


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


async def test_it_is_ready_again_soon_after_the_address_leads_to_the_promoted_server(pair, tmp_path, nursery):
    leader, follower = pair
    address = Address(leader.port)
    (listener,) = await nursery.start(partial(trio.serve_tcp, address.serve, 0, host="127.0.0.1"))
    url = f"postgresql://postgres@127.0.0.1:{listener.socket.getsockname()[1]}/postgres"
    server = ServerProcess(url, tmp_path)
    try:
        await trio.to_thread.run_sync(server.start)
        await trio.to_thread.run_sync(leader.kill)
        leader.be_a_standby_from_the_next_start_on()
        await trio.to_thread.run_sync(leader.start)
        await trio.sleep(STANDBY_S)
        assert not await trio.to_thread.run_sync(server.is_ready), "it is ready on a server that only reads"
        await trio.to_thread.run_sync(follower.promote)
        address.leads_to = follower.port
        began = time.monotonic()
        with trio.fail_after(2 * BACK_S_MAX):
            while not await trio.to_thread.run_sync(server.is_ready):
                await trio.sleep(0.05)
        assert time.monotonic() - began < BACK_S_MAX
        server.tell_to_stop()
        assert await trio.to_thread.run_sync(server.wait) == 0
        assert server.errors() == []
    finally:
        server.kill()
