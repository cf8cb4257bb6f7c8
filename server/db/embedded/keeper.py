"""A program of its own: it runs one PostgreSQL for all processes that use it, and stops it when the last one has gone.

::

    process ──socket──┐
    process ──socket──┤ keeper ──child──> postgres
    command ──socket──┘

A process uses the server for as long as its connection to the keeper lives, and the kernel ends that with the process,
however it ends. The keeper is the parent of ``postgres``: it notices the end of it at once, and takes in what a killed
one leaves behind; ``postgres`` in turn is told by the kernel to stop if the keeper is killed. The keeper holds the lock
of the data folder from before its start until its own end, so that there is never a second one.

It is run by its path with a bare interpreter (``-I -S``), imports nothing but the standard library, and gets what it
needs in one JSON object: no environment, no secret. A connection is told ``READY`` once, when it may use the server;
one that is closed by the keeper before that has to begin again.
"""

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

READY: Final = b"ready\n"
SOCKET: Final = "keeper.sock"
PID_FILE: Final = "postmaster.pid"
STATUS_LINE: Final = 7
"""Of the lines of the pid file: what the server says of itself."""

LOOK_MS: Final = 10
"""How often it looks whether the server is ready."""
STOP_S_MAX: Final = 60.0
QUIT_S_MAX: Final = 5.0
"""How long the server may take to stop in order, and how long without a last checkpoint, before it is killed."""

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


class Keeper:
    """What one order asks for."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._folder: int = order["folder"]
        self._listener = socket.socket(fileno=order["listener"])
        self._users: set[socket.socket] = set()
        self._leaving: list[socket.socket] = []
        """They wait for the end of the server."""
        self._pid = 0
        """Of the server; 0 if it has ended."""
        self._is_ready = False

    def run(self) -> int:
        """Until the last user has gone or the server has ended; the exit status."""
        make_pid_file_ours(self._path(PID_FILE))
        self._start()
        while self._pid:
            self._hear(LOOK_MS if not self._is_ready else None)
            self._reap()
            if not self._is_ready and self._pid and self._says_ready():
                self._is_ready = True
                for user in list(self._users):
                    self._tell_ready(user)
            if not self._users and not self._is_somebody_at_the_door():
                break
        self._close_the_door()
        was_running = self._pid != 0
        self._stop()
        return 0 if was_running else 1

    # The server.

    def _start(self) -> None:
        keeper = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self._become_the_server(keeper)
            finally:
                os._exit(127)

    def _become_the_server(self, keeper: int) -> None:
        order = self._order
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.setsid()
        os.umask(0o077)
        os.fchdir(self._folder)
        if order["uid"] is not None:
            os.setgroups([])
            os.setgid(order["gid"])
            os.setuid(order["uid"])
        # After the change of user, which clears it.
        _prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != keeper:
            return
        os.execve(order["arguments"][0], order["arguments"], order["environ"])  # noqa: S606 - no shell is the point

    def _says_ready(self) -> bool:
        try:
            lines = self._path(PID_FILE).read_text().splitlines()
            return int(lines[0]) == self._pid and lines[STATUS_LINE].strip() == "ready"
        except (OSError, ValueError, IndexError):
            return False

    def _stop(self) -> None:
        stages = ((signal.SIGINT, STOP_S_MAX), (signal.SIGQUIT, QUIT_S_MAX))
        for number, seconds in stages if self._pid else stages[1:]:
            deadline = time.monotonic() + seconds
            if self._pid:
                os.kill(self._pid, number)
            while time.monotonic() < deadline:
                if not self._reap():
                    return
                time.sleep(LOOK_MS / 1000)
        while self._reap():
            for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            time.sleep(LOOK_MS / 1000)

    def _reap(self) -> bool:
        """Take note of who has ended, also of what a killed server has left behind; whether anybody is left."""
        try:
            while (ended := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                if ended == self._pid:
                    self._pid = 0
        except ChildProcessError:
            return False
        return True

    # Its users.

    def _hear(self, timeout_ms: int | None) -> None:
        sockets = {each.fileno(): each for each in (self._listener, *self._users)}
        poll = select.poll()
        for number in (*sockets, self._order["wakeup"]):
            poll.register(number, select.POLLIN)
        for number, _ in poll.poll(timeout_ms):
            if number == self._listener.fileno():
                self._let_in()
            elif number in sockets:
                self._listen_to(sockets[number])
            else:
                with suppress(BlockingIOError):
                    os.read(number, 512)

    def _let_in(self) -> None:
        with suppress(BlockingIOError, ConnectionError):
            user, _ = self._listener.accept()
            user.setblocking(False)
            self._users.add(user)
            if self._is_ready:
                self._tell_ready(user)

    def _tell_ready(self, user: socket.socket) -> None:
        with suppress(OSError):  # it has gone meanwhile, and is heard of next
            user.send(READY)

    def _listen_to(self, user: socket.socket) -> None:
        """Nobody has anything to say but that it leaves."""
        try:
            if user.recv(64):
                return
        except BlockingIOError:
            return
        except ConnectionError:
            pass
        self._users.discard(user)
        if self._users or self._is_somebody_at_the_door():
            user.close()
        else:
            self._leaving.append(user)

    def _is_somebody_at_the_door(self) -> bool:
        before = len(self._users)
        self._let_in()
        return len(self._users) > before

    def _close_the_door(self) -> None:
        with suppress(FileNotFoundError):
            self._path(SOCKET).unlink()
        self._listener.close()

    def _path(self, name: str) -> Path:
        return Path(f"/proc/self/fd/{self._folder}/{name}")


def make_pid_file_ours(path: Path) -> None:
    """Have a server that is started by this process take the pid file of one that has ended for what it is.

    Only if none runs. A number in it that another program has by now would stop ``postgres``; its parent's does not,
    and the rest of the file still tells it whether a crashed server's shared memory is in use. A file that holds no
    number is the rest of a crash, too.
    """
    with suppress(FileNotFoundError):
        lines = path.read_bytes().split(b"\n")
        if lines[0].strip().isdigit():
            lines[0] = str(os.getpid()).encode()
            path.write_bytes(b"\n".join(lines))
        else:
            path.unlink()


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _note(_number: int, _frame: FrameType | None) -> None:
    """The wakeup descriptor has it."""


def main() -> int:
    """Carry out the order; the exit status."""
    order = json.loads(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)  # it goes when its users have gone
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for descriptor in (order["listener"], order["lock"]):
        os.set_inheritable(descriptor, False)
    order["wakeup"], writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _note)
    return Keeper(order).run()


if __name__ == "__main__":
    sys.exit(main())
