"""Migrations: applied once, in order, whoever else is at it, and only what is known."""

from pathlib import Path

import pytest
import trio

from actors.facts.records import PageOptions
from actors.rules.compact_json import compact_json
from server.db.driver.database import open_database
from server.db.errors import MigrationError
from server.db.migrations.migrate import migrate, shipped
from server.db.stores.group_rows import batch_of
from server.db.stores.session_frames import PostgresSessionFrames
from server.secrets.vault import Vault
from tests.helpers import books
from tests.helpers.ledger_worlds import ADD_OPERATOR
from tests.helpers.web_fakes import make_operator

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


async def launch_as_before(database, created):
    """As a node does that knows ``commit_group_1`` alone."""
    batch = compact_json(batch_of(Vault(bytes(32)), [created])).decode()
    done = await database.run(lambda connection: connection.fetch("SELECT * FROM commit_group_1($1::jsonb)", batch))
    return [tuple(row) for row in done]


async def test_sessions_of_the_version_before_open_no_page(empty):
    """Neither those from before the migration nor those that a node of that version launches after it have a code."""
    operator = make_operator()
    before, after = [books.new_session(operator, name, page=PageOptions(lang="de")) for name in ("before", "after")]
    await migrate(empty, {name: sql for name, sql in shipped().items() if name < "0007"})
    await empty.run(lambda connection: connection.execute(ADD_OPERATOR, operator.operator_id))
    assert await launch_as_before(empty, before) == [("launch", str(before.session_id))]
    assert await migrate(empty) == [name for name in shipped() if name >= "0007"]
    assert await launch_as_before(empty, after) == [("launch", str(after.session_id))]
    for created in (before, after):
        assert await PostgresSessionFrames(empty, Vault(bytes(32))).session_frame(created.token_digest) is None
