"""A real PostgreSQL for the tests: one server for all, and for each test a fresh database with the schema in place."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import trio

from server.db.driver.database import open_database
from server.db.embedded.embedded import embedded_server
from server.db.migrations.migrate import migrate

TEMPLATE = "getaway_template"
EMPTY = """
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema()
            AND tablename <> ALL (ARRAY['migrations', 'operator_changes']) LOOP
        EXECUTE format('DELETE FROM %I', name);
    END LOOP;
END $$
"""
"""All rows but those that the migrations made."""
CLOCK = """
CREATE TABLE test_clock (is_set boolean PRIMARY KEY, shows_ms bigint NOT NULL);
CREATE OR REPLACE FUNCTION database_ms() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT coalesce((SELECT shows_ms FROM test_clock), (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
$$;
"""
"""The database's clock shows what a test has set, if one has."""
WAITS = ("fsync", "synchronous_commit", "full_page_writes")


class PostgresServer:
    """Makes databases and drops them. Not for use inside trio: its methods run an asyncio loop of their own."""

    def __init__(self, url: str) -> None:
        self._url = url

    def url_of(self, database: str) -> str:
        head, _, options = self._url.partition("?")
        return f"{head.rsplit('/', 1)[0]}/{database}?{options}"

    def execute(self, *statements: str, url: str | None = None) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(url or self._url)
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(run())

    def be_quick(self) -> None:
        """Don't wait for the disk: what these tests need is gone with the machine anyway."""
        self.execute(*(f"ALTER SYSTEM SET {name} = off" for name in WAITS), "SELECT pg_reload_conf()")

    def make_template(self) -> None:
        self.execute(f"CREATE DATABASE {TEMPLATE}")

        async def fill() -> None:
            async with open_database(self.url_of(TEMPLATE), Path()) as database:
                await migrate(database)
                await database.run(lambda connection: connection.execute(CLOCK))

        trio.run(fill)

    def empty(self, url: str) -> None:
        """Remove all rows, also those that the schema keeps for ever. Much quicker than a fresh database."""
        self.execute("SET session_replication_role = replica", EMPTY, url=url)

    @contextmanager
    def database(self, *, template: str = TEMPLATE) -> Iterator[str]:
        """The URL of a new database, dropped in the end whoever is still connected to it."""
        name = f"test_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url_of(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


def trust_everybody(folder: Path) -> None:
    """Let in whoever reaches the server, from its next reading of the rules on: tests play many people."""
    rules = folder / "pg_hba.conf"
    rules.write_text(f"local all all trust\nhost all all 127.0.0.1/32 trust\n{rules.read_text()}")


@contextmanager
def postgres_server(*, is_quick: bool = True) -> Iterator[PostgresServer]:
    """A server in a folder of its own. A short path: it holds the server's socket, whose name is limited."""
    folder = Path(tempfile.mkdtemp(prefix="getaway-pg-"))
    try:
        with embedded_server(folder / "postgres") as url:
            trust_everybody(folder / "postgres")
            server = PostgresServer(url)
            server.execute("SELECT pg_reload_conf()")
            if is_quick:
                server.be_quick()
            server.make_template()
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)
