"""The bridge and the pool: what crosses comes back, what is cancelled stops, and trouble is told in one line."""

import asyncio
import socket
from pathlib import Path

import asyncpg
import pytest
import trio
from psycopg.conninfo import conninfo_to_dict

from actors.ports.ledger import LedgerUnavailableError
from server.db.driver.bridge import Bridge
from server.db.driver.database import open_database
from server.db.errors import DatabaseUnavailableError

PASSWORD = "hush-hush"


def fetching(statement):
    return lambda connection: connection.fetchval(statement)


# The bridge.


async def test_values_and_errors_cross():
    async def value():
        return 42

    async def error():
        raise LookupError("from the other side")

    with Bridge() as bridge:
        assert await bridge.run(value) == 42
        with pytest.raises(LookupError, match="from the other side"):
            await bridge.run(error)
        assert await bridge.run(value) == 42


async def test_many_cross_at_once():
    with Bridge() as bridge:
        results = []

        async def cross(number):
            async def work():
                return number

            results.append(await bridge.run(work))

        async with trio.open_nursery() as nursery:
            for number in range(500):
                nursery.start_soon(cross, number)
    assert sorted(results) == list(range(500))


async def test_a_cancelled_query_is_stopped_and_its_connection_used_again(database):
    async def backend_states(connection):
        return await connection.fetch("SELECT state FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")

    with trio.move_on_after(0.1) as scope:
        await database.run(fetching("SELECT pg_sleep(30)"))
    assert scope.cancelled_caught
    rows = await database.run(backend_states)
    assert "active" not in {row["state"] for row in rows}
    with trio.fail_after(2):
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(database.run, fetching("SELECT 1"))


async def test_a_cancelled_transaction_leaves_nothing(database):
    async def work(connection):
        await connection.execute("INSERT INTO nodes (node, started_at_ms, heartbeat_at_ms) VALUES ('half', 1, 1)")
        await connection.execute("SELECT pg_sleep(30)")

    with trio.move_on_after(0.1):
        await database.in_transaction(work)
    assert await database.run(fetching("SELECT count(*) FROM nodes")) == 0


# Trouble while at work.


async def test_a_statement_that_takes_too_long_is_unavailability(emptied_database_url):
    async with open_database(emptied_database_url, Path(), pool_size=1, command_timeout_ms=500) as database:
        with pytest.raises(LedgerUnavailableError):
            await database.run(fetching("SELECT pg_sleep(30)"))
        assert await database.run(fetching("SELECT 1")) == 1


async def test_a_whole_unit_of_work_has_a_deadline(emptied_database_url):
    """However short each of its statements is."""

    async def dawdle(connection):
        for _ in range(100):
            await connection.execute("SELECT pg_sleep(0.05)")

    async with open_database(emptied_database_url, Path(), command_timeout_ms=150) as database:
        with pytest.raises(LedgerUnavailableError), trio.fail_after(2):
            await database.run(dawdle)


async def test_the_wait_for_a_connection_has_a_deadline(emptied_database_url):
    async with open_database(emptied_database_url, Path(), pool_size=1, command_timeout_ms=500) as database:
        token, held = trio.lowlevel.current_trio_token(), trio.Event()

        async def hold(_connection):
            token.run_sync_soon(held.set)
            await asyncio.sleep(1)

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: database.run(hold, timeout_ms=10_000))
                await held.wait()
                with pytest.raises(LedgerUnavailableError, match="TimeoutError"):
                    await database.run(fetching("SELECT 1"))
        assert await database.run(fetching("SELECT 1")) == 1


async def test_a_killed_connection_is_unavailability_and_the_next_one_works(database):
    async def die(connection):
        await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(LedgerUnavailableError):
        await database.run(die)
    assert await database.run(fetching("SELECT 1")) == 1


async def test_a_broken_statement_is_unavailability_not_a_refusal(database):
    """A schema that is not there says nothing about a transition."""
    with pytest.raises(LedgerUnavailableError, match="UndefinedTableError"):
        await database.run(fetching("SELECT * FROM no_such_table"))


async def test_connections_are_set_up_for_the_statements_whatever_the_database_says(database_url):
    change = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {}', current_database()); END $$"
    async with open_database(database_url, Path()) as database:
        for setting in ("default_transaction_isolation = serializable", "timezone = 'Asia/Tokyo'"):
            statement = change.format(setting.replace("'", "''"))
            await database.run(lambda connection, statement=statement: connection.execute(statement))
    async with open_database(database_url, Path()) as database:
        await _check_settings(database)


async def _check_settings(database):
    settings = {
        "transaction_isolation": "read committed",
        "timezone": "UTC",
        "client_encoding": "UTF8",
        "application_name": "getaway",
        "statement_timeout": "10s",
        "lock_timeout": "1s",
        "idle_in_transaction_session_timeout": "20s",
    }
    for name, value in settings.items():
        assert await database.run(fetching(f"SHOW {name}")) == value


async def test_a_snapshot_sees_one_moment_and_changes_nothing(database, emptied_database_url):
    async def look(connection):
        before = await connection.fetchval("SELECT count(*) FROM nodes")
        other = await asyncpg.connect(emptied_database_url)
        await other.execute("INSERT INTO nodes (node, started_at_ms, heartbeat_at_ms) VALUES ('new', 1, 1)")
        await other.close()
        return before, await connection.fetchval("SELECT count(*) FROM nodes")

    assert await database.in_snapshot(look) == (0, 0)
    assert await database.in_snapshot(look) == (1, 1)
    with pytest.raises(LedgerUnavailableError, match="ReadOnly"):
        await database.in_snapshot(lambda connection: connection.execute("DELETE FROM nodes"))


# No database.


def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


async def unavailable(url, **settings) -> str:
    with pytest.raises(DatabaseUnavailableError) as caught:
        async with open_database(url, Path(), **settings):
            pass
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    error = caught.value
    while error is not None:
        assert PASSWORD not in repr(error)
        error = error.__cause__ or error.__context__
    return text


async def test_nobody_listens():
    text = await unavailable(f"postgresql://user:{PASSWORD}@127.0.0.1:{closed_port()}/name")
    assert "Connect call failed" in text or "refused" in text


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{PASSWORD}/x@host/name",
        f"postgresql://user:{PASSWORD}@host:port/name",
        f"mysql://user:{PASSWORD}@host/name",
        f"{PASSWORD}",
        "",
        f"postgresql://user:{PASSWORD}@[::1/name",
        # Of these asyncpg alone knows what to make.
        f"postgresql://user:{PASSWORD}%zz@host/name",
        f"postgresql://user:{PASSWORD}@host/name?search_path=public",
    ],
)
async def test_a_url_that_is_none_never_shows_its_password(url):
    assert "postgresql://user:password@host:port/name" in await unavailable(url)


async def test_a_database_that_does_not_exist(postgres):
    assert "no_such_database" in await unavailable(postgres.url_of("no_such_database"))


async def test_a_server_that_is_too_old(postgres):
    text = await unavailable(postgres.url_of("postgres"), version_min=990_000)
    assert "PostgreSQL 99 or newer is needed, and this is 18" in text


@pytest.fixture
def guarded_url(postgres):
    """The URL of a user who needs a password, and has given the wrong one."""
    url = postgres.url_of("postgres")
    rules = Path(str(conninfo_to_dict(url)["host"])) / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("local all guarded scram-sha-256\n" + before)
    postgres.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'", "SELECT pg_reload_conf()")
    yield f"postgresql://guarded:{PASSWORD}@/postgres?host={rules.parent}"
    rules.write_text(before)
    postgres.execute("DROP ROLE guarded", "SELECT pg_reload_conf()")


async def test_a_wrong_password_is_not_repeated(guarded_url):
    assert 'password authentication failed for user "guarded"' in await unavailable(guarded_url)


async def test_a_connection_is_used_again_without_the_pool_and_shared_when_others_wait(emptied_database_url):
    async with open_database(emptied_database_url, Path(), pool_size=2) as database:
        pids = []

        async def one():
            pids.append(await database.run(fetching("SELECT pg_backend_pid() FROM pg_sleep(0.02)")))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(one)
        assert len(pids) == 20
        assert len(set(pids)) == 2, "a pool of two has more connections, or one was kept from those who waited"
        last = await database.run(fetching("SELECT pg_backend_pid()"))
        for _ in range(3):
            assert await database.run(fetching("SELECT pg_backend_pid()")) == last


async def test_a_kept_connection_that_was_closed_meanwhile_is_not_used(emptied_database_url):
    async with open_database(emptied_database_url, Path(), pool_size=2) as database:

        async def both():
            pids = set()

            async def one():
                pids.add(await database.run(fetching("SELECT pg_backend_pid() FROM pg_sleep(0.02)")))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(one)
                nursery.start_soon(one)
            return pids

        before = await both()
        kept = await database.run(fetching("SELECT pg_backend_pid()"))
        (other,) = before - {kept}
        assert await database.run(fetching(f"SELECT pg_terminate_backend({other})"))
        while await database.run(fetching(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {other}")):
            await trio.sleep(0.01)
        after = await both()
        assert len(after) == 2
        assert after & before == {kept}
