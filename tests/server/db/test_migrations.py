"""Migrations: applied once, in order, whoever else is at it, and only what is known."""

import re
from pathlib import Path

import pytest
import trio

from actors.ports.ledger import LedgerUnavailableError
from server.db.driver.database import open_database
from server.db.errors import MigrationError
from server.db.migrations.migrate import check_schema, migrate, shipped

ROOT = Path(__file__).parents[3]

FIRST = {"0001_a.sql": "CREATE TABLE a (x int); INSERT INTO a VALUES (1)"}
SECOND = {"0002_b.sql": "ALTER TABLE a ADD y int"}
THIRD = {"0003_c.sql": "CREATE TABLE c ()"}


@pytest.fixture
async def empty(postgres_url):
    async with open_database(postgres_url, Path(), pool_size=4) as database:
        yield database


@pytest.fixture
def postgres_url(postgres):
    with postgres.database(template="template1") as url:
        yield url


async def names(database):
    return [
        row["name"] for row in await database.run(lambda connection: connection.fetch("SELECT name FROM migrations"))
    ]


async def test_what_is_shipped_makes_a_schema_and_again_nothing(empty):
    assert await migrate(empty) == list(shipped())
    assert await migrate(empty) == []
    assert await empty.run(lambda connection: connection.fetchval("SELECT count(*) FROM rounds")) == 0


async def test_only_what_is_new_is_applied_in_order(empty):
    assert await migrate(empty, FIRST) == ["0001_a.sql"]
    assert await migrate(empty, FIRST | SECOND | THIRD) == ["0002_b.sql", "0003_c.sql"]
    assert await names(empty) == ["0001_a.sql", "0002_b.sql", "0003_c.sql"]

    refusals = {
        "0001_a.sql": {**FIRST, "0001_a.sql": "CREATE TABLE a (z int)"} | SECOND | THIRD,
        "0003_c.sql": FIRST | SECOND,
    }
    for name, migrations in refusals.items():
        with pytest.raises(MigrationError, match=name) as caught:
            await migrate(empty, migrations)
        assert len(str(caught.value).splitlines()) == 1
    assert await names(empty) == ["0001_a.sql", "0002_b.sql", "0003_c.sql"]


async def test_a_gap_is_not_filled(empty):
    await migrate(empty, FIRST | THIRD)
    with pytest.raises(MigrationError, match=r"0002_b\.sql is missing"):
        await migrate(empty, FIRST | SECOND | THIRD)


async def test_a_migration_that_fails_leaves_nothing_behind(empty):
    with pytest.raises(MigrationError, match=r"0002_b\.sql failed: .*nonsense") as caught:
        await migrate(empty, FIRST | {"0002_b.sql": "CREATE TABLE b (); nonsense;"})
    assert len(str(caught.value).splitlines()) == 1
    found = await empty.run(lambda connection: connection.fetchval("SELECT to_regclass('a')::text"))
    assert found is None
    assert await migrate(empty, FIRST | SECOND) == ["0001_a.sql", "0002_b.sql"]


async def test_of_two_at_once_one_migrates_and_the_other_waits(empty, postgres_url):
    slow = {"0001_a.sql": FIRST["0001_a.sql"] + "; SELECT pg_sleep(0.2)"}
    applied = []
    async with open_database(postgres_url, Path()) as second:

        async def apply(database):
            applied.append(await migrate(database, slow))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(apply, empty)
            nursery.start_soon(apply, second)
    assert sorted(applied) == [[], ["0001_a.sql"]]


async def test_a_migration_may_take_longer_than_a_command(postgres_url):
    async with open_database(postgres_url, Path(), command_timeout_ms=500) as database:
        assert await migrate(database, {"0001_a.sql": "SELECT pg_sleep(0.8)"}) == ["0001_a.sql"]
        timeout = await database.run(lambda connection: connection.fetchval("SHOW statement_timeout"))
        assert timeout == "500ms", "only the migrations had more time"


# Functions.

TABLE = {"0001_a.sql": "CREATE TABLE a (x int DEFAULT one())"}


def function(name, value):
    return f"CREATE OR REPLACE FUNCTION {name}() RETURNS int LANGUAGE sql AS $$ SELECT {value} FROM (VALUES (1)) v $$"


async def called(database, name):
    return await database.run(lambda connection: connection.fetchval(f"SELECT {name}()"))


async def test_nodes_of_the_version_before_keep_their_function(empty):
    older = {"work_1": function("work_1", 1), "one_1": function("one", 1)} | TABLE
    newer = {"work_2": function("work_2", 2), "one_1": function("one", 1)} | TABLE
    assert await migrate(empty, older) == ["work_1", "one_1", "0001_a.sql"]
    assert await migrate(empty, newer) == ["work_2"]
    assert (await called(empty, "work_1"), await called(empty, "work_2")) == (1, 2)
    await check_schema(empty, newer)
    for attempt in (check_schema, migrate):
        with pytest.raises(MigrationError, match="work_2, which this version does not know: it is newer"):
            await attempt(empty, older)


async def test_a_function_of_the_tables_is_replaced_by_its_next_version_only(empty):
    older, newer = {"one_1": function("one", 1)} | TABLE, {"one_10": function("one", 10)} | TABLE
    await migrate(empty, older)
    changed = {"one_1": function("one", 7)} | TABLE
    for attempt in (check_schema, migrate):
        with pytest.raises(MigrationError, match="one_1 is not the one that was applied"):
            await attempt(empty, changed)
    with pytest.raises(MigrationError, match="one_10 is missing"):
        await check_schema(empty, newer)
    assert await migrate(empty, newer) == ["one_10"]
    assert await called(empty, "one") == 10
    with pytest.raises(MigrationError, match="one_10, which this version does not know"):
        await migrate(empty, older)


async def test_a_migration_that_fails_takes_the_functions_with_it(empty):
    with pytest.raises(MigrationError, match=r"0001_a\.sql failed"):
        await migrate(empty, {"one_1": function("one", 1), "0001_a.sql": "nonsense"})
    with pytest.raises(LedgerUnavailableError, match="UndefinedFunction"):
        await called(empty, "one")


def test_each_function_is_made_under_its_own_name_and_asked_for_by_its_present_version():
    """The version is in the name or nowhere: then the tables call it, and the next one replaces it."""
    functions = {name: sql for name, sql in shipped().items() if not name.endswith(".sql")}
    assert len(functions) >= 8
    product = "".join(path.read_text() for path in (ROOT / "server").rglob("*") if path.suffix in {".py", ".sql"})
    for name, sql in functions.items():
        base, _, version = name.rpartition("_")
        made = re.findall(r"^CREATE (OR REPLACE )?FUNCTION (\w+)\(", sql, re.MULTILINE)
        assert made in ([("", name)], [("OR REPLACE ", base)])
        called_for = set(re.findall(rf"\b{base}_(\d+)\(", product))
        assert called_for == ({version} if made == [("", name)] else set())
