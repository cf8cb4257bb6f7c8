"""What PostgreSQL tells of its own history, and what is noted of a cut."""

import asyncpg
import pytest

from server.books import restore
from tests.helpers.books import NOON_MS


async def execute(database, statement, *arguments):
    return await database.run(lambda connection: connection.execute(statement, *arguments))


async def beat(world, owner):
    return (await world.ledger.heartbeat(owner, NOON_MS)).lineage


async def test_a_history_begins_with_the_first_node_and_all_share_it(database, world, owner):
    other = await world.ledger.register_node("node-b", NOON_MS)
    lineage = await beat(world, owner)
    assert lineage == await beat(world, other)
    assert lineage.history_id and lineage.cut_reason is None and not lineage.has_moved
    row = await database.run(lambda connection: connection.fetchrow("SELECT * FROM histories"))
    assert row["system_identifier"] > 0 and row["timeline"] == "00000001"


@pytest.mark.parametrize("change", ["system_identifier = 1", "timeline = '00000007'"])
async def test_another_cluster_or_timeline_is_told_and_may_be_adopted(database, world, owner, change):
    await execute(database, f"UPDATE histories SET {change}")
    lineage = await beat(world, owner)
    assert (lineage.has_moved, lineage.was_synchronous) == (True, False)
    await world.ledger.adopt_place(lineage.history_id)
    assert (await beat(world, owner)).has_moved is False


async def test_what_the_server_does_not_tell_is_no_move(database, world, owner):
    await execute(database, "UPDATE histories SET system_identifier = NULL, timeline = NULL")
    assert (await beat(world, owner)).has_moved is False


async def test_whether_commits_waited_is_what_the_beat_before_recorded(database, world, owner):
    await beat(world, owner)
    await execute(database, "UPDATE nodes SET is_synchronous = true")
    assert (await beat(world, owner)).was_synchronous is True
    assert (await beat(world, owner)).was_synchronous is False, "nothing waits for a standby here"


STANDBY_IS_NAMED = """
CREATE SCHEMA shadow;
CREATE FUNCTION shadow.current_setting(name text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE name WHEN 'synchronous_standby_names' THEN 'standby' ELSE pg_catalog.current_setting(name) END
$$;
SET LOCAL search_path = shadow, pg_catalog, public;
"""


@pytest.mark.parametrize(
    ("setting", "waits"),
    [("off", False), ("local", False), ("remote_write", True), ("on", True), ("remote_apply", True)],
)
async def test_commits_wait_for_a_standby_that_is_named_unless_they_are_told_not_to(database, setting, waits):
    """A promotion of one for which they have not waited may have lost some: bets stop then."""

    async def ask(connection):
        change = connection.transaction()
        await change.start()
        try:
            await connection.execute(f"SET LOCAL synchronous_commit = '{setting}'")
            before = await connection.fetchval("SELECT is_synchronous FROM database_place()")
            await connection.execute(STANDBY_IS_NAMED)
            return before, await connection.fetchval("SELECT is_synchronous FROM database_place()")
        finally:
            await change.rollback()

    assert await database.run(ask) == (False, waits)


async def test_there_is_one_present_history(database, world, owner):
    """Of two commands, or two nodes, that begin one at once."""
    with pytest.raises(asyncpg.UniqueViolationError, match="histories_present"):
        await execute(database, "INSERT INTO histories DEFAULT VALUES")


async def test_a_cut_is_noted_once_and_told_to_all(database, world, owner):
    other = await world.ledger.register_node("node-b", NOON_MS)
    history_id = (await beat(world, owner)).history_id
    await world.ledger.note_cut(owner, "another history", "not this one")
    assert (await beat(world, owner)).cut_reason is None
    await world.ledger.note_cut(owner, history_id, "first")
    await world.ledger.note_cut(other, history_id, "second")
    assert (await beat(world, other)).cut_reason == "first"
    row = await database.run(lambda connection: connection.fetchrow("SELECT * FROM histories"))
    assert row["cut_by"] == f"node-a {owner.epoch}"


async def test_who_slept_through_a_restore_does_not_cut_the_next_history(database, world, owner):
    own_id = (await beat(world, owner)).history_id
    await world.ledger.note_cut(owner, own_id, "found at first")
    await database.in_transaction(lambda connection: restore.begin_history(connection, "me", NOON_MS))
    present_id = (await beat(world, owner)).history_id
    await world.ledger.note_cut(owner, present_id, "found in its sleep", own_id)
    assert (await beat(world, owner)).cut_reason is None
    await world.ledger.note_cut(owner, present_id, "a history of which the database knows nothing", present_id[::-1])
    assert (await beat(world, owner)).cut_reason is not None


async def test_a_plain_role_may_ask(database, world, owner):
    async def ask(connection):
        await connection.execute("CREATE ROLE plain_reader")
        await connection.execute("SET LOCAL ROLE plain_reader")
        row = await connection.fetchrow("SELECT * FROM database_place()")
        await connection.execute("RESET ROLE")
        await connection.execute("DROP ROLE plain_reader")
        return row

    row = await database.in_transaction(ask)
    assert row["system_identifier"] > 0 and row["timeline"] == "00000001"
