"""Numbered SQL migrations, applied in order under a lock and checked by checksum."""

import hashlib
from importlib.resources import files

import asyncpg

from server.db.driver.database import Connection, Database
from server.db.errors import MigrationError

_LOCK = 0x6765_7461_7761_79
"""The advisory lock that lets one process migrate at a time: "getaway" as a number."""

MIGRATION_TIMEOUT_MS = 600_000
"""How long the migrations may take together, the wait for another process that runs them included."""

_TABLE = """
CREATE TABLE IF NOT EXISTS migrations (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


def shipped() -> dict[str, str]:
    """The migrations of this version: name -> SQL, in order."""
    folder = files("server.db") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}


async def migrate(database: Database, migrations: dict[str, str] | None = None) -> list[str]:
    """Bring the schema up to date; the names of what was applied now.

    All in one transaction. Raises ``MigrationError`` if what was applied before is not what this version ships, or if
    one fails, and ``LedgerUnavailableError``.
    """
    ordered = shipped() if migrations is None else migrations

    async def apply(connection: Connection) -> list[str]:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK, timeout=MIGRATION_TIMEOUT_MS / 1000)
        todo = _todo(await _applied(connection), ordered)
        if not todo:
            return []  # A server's role may read what was applied, and no more.
        await _make_table(connection)
        for name in todo:
            await _run(connection, name, ordered[name])
            await connection.execute(
                "INSERT INTO migrations (name, checksum) VALUES ($1, $2)", name, _sum(ordered[name])
            )
        return todo

    return await database.in_transaction(apply, timeout_ms=MIGRATION_TIMEOUT_MS)


async def check_schema(database: Database, migrations: dict[str, str] | None = None) -> None:
    """Make sure that the database has this version's schema, and change nothing.

    Raises ``MigrationError`` with what to do if it has none, an older, a newer or another one, and
    ``LedgerUnavailableError``.
    """

    applied = await database.run(_applied)
    if not applied:
        raise MigrationError("there is no Getaway in the database: if it is the right one, run getaway migrate")
    todo = _todo(applied, shipped() if migrations is None else migrations)
    if todo:
        raise MigrationError(
            f"the database's schema is older than this version ({todo[0]} is missing): run getaway migrate"
        )


async def _applied(connection: Connection) -> dict[str, str]:
    """Name and checksum of what was applied before."""
    if await connection.fetchval("SELECT to_regclass('migrations')") is None:
        return {}
    rows = await connection.fetch("SELECT name, checksum FROM migrations ORDER BY name")
    return {row["name"]: row["checksum"] for row in rows}


async def _make_table(connection: Connection) -> None:
    try:
        await connection.execute(_TABLE)
    except asyncpg.InsufficientPrivilegeError:
        raise MigrationError(
            "the schema has to be brought up to date, and this role may not: run getaway migrate as the tables' owner"
        ) from None


async def _run(connection: Connection, name: str, sql: str) -> None:
    try:
        await connection.execute(sql, timeout=MIGRATION_TIMEOUT_MS / 1000)
    except asyncpg.PostgresError as error:
        if isinstance(error, (asyncpg.OperatorInterventionError, asyncpg.PostgresConnectionError)):
            raise
        raise MigrationError(f"migration {name} failed: {str(error).splitlines()[0]}") from error


def _sum(sql: str) -> str:
    return hashlib.sha256(sql.encode("utf-8")).hexdigest()


def _todo(applied: dict[str, str], ordered: dict[str, str]) -> list[str]:
    for name, checksum in applied.items():
        if name not in ordered:
            raise MigrationError(f"the database has migration {name}, which this version does not know: it is newer")
        if checksum != _sum(ordered[name]):
            raise MigrationError(f"migration {name} is not the one that was applied to this database")
    newest = max(applied, default="")
    todo = [name for name in ordered if name not in applied]
    for name in todo:
        if name < newest:
            raise MigrationError(f"migration {name} is missing from a database that already has {newest}")
    return todo
