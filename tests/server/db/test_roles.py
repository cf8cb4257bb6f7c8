"""The server's own role plays everything, and can't touch what protects the books. On PostgreSQL, as that role."""

import json
import os
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest

from server.db.driver.database import open_database
from server.db.errors import MigrationError
from server.db.migrations.migrate import check_schema, migrate, shipped
from server.db.migrations.roles import DELETED, READ_ONLY, grant_server, warn_of_owner
from tests.helpers import books
from tests.helpers.books import NOON_MS
from tests.helpers.command_line import on_database
from tests.helpers.ledger_worlds import PostgresWorld
from tests.helpers.sound_books import VAULT, fill

ROLE = f"Server-{os.getpid()}"
"""A name that has to be put into quotes; of this process, for roles belong to a whole server."""


@pytest.fixture(scope="module")
def role(postgres):
    postgres.execute(f'CREATE ROLE "{ROLE}" LOGIN')
    yield ROLE
    postgres.execute(f'DROP ROLE "{ROLE}"')


@pytest.fixture
def urls(postgres, role):
    """Of a database for its owner, and for the server's role, which has been granted what it needs."""
    with postgres.database() as url:
        done = on_database(url)("migrate", "--grant", role)
        assert (done.status, done.out, done.err) == (0, "the schema is up to date\n", "")
        mark = "" if url.endswith("?") else "&" if "?" in url else "?"
        options = quote(f"-c role={role}", safe="")
        yield url, f"{url}{mark}options={options}"
        postgres.execute(f'DROP OWNED BY "{role}"', url=url)


async def as_server(urls, statement: str) -> None:
    async with open_database(urls[1], Path()) as database:
        await database.run(lambda connection: connection.execute(statement))


FORBIDDEN = {
    "ALTER TABLE rounds DISABLE TRIGGER ALL",
    "ALTER TABLE rounds DISABLE TRIGGER rounds_move_forward",
    "ALTER TABLE rounds DROP CONSTRAINT end_and_payout",
    "ALTER TABLE transactions ADD COLUMN x int",
    "DROP TRIGGER only_what_is_owed ON transactions",
    "DROP TABLE wallet_actions",
    "DROP INDEX rounds_live",
    "TRUNCATE rounds CASCADE",
    "TRUNCATE launch_replays",
    "DELETE FROM rounds",
    "DELETE FROM transactions",
    "DELETE FROM sessions",
    "DELETE FROM operators",
    "DELETE FROM revenue_days",
    "DELETE FROM wallet_actions",
    "DELETE FROM nodes",
    "UPDATE migrations SET checksum = ''",
    "DELETE FROM migrations",
    "SET session_replication_role = replica",
    "CREATE TABLE mine (x int)",
    "CREATE OR REPLACE FUNCTION check_owed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER mine BEFORE INSERT ON rounds FOR EACH ROW EXECUTE FUNCTION refuse_change('x')",
    "ALTER FUNCTION commit_group_6(jsonb) OWNER TO CURRENT_USER",
    "COPY rounds FROM PROGRAM 'true'",
}


@pytest.mark.parametrize("statement", sorted(FORBIDDEN))
async def test_the_servers_role_may_not(urls, statement):
    async with open_database(urls[1], Path()) as database:
        assert await database.run(lambda connection: connection.fetchval("SELECT current_user")) == ROLE

        async def attempt(connection):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
            return True

        assert await database.run(attempt)


async def test_no_table_is_left_out_and_none_has_more(urls):
    """Also those that a later version makes."""
    async with open_database(urls[1], Path()) as database:
        rows = await database.run(
            lambda connection: connection.fetch(
                "SELECT relname, array_agg(privilege) AS rights FROM pg_class, unnest(ARRAY['SELECT', 'INSERT',"
                " 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege"
                " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
                " AND has_table_privilege(oid, privilege) GROUP BY relname"
            )
        )
        count = await database.run(
            lambda connection: connection.fetchval(
                "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            )
        )
    assert len(rows) == count >= 12
    for row in rows:
        expected = {"SELECT"} if row["relname"] in READ_ONLY else {"SELECT", "INSERT", "UPDATE"}
        assert set(row["rights"]) == expected | ({"DELETE"} if row["relname"] in DELETED else set()), row["relname"]


async def test_rights_that_were_given_by_hand_are_taken_away_again(urls):
    async with open_database(urls[0], Path()) as database:
        for things in ("ALL TABLES IN SCHEMA public", "ALL SEQUENCES IN SCHEMA public", "SCHEMA public"):
            grant = f'GRANT ALL ON {things} TO "{ROLE}"'
            await database.run(lambda connection, grant=grant: connection.execute(grant))
        await grant_server(database, ROLE)
    rewind = "SELECT setval(pg_get_serial_sequence('wallet_actions', 'action_id'), 1)"
    for statement in ("DELETE FROM rounds", rewind, "CREATE TABLE mine (x int)"):
        with pytest.raises(Exception, match="InsufficientPrivilege"):
            await as_server(urls, statement)


@pytest.mark.parametrize("name", ["nobody", "", "a\0b", "x" * 64, 'a" SUPERUSER; --'])
async def test_a_role_that_is_not_there_is_refused(urls, name):
    async with open_database(urls[0], Path()) as database:
        with pytest.raises(MigrationError, match="no such role"):
            await grant_server(database, name)


async def test_a_role_that_may_do_anything_is_refused(urls):
    """It would look as if something had been won."""
    async with open_database(urls[0], Path()) as database:
        owner = await database.run(lambda connection: connection.fetchval("SELECT current_user"))
        with pytest.raises(MigrationError, match="may do anything"):
            await grant_server(database, owner)


async def test_the_servers_role_grants_nothing_and_migrates_nothing(urls):
    """The schema is up to date, so that it need not; a newer version's would have to be made by the owner."""
    async with open_database(urls[1], Path()) as database:
        await check_schema(database)
        assert await migrate(database) == []
        with pytest.raises(MigrationError, match="can't be granted"):
            await grant_server(database, ROLE)
        with pytest.raises(MigrationError, match="as the tables' owner"):
            await migrate(database, shipped() | {"9999_next.sql": "SELECT 1"})


async def test_a_server_says_when_its_role_owns_the_books(urls, caplog):
    for url in urls:
        async with open_database(url, Path()) as database:
            await warn_of_owner(database)
    (told,) = caplog.records
    assert "--grant" in told.message


def test_the_servers_role_plays_provisions_and_reconciles(urls, tmp_path):
    """Every statement of the ledger and of the command line, with nothing but its rights."""
    import trio  # noqa: PLC0415 - the other tests run inside it

    getaway = on_database(urls[1])
    created = getaway(
        "operator", "create", "--name", "Casino", "--wallet-url", "https://w.example", "--currency", "USD", "--json"
    ).document
    changes = ("--currency", "EUR", "--rtp", "95")
    assert getaway("operator", "update", created["operator_id"], *changes, "--json").document["rtp_target"] == 95
    assert getaway("operator", "suspend", created["operator_id"], "--json").document["status"] == "suspended"
    names = trio.run(fill, urls[1])

    async def more():
        async with open_database(urls[1], Path()) as database:
            ledger = PostgresWorld(database, VAULT).ledger
            late = await ledger.register_node("node-b", NOON_MS + 86_400_000)
            orphans = await ledger.take_orphans(late, books.LEASE_MS, NOON_MS + 86_400_000, 10)
            assert {live.round_id for live in orphans} == {names["flying"], names["betting"]}
            calls = await ledger.claim_calls(late, {names["first"]: 9}, NOON_MS + 86_400_000, 1_000)
            assert [call.operator_tx_id for call in calls] == [f"win-{names['owed']}"]
            await ledger.give_up_claims(late, [], NOON_MS + 86_400_000)
            await ledger.release_claims(late, 1, NOON_MS + 86_400_000, 10)
            await ledger.outbox_counts()

    trio.run(more)
    owed = f"win-{names['owed']}"
    assert getaway("wallet", "retry", owed).status == 0
    assert getaway("wallet", "resolve", owed, "--reason", "by hand").status == 0
    assert getaway("round", "show", str(names["won"])).status == 0
    path = tmp_path / "theirs.csv"
    path.write_text(f"operator_tx_id,kind,amount_minor,currency\nbet-{names['won']},bet,100,USD\n")
    done = getaway("reconcile", "--operator", str(names["first"]), "--operator-file", str(path), "--json")
    assert done.err == ""
    differing = {check["check"] for check in json.loads(done.out)["checks"] if check["differences"]}
    assert differing <= {"owner", "attended"}, "these two judge by the present moment"
