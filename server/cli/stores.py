"""The database for the time of one command. Works beside a running server, and on a database that is still empty."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

import trio

from actors.ports import LedgerUnavailableError
from server.cli.problems import EXIT_DATABASE, EXIT_USAGE, CommandError
from server.config import Config
from server.db.database import EMBEDDED, Database, open_database
from server.db.errors import DatabaseError
from server.db.migrate import migrate
from server.db.operators import PostgresOperatorStore
from server.db.reports import PostgresReports
from server.db.wallet_actions import PostgresWalletActions
from server.reports import OperatorStore, Reports
from server.vault import MasterKeyError, Vault, VaultError, load_master_key

Value = TypeVar("Value")

LONG_TIMEOUT_MS: Final = 6 * 3_600_000
"""For work on whole books, whose length is not known before."""


def migrate_database(config: Config) -> list[str]:
    """The migrations that were missing and are applied now. Raises ``CommandError``."""
    return _run(config, _applied)


def run_on_reports(config: Config, work: Callable[[Reports], Awaitable[Value]]) -> Value:
    """The result of ``work``, which needs no secret opened. Raises ``CommandError`` and what ``work`` raises."""

    async def on_reports(database: Database) -> Value:
        await migrate(database)
        return await work(PostgresReports(database))

    return _run(config, on_reports)


def run_on_wallet_actions(config: Config, work: Callable[[PostgresWalletActions], Awaitable[Value]]) -> Value:
    """The result of ``work``, which needs no secret opened. Raises ``CommandError`` and what ``work`` raises."""

    async def on_actions(database: Database) -> Value:
        await migrate(database)
        return await work(PostgresWalletActions(database))

    return _run(config, on_actions)


def run_on_books(config: Config, work: Callable[[Database], Awaitable[Value]]) -> Value:
    """The result of ``work``, which may take hours. Raises ``CommandError`` and what ``work`` raises."""

    async def on_books(database: Database) -> Value:
        await migrate(database)
        return await work(database)

    return _run(config, on_books, LONG_TIMEOUT_MS)


def run_on_operators(
    config: Config, environ: Mapping[str, str], work: Callable[[OperatorStore], Awaitable[Value]]
) -> Value:
    """The result of ``work``. Raises ``CommandError`` and what ``work`` raises.

    The master key of an embedded database is made if it is missing; another database's has been made somewhere else.
    """
    try:
        key = load_master_key(environ, config.database.data_dir, may_create=config.database.url == EMBEDDED)
    except MasterKeyError as error:
        raise CommandError(str(error), EXIT_USAGE) from None

    async def on_operators(database: Database) -> Value:
        await migrate(database)
        return await work(PostgresOperatorStore(database, Vault(key)))

    return _run(config, on_operators)


async def _applied(database: Database) -> list[str]:
    return await migrate(database)


def _run(config: Config, work: Callable[[Database], Awaitable[Value]], command_timeout_ms: int | None = None) -> Value:
    async def on_database() -> Value:
        settings = config.database
        timeout_ms = command_timeout_ms or settings.command_timeout_ms
        async with open_database(
            settings.url, settings.data_dir, pool_size=1, command_timeout_ms=timeout_ms
        ) as database:
            return await work(database)

    try:
        return trio.run(on_database)
    except (LedgerUnavailableError, DatabaseError) as error:
        raise CommandError(str(error), EXIT_DATABASE) from None
    except VaultError as error:
        raise CommandError(str(error), EXIT_USAGE) from None
