"""Which database a command looks at: only some make one; the others say where they looked, and what is not there."""

import asyncio
from collections.abc import Iterator

import asyncpg
import click
import pytest

from server.cli.program import program
from tests.helpers.command_line import MASTER_KEY, CommandLine, on_database

SOMEBODY = "00000000-0000-4000-8000-000000000000"
CREATE = ("operator", "create", "--name", "C", "--wallet-url", "https://wallet.example", "--currency", "USD")
MAKERS = {("serve",), ("demo",), ("migrate",), ("operator", "create")}
"""What may make a database."""
WITHOUT = {("verify",), ("loadtest",)}
"""What needs none."""
ARGUMENTS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("operator", "list"): (),
    ("operator", "show"): (SOMEBODY,),
    ("operator", "update"): (SOMEBODY, "--rtp", "95"),
    ("operator", "suspend"): (SOMEBODY,),
    ("operator", "resume"): (SOMEBODY,),
    ("round", "show"): (SOMEBODY,),
    ("reconcile",): (),
    ("wallet", "list"): (),
    ("wallet", "retry"): ("win-1", "--by", "me"),
    ("wallet", "resolve"): ("win-1", "--by", "me", "--reason", "booked"),
    ("wallet", "audit"): (),
    ("restored",): ("--since", "2026-01-01T00:00:00Z"),
}
"""What looks at one that must be there, each with arguments that get it there."""


def leaves(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        yield words
        return
    for name, member in command.commands.items():
        yield from leaves(member, (*words, name))


def test_every_command_is_either_a_maker_or_looks_or_needs_none():
    assert set(leaves(program)) == MAKERS | WITHOUT | set(ARGUMENTS)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("words", ARGUMENTS, ids=" ".join)
@pytest.mark.parametrize("key", [{}, {"GETAWAY_MASTER_KEY": MASTER_KEY}], ids=["without_key", "with_key"])
def test_where_no_database_was_ever_made_none_is_made(words, key, elsewhere):
    line = CommandLine({}).refusal(3, *words, *ARGUMENTS[words], **key)
    assert f"there is no database: this command looked at the embedded database in {elsewhere}/var/postgres" in line
    assert "--config" in line
    assert list(elsewhere.iterdir()) == []
    line = CommandLine({}).refusal(3, *words, *ARGUMENTS[words], GETAWAY_DATABASE_DATA_DIR="other", **key)
    assert f"{elsewhere}/other/postgres" in line and list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("leftover", ["folder", "file"])
def test_what_is_no_data_folder_is_no_database(leftover, elsewhere):
    if leftover == "file":
        (elsewhere / "var").write_text("")
    else:
        (elsewhere / "var" / "postgres").mkdir(parents=True)
    assert "there is no database" in CommandLine({}).refusal(3, "reconcile")


@pytest.mark.parametrize("words", ARGUMENTS, ids=" ".join)
def test_an_empty_database_stays_empty(words, postgres):
    with postgres.database(template="template1") as url:
        line = on_database(url).refusal(3, *words, *ARGUMENTS[words])
        name = url.partition("?")[0].rsplit("/", 1)[1]
        assert "there is no Getaway in the database" in line and "getaway migrate" in line
        assert f"the database {name} on " in line
        assert _fetched(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


@pytest.mark.parametrize("words", ARGUMENTS, ids=" ".join)
@pytest.mark.parametrize(
    ("statement", "words_for_it"),
    [
        ("DELETE FROM migrations WHERE name = (SELECT max(name) FROM migrations)", "older than this version"),
        ("INSERT INTO migrations (name, checksum) VALUES ('9999_future.sql', '0')", "it is newer"),
        ("UPDATE migrations SET checksum = '0' WHERE name LIKE '0001%'", "is not the one that was applied"),
        ("DELETE FROM migrations", "there is no Getaway in the database"),
    ],
    ids=["older", "newer", "another", "none"],
)
def test_a_schema_of_another_version_is_left_as_it_is(words, statement, words_for_it, postgres, emptied_database_url):
    before = _migrations(emptied_database_url)
    try:
        postgres.execute(statement, url=emptied_database_url)
        changed = _migrations(emptied_database_url)
        line = on_database(emptied_database_url).refusal(3, *words, *ARGUMENTS[words])
        assert words_for_it in line
        assert _migrations(emptied_database_url) == changed
    finally:
        _restore(emptied_database_url, before)


def test_makers_make_one_and_then_the_others_find_it(postgres):
    with postgres.database(template="template1") as url:
        getaway = on_database(url)
        created = getaway(*CREATE, "--json").document
        assert [found["operator_id"] for found in getaway("operator", "list", "--json").document] == [
            created["operator_id"]
        ]


def test_the_key_of_a_database_elsewhere_is_not_made_here(database_url, tmp_path):
    """With another key its server could open nothing of what is written."""
    create = ("operator", "create", "--name", "C", "--wallet-url", "https://wallet.example", "--currency", "USD")
    places = {"GETAWAY_DATABASE_URL": database_url, "GETAWAY_DATABASE_DATA_DIR": str(tmp_path)}
    assert "set GETAWAY_MASTER_KEY" in CommandLine(places).refusal(2, *create)
    assert list(tmp_path.iterdir()) == []


def test_a_place_is_named_without_its_password():
    url = "postgresql://user:hunter2@127.0.0.1:1/casino?application_name=secretive"
    line = on_database(url).refusal(3, "operator", "list")
    assert "this command looked at the database casino on 127.0.0.1:1" in line
    assert "hunter2" not in line and "secretive" not in line


def _fetched(url: str, query: str):
    async def fetch():
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def _migrations(url: str) -> list[tuple[str, str]]:
    async def fetch():
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch("SELECT name, checksum FROM migrations ORDER BY 1")]
        finally:
            await connection.close()

    return asyncio.run(fetch())


def _restore(url: str, rows: list[tuple[str, str]]) -> None:
    async def restore():
        connection = await asyncpg.connect(url)
        try:
            await connection.execute("DELETE FROM migrations")
            await connection.executemany("INSERT INTO migrations (name, checksum) VALUES ($1, $2)", rows)
        finally:
            await connection.close()

    asyncio.run(restore())
