"""One life of a worker's process, as its parent sees it: from its start to its end, whatever ends it."""

import logging
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import trio

from server.config.configuration import Config
from server.edge.listen.sharing import SharedAddress
from server.workers.brief import BEAT_S, FENCED, SERVING, Brief, config_of, packed

log = logging.getLogger("getaway.workers")

START_S_MAX: Final = 60
"""From a process's start until it serves. Overflow: it is killed."""
SILENCE_S_MAX: Final = 5
"""How long a worker that serves may be silent: its process or its event loop stands still. Overflow: it is killed."""
STOP_S: Final = 12
"""How much longer than ``drain_ms_max`` a worker may take to stop. Overflow: it is killed."""
LAST_WORDS_S_MAX: Final = 1
"""To read what an ended worker said."""


def stop_s_max(config: Config) -> float:
    """How long a worker may take from being told to stop to its end."""
    return config.server.drain_ms_max / 1000 + STOP_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What a worker is started with, again and again. ``environ`` holds none of our variables: the brief has it all."""

    number: int
    config: Config
    master_key: bytes
    public: SharedAddress
    private: SharedAddress
    environ: Mapping[str, str]


class Worker:
    """A worker's process. ``served`` is set once it serves; ``is_fenced`` when another has taken its node's name."""

    def __init__(self, number: int, process: trio.Process, line: trio.SocketStream) -> None:
        self.served = trio.Event()
        self.is_fenced = False
        self._number = number
        self._process = process
        self._line = line
        self._heard_at = trio.current_time()

    async def run(self, brief: bytes, stopping: trio.Event, stop_s: float) -> int:
        """See to it until it has ended; its exit status, negative if a signal ended it.

        Once ``stopping`` is set it is told to stop, and killed after ``stop_s``.
        """
        heard = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._converse, brief, heard)
            nursery.start_soon(self._see_to_start, stopping)
            nursery.start_soon(self._see_to_stop, stopping, stop_s)
            status = await self._process.wait()
            with trio.move_on_after(LAST_WORDS_S_MAX):
                await heard.wait()
            nursery.cancel_scope.cancel()
        return status

    async def _converse(self, brief: bytes, heard: trio.Event) -> None:
        with suppress(trio.BrokenResourceError):
            await self._line.send_all(brief)
            async for words in self._line:
                self._heard_at = trio.current_time()
                if SERVING in words:
                    self.served.set()
                self.is_fenced = self.is_fenced or FENCED in words
        heard.set()

    async def _see_to_start(self, stopping: trio.Event) -> None:
        with trio.move_on_after(START_S_MAX) as scope:
            await self.served.wait()
        if not scope.cancelled_caught:
            await self._see_to_beats(stopping)
            return
        log.error("a worker did not serve in time and is killed", extra={"child": self._number, "after_s": START_S_MAX})
        self._process.kill()

    async def _see_to_beats(self, stopping: trio.Event) -> None:
        """Kill it once it is silent. One that is told to stop has its own time for that."""
        while not stopping.is_set():
            looked_at = trio.current_time()
            await trio.sleep(BEAT_S)
            now = trio.current_time()
            if now - looked_at > 2 * BEAT_S:
                # It was this process that stood still: what was said meanwhile has not been read yet.
                self._heard_at = now
            if now - self._heard_at >= SILENCE_S_MAX and not stopping.is_set():
                log.error(
                    "a worker has not been heard of and is killed",
                    extra={"child": self._number, "after_s": SILENCE_S_MAX},
                )
                self._process.kill()
                return

    async def _see_to_stop(self, stopping: trio.Event, stop_s: float) -> None:
        await stopping.wait()
        self._process.send_signal(signal.SIGTERM)
        await trio.sleep(stop_s)
        log.error("a worker did not stop in time and is killed", extra={"child": self._number, "after_s": stop_s})
        self._process.kill()


@asynccontextmanager
async def started(post: Post) -> AsyncIterator[tuple[Worker, bytes]]:
    """A new process of this worker, and the brief that it waits for. Leaving ends it, by force if it still runs.

    Raises ``OSError`` if it can't be started.
    """
    ours, its_end = socket.socketpair()
    with ours, its_end, post.public.member() as public, post.private.member() as private:
        process = await trio.lowlevel.open_process(
            # The number is for people who list processes.
            [sys.executable, "-m", "server.workers", str(post.number)],
            stdin=its_end.fileno(),
            stdout=subprocess.DEVNULL,
            pass_fds=(public.fileno(), private.fileno()),
            env=dict(post.environ),
            # Ctrl-C is for the parent alone, who passes it on.
            start_new_session=True,
        )
        brief = Brief(
            number=post.number,
            config=config_of(post.config, post.number),
            master_key=post.master_key,
            public_descriptor=public.fileno(),
            private_descriptor=private.fileno(),
        )
        # From now on these are the worker's alone, and end with it.
        for closed in (its_end, public, private):
            closed.close()
        line = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        try:
            yield Worker(post.number, process, line), packed(brief)
        finally:
            if process.poll() is None:
                process.kill()
                with trio.CancelScope(shield=True):
                    await process.wait()
