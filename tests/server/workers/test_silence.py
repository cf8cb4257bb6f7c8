"""A worker whose event loop hangs, or that beats on, as its parent sees it: a real process, a real line."""

import socket
import subprocess
import sys

import pytest
import trio

from server.workers import worker as workers
from server.workers.brief import BEAT_S
from server.workers.worker import Worker

SILENCE_S = 1.5
SCRIPT = """
import os, signal, socket, time
import trio
from server.workers.brief import SERVING
from server.workers.child import beat

line = socket.fromfd(0, socket.AF_UNIX, socket.SOCK_STREAM)

signal.signal(signal.SIGTERM, signal.SIG_IGN)

async def main():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(beat, line)
        line.sendall(SERVING)
        await trio.sleep(0.2)
        {then}

trio.run(main)
"""


async def life(then, monkeypatch, *, stops_after_s=None, waits_s=10):
    """The exit status of a worker that does this once it serves; ``None`` if it still lives after ``waits_s``."""
    monkeypatch.setattr(workers, "SILENCE_S_MAX", SILENCE_S)
    ours, its_end = socket.socketpair()
    with ours, its_end:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-c", SCRIPT.format(then=then)], stdin=its_end.fileno(), stderr=subprocess.DEVNULL
        )
        its_end.close()
        worker = Worker(1, process, trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
        stopping = trio.Event()
        try:
            async with trio.open_nursery() as nursery:
                if stops_after_s is not None:
                    nursery.start_soon(_set_after, stopping, worker, stops_after_s)
                with trio.move_on_after(waits_s):
                    return await worker.run(b"", stopping, waits_s)
                return None
        finally:
            if process.poll() is None:
                process.kill()
                await process.wait()


async def _set_after(event, worker, seconds):
    await worker.served.wait()
    await trio.sleep(seconds)
    event.set()


@pytest.mark.logs_errors("a worker has not been heard of and is killed")
@pytest.mark.parametrize("then", ["time.sleep(60)", "while True: pass"])
async def test_one_whose_event_loop_hangs_is_killed(then, monkeypatch):
    assert await life(then, monkeypatch) == -9


async def test_one_that_beats_lives_on(monkeypatch):
    assert await life("await trio.sleep(60)", monkeypatch, waits_s=SILENCE_S + 4 * BEAT_S) is None


async def test_one_that_was_told_to_stop_has_its_time_for_it(monkeypatch):
    assert await life("time.sleep(3); os._exit(7)", monkeypatch, stops_after_s=0) == 7
