"""The parent of the workers: it owns the ports, the embedded database and the processes, and serves nobody itself.

::

    master key, ports, database, schema    as for a single process: what must be there before anything is served
      crew                                 keeps each worker running; passes on the word to stop, and waits

A worker that can't start at all ends everything, with its exit status: what is wrong with it is wrong with the
configuration or the machine. One that has served before is started again, for as long as it takes.
"""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Final

import trio

from server.config.configuration import Config
from server.config.loading import PREFIX
from server.db.driver.connections import check_connections, connections_of
from server.db.driver.database import EMBEDDED, open_database
from server.db.driver.durability import check_durability
from server.db.migrations.migrate import migrate
from server.db.migrations.roles import warn_of_owner
from server.edge.listen.listening_addresses import take_shared_address
from server.process.exits import EXIT_FAILED, EXIT_OK
from server.process.stopping import given_up_if, told_to_stop
from server.secrets.vault import load_master_key
from server.settings import edge_settings, metrics_edge_settings
from server.workers.brief import config_of
from server.workers.worker import Post, started, stop_s_max

log = logging.getLogger("getaway.workers")

PAUSE_FIRST_S: Final = 1
PAUSE_S_MAX: Final = 30
"""Between a worker's end and its next start, doubling from the first to the largest."""
STEADY_S: Final = 60
"""Whoever lived for so long begins with the first pause again."""
POOL_SIZE: Final = 2
"""The parent's own connections to the database, for migrations."""


async def serve_workers(config: Config, environ: Mapping[str, str]) -> int:
    """Serve by ``[server] workers`` processes until SIGTERM or SIGINT; the exit status.

    Raises what prevents the start, as a single process would.
    """
    key = load_master_key(environ, config.database.data_dir, may_create=config.database.url == EMBEDDED)
    clean = {name: value for name, value in environ.items() if not name.startswith(PREFIX)}
    numbers = range(1, config.server.workers + 1)
    with ExitStack() as ports:
        private = {}
        for number in numbers:
            settings = metrics_edge_settings(config_of(config, number))
            private[number] = ports.enter_context(await take_shared_address("metrics_port", settings))
        public = ports.enter_context(await take_shared_address("port", edge_settings(config)))
        async with told_to_stop() as told, _database_in_order(config, told):
            if told.is_set():
                log.info("stopped")
                return EXIT_OK
            posts = [
                Post(
                    number=number,
                    config=config,
                    master_key=key,
                    public=public,
                    private=private[number],
                    environ=clean,
                )
                for number in numbers
            ]
            return await Crew(posts, stop_s_max(config)).run(told)


@asynccontextmanager
async def _database_in_order(config: Config, told: trio.Event) -> AsyncIterator[None]:
    """The database runs, keeps what it confirms, has the schema, and lets all workers in. Unless ``told`` meanwhile."""
    chosen, workers = config.database, config.server.workers
    connections = connections_of(workers, chosen.pool_size) + POOL_SIZE
    async with AsyncExitStack() as stack:
        server = None
        async with given_up_if(told):
            database = await stack.enter_async_context(
                open_database(
                    chosen.url,
                    chosen.data_dir,
                    pool_size=POOL_SIZE,
                    command_timeout_ms=chosen.command_timeout_ms,
                    connection_age_ms_max=chosen.connection_age_ms_max,
                    embedded_connections_min=connections,
                )
            )
            server = database.embedded
            await check_durability(database, allow_unsafe=chosen.allow_unsafe_durability)
            await check_connections(database, workers, chosen.pool_size)
            for name in await migrate(database):
                log.info("a migration was applied", extra={"migration": name})
            if chosen.url != EMBEDDED:
                await warn_of_owner(database)
        async with trio.open_nursery() as nursery:
            if server is not None:
                nursery.start_soon(server.keep_running)
            yield
            nursery.cancel_scope.cancel()


class Crew:
    """Keeps one process at each post."""

    def __init__(self, posts: Sequence[Post], stop_s: float) -> None:
        self._posts = posts
        self._stop_s = stop_s
        self._stopping = trio.Event()
        self._served: set[int] = set()
        self._status = EXIT_OK

    async def run(self, told: trio.Event) -> int:
        """Until ``told`` to stop, or a worker can't start, or is fenced; the exit status."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._obey, told)
            async with trio.open_nursery() as workers:
                for post in self._posts:
                    workers.start_soon(self._keep, post)
            nursery.cancel_scope.cancel()
        log.info("all workers have stopped")
        return self._status

    async def _obey(self, told: trio.Event) -> None:
        await told.wait()
        self._stopping.set()

    async def _keep(self, post: Post) -> None:
        pause_s = PAUSE_FIRST_S
        while not self._stopping.is_set():
            began_s = trio.current_time()
            status = await self._live(post)
            if self._stopping.is_set():
                return
            if trio.current_time() - began_s >= STEADY_S:
                pause_s = PAUSE_FIRST_S
            log.error(
                "a worker has ended by itself and is started again",
                extra={"child": post.number, "exit_status": status, "pause_s": pause_s},
            )
            with trio.move_on_after(pause_s):
                await self._stopping.wait()
            pause_s = min(2 * pause_s, PAUSE_S_MAX)

    async def _live(self, post: Post) -> int:
        """One life of a worker; its exit status. It may end all others' lives, too."""
        is_fenced, status = False, EXIT_FAILED
        try:
            async with started(post) as (worker, brief), trio.open_nursery() as nursery:
                nursery.start_soon(self._note_serving, post.number, worker.served)
                status = await worker.run(brief, self._stopping, self._stop_s)
                is_fenced = worker.is_fenced
                nursery.cancel_scope.cancel()
        except* OSError as group:
            log.error("a worker's process can't be started: %s", group.exceptions[0])  # noqa: TRY400 - a line
        if self._stopping.is_set():
            self._note_stopped(post.number, status)
        elif is_fenced:
            self._fail(EXIT_FAILED, "another server has taken the names of this one's nodes; this one stops")
        elif post.number not in self._served:
            words = f"worker {post.number} could not start (exit status {status}): its own line in the log says why"
            self._fail(status if status > 0 else EXIT_FAILED, words)
        return status

    async def _note_serving(self, number: int, served: trio.Event) -> None:
        await served.wait()
        self._served.add(number)
        if len(self._served) == len(self._posts):
            log.info("a worker serves, as all do now", extra={"child": number, "workers": len(self._posts)})
        else:
            log.info("a worker serves", extra={"child": number})

    def _note_stopped(self, number: int, status: int) -> None:
        # One that was told before it could listen to signals has served nobody.
        if status == EXIT_OK or number not in self._served:
            return
        log.error("a worker did not stop in order", extra={"child": number, "exit_status": status})
        self._status = self._status or EXIT_FAILED

    def _fail(self, status: int, words: str) -> None:
        log.error(words)
        self._status = status
        self._stopping.set()
