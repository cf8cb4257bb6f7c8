"""The statement that trio drives itself: what it gives, what ends it, and that it works again after any trouble."""

import socket
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio

from actors.ports.ledger import LedgerUnavailableError
from server.db.driver.commit_statement import DirectStatement
from server.db.driver.database import open_database
from server.db.driver.url import read_url
from server.db.errors import RefusedError
from tests.helpers.postgres_proxy import Proxy

PASSWORD = "hush-hush"
SECRET = "the-seed-of-a-player"
ECHO = "SELECT $1::text, pg_backend_pid()::text"
SLEEP = "SELECT pg_backend_pid()::text FROM pg_sleep($1::float8)"
FURNITURE = """
CREATE TABLE things (n integer CONSTRAINT once UNIQUE CONSTRAINT few CHECK (n < 100));
INSERT INTO things VALUES (7);
CREATE FUNCTION widen(text) RETURNS text LANGUAGE plpgsql
    AS $$ BEGIN ALTER TABLE things ADD COLUMN m integer; RETURN 'done'; END $$;
CREATE FUNCTION shout(text) RETURNS text LANGUAGE plpgsql
    AS $$ BEGIN RAISE NOTICE 'shouted %', $1; RAISE WARNING 'and %', $1; RETURN 'done'; END $$;
CREATE SEQUENCE plans;
CREATE FUNCTION plan_number() RETURNS bigint LANGUAGE plpgsql IMMUTABLE
    AS $$ BEGIN RETURN nextval('plans'); END $$;
"""
"""The planner takes the last one for a constant, so that each plan has the number it was made with."""


@pytest.fixture
def furnished_url(postgres, database_url) -> str:
    postgres.execute(FURNITURE, url=database_url)
    return database_url


@pytest.fixture
async def direct(emptied_database_url, caplog):
    """Makes statements, of which none may log a password or a text that was sent."""
    made = []

    def make(
        statement=ECHO, url=emptied_database_url, timeout_ms=5000, age_ms_max=600_000, **settings
    ) -> DirectStatement:
        made.append(
            DirectStatement(
                read_url(url), statement, {"application_name": "watched", **settings}, timeout_ms, age_ms_max
            )
        )
        return made[-1]

    caplog.set_level("DEBUG")
    yield make
    for statement in made:
        statement.close()
    assert PASSWORD not in caplog.text
    assert SECRET not in caplog.text


async def trouble(statement, text=SECRET, *, ticks_min=0) -> str:
    """What a call says that ends in trouble. Nothing of that tells a secret, and other tasks go on meanwhile."""
    ticks = []

    async def tick():
        while True:
            ticks.append(1)
            await trio.sleep(0.01)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick)
            with pytest.raises(LedgerUnavailableError) as caught:
                await statement.fetch(text)
            nursery.cancel_scope.cancel()
    assert len(ticks) >= ticks_min
    error = caught.value
    while error is not None:
        assert PASSWORD not in f"{error} {error!r}"
        assert SECRET not in f"{error} {error!r}"
        error = error.__cause__ or error.__context__
    return str(caught.value)


async def until_connected(database, number, condition="true"):
    """Wait until so many others are connected to the database."""
    count = f"""SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND {condition}"""
    with trio.fail_after(10):
        while await database.run(lambda connection: connection.fetchval(count)) != number:
            await trio.sleep(0.01)


@asynccontextmanager
async def asleep(statement, database):
    """A call of ``SLEEP`` is on at the server. It ends in trouble, unless the nursery is cancelled."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trouble, statement, "30")
        await until_connected(database, 1, "state = 'active' AND query LIKE 'SELECT%pg_sleep%'")
        yield nursery


async def test_rows_come_back_as_texts_and_null_as_none(direct):
    rows = direct("SELECT i, CASE i WHEN 2 THEN NULL ELSE $1::text END, true FROM generate_series(1, $1::int) AS i")
    assert await rows.fetch("3") == [("1", "3", "t"), ("2", None, "t"), ("3", "3", "t")]
    assert await rows.fetch("0") == []


@pytest.mark.parametrize("text", ["", "naïve ☃ 🦊\n\t'\"\\ $1 %s", "0123456789abcde☃" * 125_000], ids=len)
async def test_a_text_comes_back_as_it_was_sent(direct, text):
    echo = direct()
    for _ in range(2):
        assert [again for again, _ in await echo.fetch(text)] == [text]


@pytest.mark.parametrize("text", ["cut\0off", "half a character: \ud800"])
async def test_a_text_that_postgresql_cannot_take_is_refused_or_trouble(direct, text):
    with pytest.raises((RefusedError, LedgerUnavailableError)):
        await direct().fetch(text)


async def test_many_callers_get_their_own_rows_in_order_by_one_connection(direct, database):
    echo, started, ended, pids = direct(), [], [], set()

    async def call(number):
        started.append(number)
        ((text, pid),) = await echo.fetch(str(number))
        ended.append(int(text))
        pids.add(pid)
        assert int(text) == number

    async with trio.open_nursery() as nursery:
        for number in range(300):
            nursery.start_soon(call, number)
    assert ended == started
    assert len(pids) == 1
    await until_connected(database, 1)


async def test_connections_are_set_up_whatever_the_database_says(postgres, database_url, monkeypatch):
    change = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {}', current_database()); END $$"
    changed = ("default_transaction_isolation = serializable", "timezone = Japan", "client_encoding = LATIN1")
    postgres.execute(*(change.format(each) for each in changed), url=database_url)
    monkeypatch.setattr("server.db.driver.database.COMMIT_GROUP", "SELECT current_setting($1::text)")
    settings = {"transaction_isolation": "read committed", "timezone": "UTC", "client_encoding": "UTF8"}
    settings |= {"application_name": "getaway", "statement_timeout": "10s", "transaction_read_only": "off"}
    async with open_database(database_url, Path()) as database:
        assert {name: (await database.commit_group(name))[0][0] for name in settings} == settings


async def test_plans_are_made_again_after_16_calls_and_then_after_twice_as_many(direct, furnished_url):
    planned = direct("SELECT plan_number(), $1::text", furnished_url, plan_cache_mode="force_generic_plan")
    plans = [(await planned.fetch("x"))[0][0] for _ in range(16 + 32 + 64)]
    assert [plans.count(plan) for plan in dict.fromkeys(plans)] == [16, 32, 64]


async def test_notices_are_not_printed(direct, furnished_url, capfd):
    assert await direct("SELECT shout($1)", furnished_url).fetch(SECRET) == [("done",)]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("number", "state", "table", "constraint"),
    [("7", "23505", "things", "once"), ("987654", "23514", "things", "few"), ("0", "22012", None, None)],
)
async def test_values_are_refused_and_none_is_told(direct, furnished_url, number, state, table, constraint):
    inserting = direct("INSERT INTO things SELECT $1::int + 0 / $1::int RETURNING pg_backend_pid()", furnished_url)
    before = await inserting.fetch("1")
    with pytest.raises(RefusedError) as caught:
        await inserting.fetch(number)
    error = caught.value
    assert str(error) == f"refused by the database (SQLSTATE {state})"
    assert (error.table_name, error.constraint_name) == (table, constraint)
    assert error.__cause__ is error.__context__ is None
    assert await inserting.fetch("2") == before, "the connection is another one"


@pytest.mark.parametrize(
    ("statement", "settings", "state"),
    [
        ("SELECT * FROM no_such_table", {}, "42P01"),
        ("SELECT lo_get($1::oid)", {}, "42704"),
        (SLEEP, {"statement_timeout": "20"}, "57014"),
        (ECHO, {"statement_timeout": "no number"}, "22023"),
        ("SELECT $1::text, 'no number'::int", {}, "22P02"),
    ],
)
async def test_trouble_of_other_kinds_is_no_refusal(direct, statement, settings, state):
    """Nor is that of the last two kinds, before any value was sent: else every commit would be answered by a no."""
    said = await trouble(direct(statement, **settings), "424242")
    assert said == f"the database is in trouble (SQLSTATE {state})"


async def test_a_statement_whose_columns_have_changed_works_again(direct, furnished_url):
    reading = direct("SELECT * FROM things WHERE $1::text <> ''", furnished_url)
    assert await reading.fetch("x") == [("7",)]
    await direct("SELECT widen($1)", furnished_url).fetch("x")
    with suppress(LedgerUnavailableError):
        await reading.fetch("x")
    assert await reading.fetch("x") == [("7", None)]


async def test_a_statement_that_takes_too_long_is_stopped_and_the_next_call_works(direct, database):
    sleeping = direct(SLEEP, timeout_ms=500)
    await sleeping.fetch("0")
    await trouble(sleeping, "30", ticks_min=10)
    await until_connected(database, 0)
    assert await sleeping.fetch("0")


async def test_a_cancelled_call_is_stopped_and_what_is_closed_can_be_used_again(direct, database):
    sleeping = direct(SLEEP, timeout_ms=60_000)
    with trio.fail_after(10):
        async with asleep(sleeping, database) as nursery:
            nursery.cancel_scope.cancel()
    for _ in range(2):
        await until_connected(database, 0)
        sleeping.close()
        assert await sleeping.fetch("0")
        await until_connected(database, 1)
        sleeping.close()


@pytest.mark.parametrize("is_idle", [True, False])
async def test_after_its_backend_is_terminated_the_next_call_works(direct, database, is_idle):
    sleeping = direct(SLEEP)
    ((pid,),) = await sleeping.fetch("0")
    end = f"SELECT pg_terminate_backend({pid})"
    if is_idle:
        await database.run(lambda connection: connection.execute(end))
        while await trio.Path(f"/proc/{pid}").exists():
            await trio.sleep(0.01)
    else:
        async with asleep(sleeping, database):
            await database.run(lambda connection: connection.execute(end))
    assert await sleeping.fetch("0") != [(pid,)]


@pytest.fixture
async def proxy(emptied_database_url, nursery):
    proxy = Proxy(emptied_database_url, PASSWORD)
    (listener,) = await nursery.start(partial(trio.serve_tcp, proxy.serve, 0, host="127.0.0.1"))
    proxy.port = listener.socket.getsockname()[1]
    return proxy


async def test_after_a_connection_is_cut_the_next_call_works(direct, proxy, database):
    sleeping = direct(SLEEP, proxy.url(), statement_timeout="1000")
    async with asleep(sleeping, database):
        proxy.last.cancel()
    await until_connected(database, 0)
    assert await sleeping.fetch("0")
    proxy.last.cancel()
    await until_connected(database, 0)
    assert await sleeping.fetch("0")


async def test_a_network_that_goes_dark_is_trouble_for_all_who_wait_as_well(direct, proxy):
    """The second call's time is up before the first one has given the connection up, in vain, and its turn comes."""
    echo, ended = direct(url=proxy.url(), timeout_ms=700), []
    await echo.fetch("x")
    proxy.darken()

    async def call(number):
        await trouble(echo, ticks_min=10)
        ended.append(number)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, 1)
            await proxy.dark.wait()
            nursery.start_soon(call, 2)
    assert ended == [2, 1]
    proxy.darken(None)
    assert await echo.fetch("x")


@pytest.mark.parametrize("pieces", range(4), ids=["connect", "set", "prepare", "execute"])
async def test_a_call_can_be_cancelled_at_any_stage(direct, proxy, database, pieces):
    echo = direct(url=proxy.url(), timeout_ms=60_000)
    proxy.darken(pieces)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo.fetch, "x")
            await proxy.dark.wait()
            nursery.cancel_scope.cancel()
    await until_connected(database, 0)
    proxy.darken(None)
    assert await echo.fetch("x")
    await until_connected(database, 1)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_servers_that_say_nothing_block_nobody_and_what_is_given_up_leaves_no_file_open(direct, proxy):
    files = open_files()
    proxy.darken()
    async with trio.open_nursery() as nursery:
        for _ in range(25):
            nursery.start_soon(partial(trouble, direct(url=proxy.url(), timeout_ms=700), ticks_min=10))
            nursery.start_soon(trouble, direct(SLEEP, timeout_ms=700), "30")
    with trio.fail_after(5):
        while open_files() > files:
            await trio.sleep(0.01)


FOUND = (
    "postgresql://postgres@localhost:{port}/{name}",
    "postgresql://postgres@127.0.0.1:1,localhost:{port}/{name}",
    "postgresql://postgres@no-such-host.invalid:{port},localhost:{port}/{name}?sslmode=disable",
    "postgresql://postgres@/{name}?host=/no/such/folder,{folder}",
    "postgresql://postgres@localhost/{name}",  # and PGPORT
)


@pytest.mark.parametrize("url", FOUND)
async def test_a_url_by_which_the_pool_finds_a_server_does_for_commits_as_well(proxy, monkeypatch, url):
    if "port" not in url and "{folder}" not in url:
        monkeypatch.setenv("PGPORT", str(proxy.port))
    async with open_database(url.format(**vars(proxy)), Path()) as database:
        assert await database.commit_group("[]") == []


NOT_FOUND = ("@127.0.0.1:1/name", "@no-such-host.invalid/name?sslmode=disable", "@no..host/name?sslmode=disable")


@pytest.mark.parametrize("rest", NOT_FOUND)
async def test_a_place_that_is_none_is_trouble_and_no_password_is_repeated(direct, rest):
    await trouble(direct(url=f"postgresql://user:{PASSWORD}{rest}"))


async def test_a_host_that_refuses_after_a_while_is_followed_by_the_next_one(direct, proxy):
    """As hosts of a network do. Its queue is full until it is closed: then the next packet to it is refused."""
    slow, *fillers = (socket.socket() for _ in range(5))
    slow.bind(("127.0.0.1", 0))
    slow.listen(0)
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(slow.getsockname())
    hosts = f"127.0.0.1:{slow.getsockname()[1]},127.0.0.1:{proxy.port}"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(direct(url=proxy.url(hosts), timeout_ms=9000).fetch, "x")
        await trio.sleep(0.1)
        for unused in (slow, *fillers):
            unused.close()


async def test_names_are_looked_up_by_trio_and_block_nobody(direct, proxy, monkeypatch):
    async def look_up(host, *_args, **_kwargs):
        if host != "getaway-database":
            await trio.sleep_forever()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(trio.socket, "getaddrinfo", look_up)
    assert await direct(url=proxy.url(f"getaway-database:{proxy.port}", "sslmode=disable")).fetch("x")
    await trouble(direct(url=proxy.url(f"other-host:{proxy.port}", "sslmode=disable"), timeout_ms=700), ticks_min=10)
