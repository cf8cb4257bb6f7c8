"""A server process by itself: what must be there before anything is served, then one life of its node after the other.

With more than one worker it is their parent instead, and each of them serves a node.
"""

import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial

import trio

from server.config.configuration import Config
from server.db.driver.connections import connections_of
from server.db.driver.database import EMBEDDED, open_database
from server.db.driver.durability import check_durability
from server.db.migrations.migrate import migrate
from server.db.migrations.roles import warn_of_owner
from server.edge.listen.listening_addresses import take_address
from server.node import NodeEnd, TakenPorts, exit_status, serve_lives
from server.process.exits import EXIT_FAILED, EXIT_OK
from server.process.preparation import allow_open_files, warn_of_open_folder
from server.process.stopping import given_up_if, told_to_stop
from server.secrets.vault import Vault, load_master_key
from server.settings import edge_settings, metrics_edge_settings
from server.workers.parent import serve_workers

log = logging.getLogger("getaway.server")


def run(config: Config, environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM or SIGINT; the exit status. Whatever prevents the start is one line in the log."""
    warn_of_open_folder(config.database.data_dir)
    serve = _serve if config.server.workers == 1 else serve_workers
    return exit_status(partial(trio.run, serve, config, environ))


async def _serve(config: Config, environ: Mapping[str, str]) -> int:
    database_config = config.database
    allow_open_files(config.server.connections_max)
    key = load_master_key(environ, database_config.data_dir, may_create=database_config.url == EMBEDDED)
    # The ports come before the node: who can't have them must not take its name from the process that has them.
    with (
        await take_address("metrics_port", metrics_edge_settings(config)) as private_port,
        await take_address("port", edge_settings(config)) as public_port,
    ):
        async with told_to_stop() as told, AsyncExitStack() as stack:
            async with given_up_if(told):
                database = await stack.enter_async_context(
                    open_database(
                        database_config.url,
                        database_config.data_dir,
                        pool_size=database_config.pool_size,
                        command_timeout_ms=database_config.command_timeout_ms,
                        connection_age_ms_max=database_config.connection_age_ms_max,
                        embedded_connections_min=connections_of(1, database_config.pool_size),
                    )
                )
                await check_durability(database, allow_unsafe=database_config.allow_unsafe_durability)
                for name in await migrate(database):
                    log.info("a migration was applied", extra={"migration": name})
                if database_config.url != EMBEDDED:
                    await warn_of_owner(database)
            if told.is_set():
                log.info("stopped")
                return EXIT_OK
            end = await serve_lives(config, database, Vault(key), told, TakenPorts(private_port, public_port))
            return EXIT_FAILED if end is NodeEnd.FENCED else EXIT_OK
