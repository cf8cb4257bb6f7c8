"""The server on its embedded PostgreSQL as a container runs it, as process 1, and told to stop while it starts."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.helpers.programs import needed
from tests.helpers.server_process import ServerProcess

STOPS_S_MAX = 10
RESTARTS_S_MAX = 20
WAITS = "waiting for other processes that start or stop the embedded database"
STARTED_AGAIN = "the embedded database runs again"


def postmasters(folder):
    """The servers that run in this folder, by their ids here: in a space of their own they have others."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with suppress(OSError):
                words = (process / "cmdline").read_bytes().split(b"\0")
                if words[0].endswith(b"/postgres") and (process / "cwd").resolve() == folder:
                    found.append(int(process.name))
    return found


@contextmanager
def process_one(server):
    """The server as process 1 of a space of processes of its own."""
    command = [needed("unshare"), "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable]
    with server.log_path.open("ab") as log:
        process = subprocess.Popen(
            [*command, "-m", "server.cli", "serve"],
            cwd=server.log_path.parent,
            env=server.environ,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def eventually(holds, complaint, within_s):
    deadline = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < deadline, complaint
        time.sleep(0.05)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes spaces of processes")
def test_as_process_1_it_starts_a_killed_database_again_and_stops_at_once(tmp_path):
    server = ServerProcess("embedded", tmp_path, GETAWAY_DATABASE_ALLOW_UNSAFE_DURABILITY="false")
    folder = tmp_path / "data" / "postgres"
    with process_one(server) as process:
        eventually(server.is_ready, "it is not ready", RESTARTS_S_MAX)
        (inside,) = (int(child) for child in _children(process.pid))
        time.sleep(2)
        assert server.errors() == []
        os.kill(_postmaster_here(folder), signal.SIGKILL)
        eventually(lambda: STARTED_AGAIN in server.log(), "it is not started again", RESTARTS_S_MAX)
        eventually(server.is_ready, "it is not ready again", RESTARTS_S_MAX)
        assert not [pid for pid in _children(inside) if _is_zombie(pid)], "nobody asked how they ended"
        os.kill(inside, signal.SIGTERM)
        assert process.wait(STOPS_S_MAX) == 0
        assert not postmasters(folder)


def _postmaster_here(folder):
    """Of the servers' processes the one whose parent is none of them."""
    found = postmasters(folder)
    (pid,) = (pid for pid in found if _parent(pid) not in found)
    return pid


def _stat(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _parent(pid):
    return int(_stat(pid)[1])


def _is_zombie(pid):
    return _stat(pid)[0] == "Z"


def _children(pid):
    return [child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_can_be_told_to_stop_while_it_waits_for_the_folder(tmp_path, workers):
    server = ServerProcess("embedded", tmp_path, GETAWAY_SERVER_WORKERS=workers)
    folder = tmp_path / "data" / "postgres"
    folder.mkdir(parents=True, mode=0o700)
    with (folder / "getaway.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server.spawn()
        try:
            eventually(lambda: WAITS in server.log(), "it does not wait", RESTARTS_S_MAX)
            server.tell_to_stop()
            assert server.has_ended(STOPS_S_MAX)
            assert server.wait() == 0
            assert server.errors() == []
        finally:
            server.kill()
