"""The schema: numbered migrations, applied in order under a lock, and functions, one a file, each with its version.

A function that nodes call has its version in its name, ``commit_group_6``, so that nodes of the version before keep
theirs: who changes one puts the next version into the name and into the first line, and some later migration drops the
old one and its row in ``migrations``. A function that the tables call, by triggers and defaults, has one name for ever,
and the next version replaces it for all.

What was applied is known by name and checksum, and nothing that was applied may have changed since.
"""

import hashlib
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import asyncpg

from server.db.driver.database import Connection, Database
from server.db.errors import MigrationError
from server.db.migrations import squashed

_LOCK = 0x6765_7461_7761_79
"""The advisory lock that lets one process migrate at a time: "getaway" as a number."""

MIGRATION_TIMEOUT_MS = 600_000
"""How long the migrations may take together, the wait for another process that runs them included."""

_VERSION: Final = re.compile(r"-- version: ([1-9][0-9]*)\n")
"""The first line of a function's file."""

_TABLE = """
CREATE TABLE IF NOT EXISTS migrations (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


def shipped() -> dict[str, str]:
    """What this version applies: name -> SQL, in order. Functions come first, since tables call them."""
    functions = {f"{name}_{_version(sql)}": sql for name, sql in _read("functions").items()}
    return functions | {f"{name}.sql": sql for name, sql in _read("migrations").items()}


def _read(folder: str) -> dict[str, str]:
    found: list[Traversable] = [file for file in (files("server.db") / folder).iterdir() if file.name.endswith(".sql")]
    return {file.name.removesuffix(".sql"): file.read_text(encoding="utf-8") for file in sorted(found, key=_name)}


def _name(file: Traversable) -> str:
    return file.name


def _version(sql: str) -> int:
    said = _VERSION.match(sql)
    assert said is not None, "a function's file begins with its version"
    return int(said[1])


async def migrate(database: Database, steps: dict[str, str] | None = None) -> list[str]:
    """Bring the schema up to date; the names of what was applied now, by default of what is ``shipped``.

    All in one transaction. Raises ``MigrationError`` if what was applied before is not what this version ships, or if
    one fails, and ``LedgerUnavailableError``.
    """
    ordered = shipped() if steps is None else steps

    async def apply(connection: Connection) -> list[str]:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK, timeout=MIGRATION_TIMEOUT_MS / 1000)
        applied = await _applied(connection)
        if squashed.is_squashed(applied):
            await squashed.adopt(connection, _sum(ordered[squashed.FIRST]))
            applied = await _applied(connection)
        todo = _todo(applied, ordered)
        if not todo:
            return []  # A server's role may read what was applied, and no more.
        await _make_table(connection)
        # The bodies of functions may speak of tables that come after them.
        await connection.execute("SET LOCAL check_function_bodies = off")
        for name in todo:
            await _run(connection, name, ordered[name])
            await connection.execute(
                "INSERT INTO migrations (name, checksum) VALUES ($1, $2)", name, _sum(ordered[name])
            )
        return todo

    return await database.in_transaction(apply, timeout_ms=MIGRATION_TIMEOUT_MS)


async def check_schema(database: Database, steps: dict[str, str] | None = None) -> None:
    """Make sure that the database has this version's schema, and change nothing.

    Raises ``MigrationError`` with what to do if it has none, an older, a newer or another one, and
    ``LedgerUnavailableError``.
    """
    applied = await database.run(_applied)
    if not applied:
        raise MigrationError("there is no Getaway in the database: if it is the right one, run getaway migrate")
    todo = _todo({} if squashed.is_squashed(applied) else applied, shipped() if steps is None else steps)
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
        raise MigrationError(f"{name} failed: {str(error).splitlines()[0]}") from error


def _sum(sql: str) -> str:
    return hashlib.sha256(sql.encode("utf-8")).hexdigest()


def _todo(applied: dict[str, str], ordered: dict[str, str]) -> list[str]:
    for name, checksum in applied.items():
        if name not in ordered:
            if _is_older_function(name, ordered):
                continue
            raise MigrationError(f"the database has {name}, which this version does not know: it is newer")
        if checksum != _sum(ordered[name]):
            raise MigrationError(f"{name} is not the one that was applied to this database")
    newest = max((name for name in applied if _is_migration(name)), default="")
    todo = [name for name in ordered if name not in applied]
    for name in todo:
        if _is_migration(name) and name < newest:
            raise MigrationError(f"migration {name} is missing from a database that already has {newest}")
    return todo


def _is_migration(name: str) -> bool:
    return name.endswith(".sql")


def _is_older_function(name: str, ordered: dict[str, str]) -> bool:
    function, _, version = name.rpartition("_")
    newer = (each.rpartition("_") for each in ordered if not _is_migration(each))
    return any(each == function and int(version) < int(now) for each, _, now in newer)
