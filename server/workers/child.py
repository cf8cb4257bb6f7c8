"""A worker's process: it takes its brief, serves a node like a single process, and ends with its parent."""

import logging
import os
import signal
import socket
import time
from contextlib import suppress
from functools import partial
from math import ceil
from threading import Thread
from typing import Final, Never

import trio

from server.db.driver.database import open_database
from server.edge.listen.sharing import adopt
from server.node import NodeEnd, TakenPorts, exit_status, serve_lives
from server.process.exits import EXIT_FAILED, EXIT_OK
from server.process.logs import configure_logs
from server.process.preparation import allow_open_files, keep_to_itself
from server.process.stopping import told_to_stop
from server.secrets.vault import Vault
from server.settings import edge_settings, metrics_edge_settings
from server.workers.brief import BEAT, BEAT_S, FENCED, SERVING, Brief, LostParentError, receive
from server.workers.worker import stop_s_max

log = logging.getLogger("getaway.workers")

_STANDARD_INPUT: Final = 0
PARENT_ENDS_S_MAX: Final = 2.0
LOOK_S: Final = 0.01
"""How long the end of a parent may take once its files are closed, and how often a worker looks for it."""


def run_worker() -> int:
    """Serve what the parent's brief on standard input says, until told to stop; the exit status."""
    keep_to_itself()
    parent = os.getppid()
    try:
        line = _line()
        brief = receive(line)
    except (LostParentError, OSError):
        return EXIT_FAILED
    configure_logs(brief.config.log.format, brief.config.log.level, worker=brief.number)
    # A thread: it must notice and act even while the event loop, or the way to it, is stuck.
    Thread(target=_stop_without_parent, args=(line, parent, stop_s_max(brief.config)), daemon=True).start()
    return exit_status(partial(trio.run, _serve, brief, line))


def _line() -> socket.socket:
    """The worker's end of the line, moved away from standard input, which its own children would inherit."""
    line = socket.fromfd(_STANDARD_INPUT, socket.AF_UNIX, socket.SOCK_STREAM)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _STANDARD_INPUT)
    os.close(nothing)
    return line


def _stop_without_parent(line: socket.socket, parent: int, stop_s: float) -> None:
    """Wait until the parent's end of the line is closed; then stop as if told, and by force after ``stop_s``."""
    with suppress(OSError):
        while line.recv(64):
            pass
    log.error("the parent of this worker has ended; the worker stops")
    signal.alarm(ceil(stop_s))  # nobody catches it: the system ends a process that does not end itself
    # A process that is killed closes its files a moment before it counts as ended, and whoever leaves the embedded
    # database last must find it ended. Its children are another's by then.
    for _ in range(round(PARENT_ENDS_S_MAX / LOOK_S)):
        if os.getppid() != parent:
            break
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)


async def _serve(brief: Brief, line: socket.socket) -> int:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(beat, line)
        status = await _serve_node(brief, line)
        nursery.cancel_scope.cancel()
    return status


async def beat(line: socket.socket) -> Never:
    """Say every ``BEAT_S`` that the event loop goes round. A parent that does not listen just now is not waited for."""
    while True:
        with suppress(OSError):
            line.send(BEAT, socket.MSG_DONTWAIT)
        await trio.sleep(BEAT_S)


async def _serve_node(brief: Brief, line: socket.socket) -> int:
    config = brief.config
    private, public = metrics_edge_settings(config), edge_settings(config)
    allow_open_files(public.connections_max)
    with (
        adopt(private, brief.private_descriptor) as private_port,
        adopt(public, brief.public_descriptor) as public_port,
    ):
        # The parent passes the word to stop on, and a service manager may tell all processes besides: that is no
        # second word. Whoever wants an end at once tells the parent, who has the means.
        async with (
            told_to_stop(twice_is_at_once=False) as told,
            open_database(
                config.database.url,
                config.database.data_dir,
                pool_size=config.database.pool_size,
                command_timeout_ms=config.database.command_timeout_ms,
                connection_age_ms_max=config.database.connection_age_ms_max,
            ) as database,
        ):
            end = await serve_lives(
                config,
                database,
                Vault(brief.master_key),
                told,
                TakenPorts(private_port, public_port),
                on_serving=partial(_say, line, SERVING),
            )
    if end is NodeEnd.FENCED:
        _say(line, FENCED)
    # The parent starts it again, unless it is fenced.
    return EXIT_OK if end is NodeEnd.TOLD else EXIT_FAILED


def _say(line: socket.socket, word: bytes) -> None:
    with suppress(OSError):  # the parent may be gone
        line.sendall(word)
