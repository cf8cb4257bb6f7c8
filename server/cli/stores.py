"""The database for the time of one command, beside a running server or without one.

Only a command that says so (``may_make``) makes what is missing: the embedded server's folder, the schema, the master
key. Every other one says which database it looked at and that it is not there, since an answer from a database that
was made a moment ago would be right about nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar
from urllib.parse import urlsplit

import click
import trio

from actors.ports.ledger import LedgerUnavailableError
from server.cli.problems import EXIT_DATABASE, EXIT_USAGE, CommandError
from server.config.configuration import Config
from server.db.driver.database import EMBEDDED, EMBEDDED_FOLDER, Database, open_database
from server.db.errors import DatabaseError
from server.db.migrations.migrate import check_schema, migrate
from server.db.migrations.roles import grant_server
from server.db.stores.bad_rows import PutAside
from server.db.stores.operators import PostgresOperatorStore
from server.db.stores.reports import PostgresReports
from server.db.stores.wallet_actions import PostgresWalletActions
from server.ports.operators import OperatorStore
from server.ports.reports import Reports
from server.secrets.vault import MasterKeyError, Vault, VaultError, load_master_key

Value = TypeVar("Value")

LONG_TIMEOUT_MS: Final = 6 * 3_600_000
"""For work on whole books, whose length is not known before."""

_CLUSTER_FILE: Final = "PG_VERSION"
"""Every data folder of PostgreSQL has it, and nothing else does."""


def migrate_database(config: Config, server_role: str | None = None) -> list[str]:
    """The migrations that were missing and are applied now, before a role for the server is given its rights.

    Raises ``CommandError``.
    """

    async def work(database: Database) -> list[str]:
        applied = await migrate(database)
        if server_role is not None:
            await grant_server(database, server_role)
        return applied

    return _run(config, work, may_make=True)


def run_on_reports(config: Config, environ: Mapping[str, str], work: Callable[[Reports], Awaitable[Value]]) -> Value:
    """The result of ``work``, which opens no secret. Raises ``CommandError`` and what ``work`` raises."""
    _check_place(config)
    vault = _vault(config, environ)

    async def on_reports(database: Database) -> Value:
        return await work(PostgresReports(database, vault))

    return _run(config, on_reports)


def run_on_wallet_actions(
    config: Config, environ: Mapping[str, str], work: Callable[[PostgresWalletActions], Awaitable[Value]]
) -> Value:
    """The result of ``work``. Raises ``CommandError`` and what ``work`` raises."""
    _check_place(config)
    vault = _vault(config, environ)

    async def on_actions(database: Database) -> Value:
        return await work(PostgresWalletActions(database, vault))

    return _run(config, on_actions)


def run_on_books(
    config: Config, environ: Mapping[str, str], work: Callable[[Database, Vault], Awaitable[Value]]
) -> Value:
    """The result of ``work``, which may take hours. Raises ``CommandError`` and what ``work`` raises."""
    _check_place(config)
    vault = _vault(config, environ)

    async def on_books(database: Database) -> Value:
        # With another master key no row would be one of ours: that is told as what it is.
        await PostgresOperatorStore(database, vault, PutAside(tell=_pass_over)).load_operators()
        return await work(database, vault)

    return _run(config, on_books, command_timeout_ms=LONG_TIMEOUT_MS)


def run_on_operators(
    config: Config,
    environ: Mapping[str, str],
    work: Callable[[OperatorStore], Awaitable[Value]],
    *,
    may_make: bool = False,
) -> Value:
    """The result of ``work``. Raises ``CommandError`` and what ``work`` raises.

    Whoever may make the database makes the master key of an embedded one, too, if it is missing; another database's
    has been made somewhere else.
    """
    if not may_make:
        _check_place(config)
    vault = _vault(config, environ, may_create=may_make and config.database.url == EMBEDDED)

    async def on_operators(database: Database) -> Value:
        return await work(PostgresOperatorStore(database, vault, PutAside(tell=_warn)))

    async def on_made_database(database: Database) -> Value:
        await migrate(database)
        return await on_operators(database)

    return _run(config, on_made_database if may_make else on_operators, may_make=may_make)


def _vault(config: Config, environ: Mapping[str, str], *, may_create: bool = False) -> Vault:
    try:
        return Vault(load_master_key(environ, config.database.data_dir, may_create=may_create))
    except MasterKeyError as error:
        raise CommandError(str(error), EXIT_USAGE) from None


def _warn(row: Mapping[str, str]) -> None:
    """Of an operator, the only rows that commands put aside."""
    click.echo(f"getaway: operator {row['operator_id']} is put aside: {row['error']}", err=True)


def _pass_over(_row: Mapping[str, str]) -> None:
    """The books' own checks tell it."""


def _run(
    config: Config,
    work: Callable[[Database], Awaitable[Value]],
    *,
    command_timeout_ms: int | None = None,
    may_make: bool = False,
) -> Value:
    """The result of ``work`` on the configured database, which has this version's schema unless it ``may_make`` it."""

    async def on_database() -> Value:
        settings = config.database
        timeout_ms = command_timeout_ms or settings.command_timeout_ms
        async with open_database(
            settings.url, settings.data_dir, pool_size=1, command_timeout_ms=timeout_ms
        ) as database:
            if not may_make:
                await check_schema(database)
            return await work(database)

    if not may_make:
        _check_place(config)
    try:
        return trio.run(on_database)
    except (LedgerUnavailableError, DatabaseError) as error:
        raise CommandError(f"{error} (this command looked at {_place(config)})", EXIT_DATABASE) from None
    except VaultError as error:
        raise CommandError(str(error), EXIT_USAGE) from None


def _check_place(config: Config) -> None:
    """Raises ``CommandError`` if an embedded database is configured that was never made here."""
    if config.database.url != EMBEDDED:
        return
    try:
        is_there = (config.database.data_dir / EMBEDDED_FOLDER / _CLUSTER_FILE).is_file()
    except OSError as error:
        raise CommandError(f"{_place(config)} can't be looked at: {error.strerror}", EXIT_DATABASE) from None
    if not is_there:
        raise CommandError(
            f"there is no database: this command looked at {_place(config)}. Name the right one with --config, "
            "[database] data_dir or [database] url; only serve, demo, migrate and operator create make a new one",
            EXIT_DATABASE,
        )


def _place(config: Config) -> str:
    """Which database is configured, in words: without user, password and parameters, which may be secrets."""
    url = config.database.url
    if url == EMBEDDED:
        return f"the embedded database in {(config.database.data_dir / EMBEDDED_FOLDER).absolute()}"
    try:
        parts = urlsplit(url)
    except ValueError:  # its text may quote the URL
        return "the database of [database] url"
    hosts = parts.netloc.rpartition("@")[2] or "the host that the parameters name"
    name = parts.path.removeprefix("/") or "that is named like its user"
    return f"the database {name} on {hosts}"
