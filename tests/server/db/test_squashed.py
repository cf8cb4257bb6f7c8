"""The one migration that has taken the place of seventeen makes the schema that they made."""

from pathlib import Path

import pytest

from server.db.driver.database import open_database
from server.db.errors import MigrationError
from server.db.migrations.migrate import check_schema, migrate, shipped

CATALOGS = {
    "relations": """
SELECT c.relkind::text, c.relname, c.relpersistence::text, c.reloptions FROM pg_class c WHERE {of_us}""",
    "columns": """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text,
    a.attgenerated::text, a.attcollation::regcollation::text, a.attstorage::text, pg_get_expr(d.adbin, d.adrelid)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r'
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND {of_us}""",
    "constraints": """
SELECT c.relname, k.conname, pg_get_constraintdef(k.oid), k.convalidated
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE {of_us}""",
    "indexes": """
SELECT c.relname, pg_get_indexdef(i.indexrelid), i.indisunique, i.indisvalid
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE {of_us}""",
    "triggers": """
SELECT c.relname, pg_get_triggerdef(t.oid), t.tgenabled::text
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND {of_us}""",
    "functions": """
SELECT pg_get_functiondef(p.oid), p.proacl::text FROM pg_proc p
WHERE p.pronamespace = current_schema()::regnamespace""",
    "rights": """
SELECT c.relname, c.relacl::text, pg_get_userbyid(c.relowner) FROM pg_class c WHERE {of_us}""",
    "rest": """
SELECT t.typname FROM pg_type t WHERE t.typnamespace = current_schema()::regnamespace
UNION ALL SELECT evtname FROM pg_event_trigger UNION ALL SELECT extname FROM pg_extension""",
    "rows": "SELECT 'changes', version FROM operator_changes",
}
OF_US = "c.relnamespace = current_schema()::regnamespace"


def old_chain():
    folder = Path(__file__).parent / "old_chain"
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.sql"))}


@pytest.fixture
async def fresh(postgres):
    with postgres.database(template="template1") as url:
        async with open_database(url, Path()) as database:
            await migrate(database)
            yield database


@pytest.fixture
async def old(postgres):
    with postgres.database(template="template1") as url:
        async with open_database(url, Path()) as database:
            yield database


async def catalogs(database):
    async def read(connection):
        return {
            name: sorted(str(tuple(row)) for row in await connection.fetch(query.format(of_us=OF_US)))
            for name, query in CATALOGS.items()
        }

    return await database.run(read)


async def test_the_old_chain_and_the_new_schema_are_the_same(fresh, old):
    assert len(await migrate(old, old_chain())) == 17
    applied = await migrate(old)
    assert applied == [name for name in shipped() if name != "0001_schema.sql"]
    assert await migrate(old) == []
    await check_schema(old)
    found, expected = await catalogs(old), await catalogs(fresh)
    for name, rows in expected.items():
        assert rows, f"nothing was compared: {name}"
        assert found[name] == rows


async def bodies(database):
    query = "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
    return {row["proname"]: row["prosrc"] for row in await database.run(lambda connection: connection.fetch(query))}


async def test_functions_do_what_the_newest_of_the_old_chain_did(fresh, old):
    """But for two: ``move_session_4`` does by itself what three did one after the other, and ``commit_group_6`` takes
    launches and bets with the columns of their tables. What they do is the business of ``tests/twins``."""
    await migrate(old, old_chain())
    before, now = await bodies(old), await bodies(fresh)
    assert len(now) == 8
    assert {now.pop(name) for name in ("move_session_4", "commit_group_6")}.isdisjoint(before.values())
    assert now == {name: before[name] for name in now}


async def test_a_server_on_the_old_chain_is_told_to_migrate(old):
    await migrate(old, old_chain())
    with pytest.raises(MigrationError, match=r"older than this version .* run getaway migrate"):
        await check_schema(old)


@pytest.mark.parametrize("change", ["cut", "another"])
async def test_another_chain_of_before_is_left_as_it_is(old, change):
    chain = old_chain()
    if change == "cut":
        del chain["0017_ended_lives.sql"]
    else:
        chain["0017_ended_lives.sql"] += "-- and more"
    await migrate(old, chain)
    before = await catalogs(old)
    for attempt in (migrate, check_schema):
        with pytest.raises(MigrationError, match="before the first release"):
            await attempt(old)
    assert await catalogs(old) == before


async def test_what_was_written_under_the_old_chain_is_kept(old):
    await migrate(old, old_chain())
    await old.run(lambda connection: connection.execute("UPDATE operator_changes SET version = 7"))
    await migrate(old)
    assert await old.run(lambda connection: connection.fetchval("SELECT version FROM operator_changes")) == 7
