"""Servers that only read, say nothing, start up, or are full: which connections are kept, and what a person is told."""

import socket
import struct
import time
from contextlib import contextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import trio

from actors.ports.ledger import LedgerUnavailableError
from server.db.driver.database import open_database
from server.db.errors import DatabaseUnavailableError
from tests.helpers.postgres_proxy import Proxy
from tests.helpers.programs_of_postgres import LocalServer, servers_folder

REFUSALS_MAX = 3
"""After a promotion, of what is asked again and again: there are none on a quiet machine, and on a busy one a server
may be late. A connection that stayed behind would refuse for as long as it is kept."""
PATIENCE_S = 60
LEFT_S_MAX = 8.0
"""A silent server is left after one or two seconds; a connection that waits for it waits for ten, or for ever."""


def fetching(statement):
    return lambda connection: connection.fetchval(statement)


PID = fetching("SELECT pg_backend_pid()")


class Address:
    """One address that leads to one server, and later to another one. What is connected stays where it is."""

    def __init__(self, port):
        self.leads_to = port

    async def serve(self, client):
        with suppress(OSError, trio.BrokenResourceError):
            server = await trio.open_tcp_stream("127.0.0.1", self.leads_to)
            async with server, trio.open_nursery() as nursery:
                nursery.start_soon(self._forward, client, server, nursery.cancel_scope)
                nursery.start_soon(self._forward, server, client, nursery.cancel_scope)

    async def _forward(self, source, sink, scope):
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for piece in source:
                await sink.send_all(piece)
        scope.cancel()


@pytest.fixture(scope="module")
def pair():
    """A server, and a standby that follows it."""
    with servers_folder() as folder:
        leader = LocalServer(folder / "leader").initialize().start()
        follower = LocalServer(folder / "follower").copy_as_standby(leader).start()
        try:
            yield leader, follower
        finally:
            leader.kill()
            follower.kill()


async def listening(nursery, serve) -> int:
    (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    return listener.socket.getsockname()[1]


async def test_an_address_that_leads_to_a_standby_and_then_to_the_promoted_server(pair, nursery, monkeypatch):
    """Nothing reads from the past meanwhile, and both drivers are back at once: no connection stays behind."""
    leader, follower = pair
    monkeypatch.setattr("server.db.driver.database.COMMIT_GROUP", "INSERT INTO booked SELECT $1::int RETURNING n::text")
    address = Address(leader.port)
    port = await listening(nursery, address.serve)
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    async with open_database(url, Path(), command_timeout_ms=2_000) as database:
        await database.run(lambda connection: connection.execute("CREATE TABLE booked (n int)"))
        assert await database.commit_group("1") == [("1",)]
        await trio.to_thread.run_sync(leader.kill)
        leader.be_a_standby_from_the_next_start_on()
        await trio.to_thread.run_sync(leader.start)
        until = trio.current_time() + 2
        while trio.current_time() < until:
            with pytest.raises(LedgerUnavailableError):
                await database.run(fetching("SELECT count(*) FROM booked"))
            with pytest.raises(LedgerUnavailableError):
                await database.commit_group("2")
            await trio.sleep(0.1)
        await trio.to_thread.run_sync(follower.promote)
        address.leads_to = follower.port
        with trio.fail_after(PATIENCE_S):
            assert await refusals_until_done(partial(database.commit_group, "3")) <= REFUSALS_MAX
            assert await refusals_until_done(partial(database.run, PID)) <= REFUSALS_MAX
        assert await database.run(fetching("SELECT sum(n) FROM booked")) == 4


async def refusals_until_done(attempt):
    refusals = 0
    while True:
        try:
            await attempt()
        except LedgerUnavailableError:
            refusals += 1
            await trio.sleep(0.05)
        else:
            return refusals


@pytest.mark.parametrize("state", ["25006", "08006", "57P01", "57014"])
async def test_a_connection_that_met_a_server_of_no_use_is_closed(emptied_database_url, state):
    async with open_database(emptied_database_url, Path(), pool_size=1) as database:
        before = await database.run(PID)
        raising = f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$"
        with pytest.raises(LedgerUnavailableError):
            await database.run(lambda connection: connection.execute(raising))
        assert await database.run(PID) != before
        kept = await database.run(PID)
        with pytest.raises(LedgerUnavailableError):
            await database.run(lambda connection: connection.execute("SELECT 1 / no_such_column"))
        assert await database.run(PID) == kept, "other trouble closes it as well"


async def test_a_server_that_turns_read_only_under_a_connection_is_not_read_from(postgres, database_url):
    async with open_database(database_url, Path(), pool_size=1) as database:
        assert await database.run(fetching("SELECT 1")) == 1
        await database.run(lambda connection: connection.execute("SET default_transaction_read_only = on"))
        before = await database.run(fetching("SHOW default_transaction_read_only"))
        assert before == "off", "the connection that reads only is used again"
    change = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', "
    postgres.execute(change + "current_database()); END $$", url=database_url)
    with pytest.raises(DatabaseUnavailableError, match="none of its servers lets anybody write"):
        async with open_database(database_url, Path()):
            pass
    async with open_database(f"{database_url}&target_session_attrs=any", Path(), pool_size=1) as database:
        assert await database.run(PID) == await database.run(PID)


async def test_connections_are_replaced_at_a_certain_age(emptied_database_url, monkeypatch):
    monkeypatch.setattr("server.db.driver.database.COMMIT_GROUP", "SELECT pg_backend_pid()::text, $1::text")
    async with open_database(emptied_database_url, Path(), pool_size=1, connection_age_ms_max=600) as database:
        pids = {await database.run(PID) for _ in range(3)}
        direct = {(await database.commit_group(""))[0][0] for _ in range(3)}
        assert (len(pids), len(direct)) == (1, 1)
        await trio.sleep(0.7)
        assert await database.run(PID) not in pids
        assert (await database.commit_group(""))[0][0] not in direct


async def test_limits_of_connections_that_are_made_together_differ(emptied_database_url):
    async with open_database(emptied_database_url, Path(), pool_size=4) as database:
        expiries = []

        async def one():
            async def note(connection):
                await connection.execute("SELECT pg_sleep(0.05)")
                expiries.append(connection.expires_at_s)

            await database.run(note)

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(one)
        expiries.sort()
        assert len(expiries) == 4
        assert all(later - sooner > 10 for sooner, later in pairwise(expiries))


@contextmanager
def silent_host():
    """It takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
async def proxy(emptied_database_url, nursery):
    proxy = Proxy(emptied_database_url, "hush-hush")
    proxy.port = await listening(nursery, proxy.serve)
    return proxy


async def test_a_silent_first_host_is_left_in_time_by_both_drivers_and_asked_last_from_then_on(proxy):
    with silent_host() as silent:
        url = proxy.url(f"127.0.0.1:{silent},127.0.0.1:{proxy.port}")
        began = time.monotonic()
        async with open_database(url, Path(), pool_size=3) as database:
            assert time.monotonic() - began < LEFT_S_MAX
            began = time.monotonic()
            assert await database.commit_group("[]") == []
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(database.run, fetching("SELECT pg_sleep(0.05)"))
            assert time.monotonic() - began < LEFT_S_MAX


class Porter:
    """In front of a server, with a refusal for the first who come: 57P03 is what a server says that starts up."""

    def __init__(self, proxy, refusals):
        self._proxy = proxy
        self._left = refusals

    async def serve(self, client):
        if self._left == 0:
            await self._proxy.serve(client)
            return
        self._left -= 1
        with suppress(trio.BrokenResourceError):
            while True:
                piece = await client.receive_some()
                if piece[4:8] != struct.pack("!I", 80_877_103):  # a request for TLS
                    break
                await client.send_all(b"N")
            fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
            await client.send_all(b"E" + struct.pack("!I", len(fields) + 4) + fields)
            await client.aclose()


async def test_a_database_that_starts_up_is_waited_for_and_the_log_says_so(proxy, nursery, caplog):
    porter = Porter(proxy, 3)
    url = proxy.url(f"127.0.0.1:{await listening(nursery, porter.serve)}")
    async with open_database(f"{url}sslmode=disable", Path()) as database:
        assert await database.run(fetching("SELECT 1")) == 1
    assert [record.message for record in caplog.records if "starting up" in record.message] == [
        "the database is starting up or shutting down; waiting until it lets us in"
    ]


async def test_a_full_database_says_what_to_do(postgres, proxy):
    postgres.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
    try:
        url = proxy.url().replace("//postgres:", "//crowded:")
        with pytest.raises(DatabaseUnavailableError, match=r"too many connections for role.*lower pool_size") as caught:
            async with open_database(url, Path()):
                pass
        assert len(str(caught.value).splitlines()) == 1
    finally:
        postgres.execute("DROP ROLE crowded")
