"""The embedded PostgreSQL: a server of our own under the data folder, for demo, development and tests.

Its programs come with a package, of which nothing else is used. It runs as a child of a ``keeper`` (``keeper.py``), for
as long as any process uses it. Nothing outside its folder is touched, and nothing outside decides anything: a socket, a
lock and a password of its own, a fixed locale, an environment that holds nothing of ours::

    <data_dir>/postgres/           0700, PostgreSQL's data folder; as root it belongs to a user id of its own
        getaway.lock               held by the keeper, and by who prepares the folder for it
        getaway.password           0600, of the role postgres
        keeper.sock                the keeper's; who is connected uses the server
        .s.PGSQL.5432              the server's
        log                        the server's

Paths of sockets may have 107 bytes: where the folder's is longer, sockets are reached through a descriptor of it.
"""

import fcntl
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

import trio

from server.db.embedded.cluster import ENVIRON, LOCK, WAIT_S, Cluster, ClusterError, programs_folder
from server.db.embedded.keeper import READY, SOCKET
from server.db.errors import DatabaseUnavailableError

__all__ = ["EmbeddedServer", "embedded_server", "programs_folder"]

log = logging.getLogger("getaway.database")

SOCKET_PATH_BYTES_MAX: Final = 107
_SERVER_SOCKET: Final = ".s.PGSQL.5432"

START_S_MAX: Final = 300.0
"""After a crash of the machine it may have much to recover."""
TELL_S: Final = 1.0
"""After this time of waiting for others the log says so."""
LEAVE_S_MAX: Final = 75.0
"""A keeper needs less, see there."""

LOOK_S: Final = 1.0
PAUSE_S: Final = 5.0
"""How often a running process looks whether its server has ended, and how long it waits after a start that failed."""


class EmbeddedServer:
    """One process's use of the server in ``folder``. Its calls block.

    ``connections_min``: so many connections a server that has to be started lets in, and those of commands besides.
    """

    def __init__(self, folder: Path, connections_min: int | None = None) -> None:
        self._folder = folder.absolute()
        self._connections_min = connections_min
        self._directory: int | None = None
        """A descriptor of the folder, for as long as the server is used."""
        self._use: socket.socket | None = None
        """The connection to the keeper."""

    def open(self, still_wanted: Callable[[], object] = lambda: None) -> str:
        """Start the server, or join those who use it; its URL. ``still_wanted`` is called often, and may raise.

        Raises ``DatabaseUnavailableError``.
        """
        assert self._directory is None
        try:
            cluster = Cluster(self._folder, still_wanted)
            self._directory = cluster.directory
            self._join(cluster)
            return self._url(cluster.password())
        except (OSError, ClusterError) as error:
            self._close()
            raise self._failure(_reason(error)) from error
        except BaseException:
            self._close()
            raise

    def close(self) -> None:
        """Leave it. The last to leave waits until it has stopped."""
        if self._use is not None:
            with suppress(OSError):
                self._use.settimeout(LEAVE_S_MAX)
                self._use.shutdown(socket.SHUT_WR)
                while self._use.recv(64):
                    pass
        self._close()

    def rejoin(self, still_wanted: Callable[[], object], *, may_start: bool) -> bool:
        """Use it again after it has ended; whether it had to be started. Clients find it under the same URL.

        Raises ``DatabaseUnavailableError``, also if others have not started it and it may not be started here.
        """
        assert self._directory is not None
        try:
            self._drop_use()
            cluster = Cluster(self._folder, still_wanted, directory=self._directory)
            return self._join(cluster, may_start=may_start)
        except (OSError, ClusterError) as error:
            raise self._failure(_reason(error)) from error

    def has_ended(self) -> bool:
        """Whether the server of this process, or its keeper, has ended."""
        if self._use is None:
            return True
        try:
            self._use.setblocking(False)
            return self._use.recv(64, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    async def keep_running(self, *, may_start: bool = True) -> None:
        """Use the server again whenever it has ended, for ever: start it, or wait until another process has."""
        while True:
            await trio.sleep(LOOK_S)
            if not self.has_ended():
                continue
            if may_start:
                log.error("the embedded database has ended and is started again")
            try:
                await trio.to_thread.run_sync(
                    lambda: self.rejoin(trio.from_thread.check_cancelled, may_start=may_start)
                )
            except DatabaseUnavailableError as error:
                if may_start:
                    log.error("%s", error)  # noqa: TRY400 - a line, no trace
                    await trio.sleep(PAUSE_S)
            else:
                if may_start:
                    log.warning("the embedded database runs again")

    def _join(self, cluster: Cluster, *, may_start: bool = True) -> bool:
        """Whether the server had to be started."""
        began, is_told = time.monotonic(), False
        deadline = began + START_S_MAX
        while time.monotonic() < deadline:
            cluster.still_wanted()
            if not is_told and time.monotonic() - began > TELL_S:
                is_told = True
                log.warning("waiting for other processes that start or stop the embedded database")
            self._use = _connected_to_keeper(cluster)
            if self._use is not None:
                if self._is_told_ready(cluster, deadline):
                    return False
                self._drop_use()
            elif may_start and (lock := _locked(cluster)) is not None:
                try:
                    self._start(cluster, lock)
                finally:
                    os.close(lock)  # the keeper has it
                if self._is_told_ready(cluster, deadline):
                    return True
                raise self._failure(cluster.last_words())
            elif not may_start:
                raise self._failure("nobody has started it")
            time.sleep(WAIT_S)
        raise self._failure(f"it was not ready within {START_S_MAX:.0f} s")

    def _start(self, cluster: Cluster, lock: int) -> None:
        """Hand the folder, prepared and locked, to a keeper. The first connection is in its queue already."""
        cluster.prepare(self._connections_min)
        with _listening(cluster) as listener:
            order = {
                "folder": cluster.directory,
                "listener": listener.fileno(),
                "lock": lock,
                "arguments": cluster.server_arguments(),
                "environ": dict(ENVIRON),
                "uid": cluster.uid,
                "gid": cluster.gid,
            }
            self._use = _connected_to_keeper(cluster)
            keeper = Path(__file__).with_name("keeper.py")
            with cluster.opened_log() as output:
                process = subprocess.Popen(  # noqa: S603 - a program of ours, without a shell
                    [sys.executable, "-I", "-S", str(keeper), json.dumps(order)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={},
                    cwd="/",
                    pass_fds=(cluster.directory, listener.fileno(), lock),
                    start_new_session=True,
                )
            # Whoever leaves first does not wait for it, but a process that goes on must ask how it has ended.
            threading.Thread(target=process.wait, name="keeper", daemon=True).start()

    def _is_told_ready(self, cluster: Cluster, deadline: float) -> bool:
        """Wait until the keeper says so, or closes the connection. Raises if it says nothing until the deadline."""
        assert self._use is not None
        self._use.settimeout(WAIT_S)
        while time.monotonic() < deadline:
            cluster.still_wanted()
            try:
                return self._use.recv(len(READY)) == READY
            except TimeoutError:
                continue
            except ConnectionError:
                return False
        raise self._failure(f"it was not ready within {START_S_MAX:.0f} s")

    def _url(self, password: str) -> str:
        folder = str(self._folder)
        if len(os.fsencode(f"{folder}/{_SERVER_SOCKET}")) > SOCKET_PATH_BYTES_MAX or "," in folder:
            folder = f"/proc/{os.getpid()}/fd/{self._directory}"
        return f"postgresql://postgres:{password}@/postgres?host={quote(folder)}"

    def _failure(self, reason: str) -> DatabaseUnavailableError:
        return DatabaseUnavailableError(f"the embedded database in {self._folder} did not start: {reason}")

    def _drop_use(self) -> None:
        if self._use is not None:
            self._use.close()
            self._use = None

    def _close(self) -> None:
        self._drop_use()
        if self._directory is not None:
            os.close(self._directory)
            self._directory = None


@contextmanager
def embedded_server(folder: Path, connections_min: int | None = None) -> Iterator[str]:
    """The URL of the server whose data is in ``folder``, started or joined, and left in the end. Blocking.

    Raises ``DatabaseUnavailableError``.
    """
    server = EmbeddedServer(folder, connections_min)
    url = server.open()
    try:
        yield url
    finally:
        server.close()


def _connected_to_keeper(cluster: Cluster) -> socket.socket | None:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.connect(str(cluster.path(SOCKET)))
    except (FileNotFoundError, ConnectionRefusedError):
        link.close()
        return None
    except BaseException:
        link.close()
        raise
    return link


@contextmanager
def _listening(cluster: Cluster) -> Iterator[socket.socket]:
    """The socket of a keeper that is about to be started."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(cluster.path(SOCKET)))
        cluster.path(SOCKET).chmod(0o600)
        listener.listen(socket.SOMAXCONN)
        listener.setblocking(False)
        yield listener


def _locked(cluster: Cluster) -> int | None:
    """A descriptor that holds the folder's lock, if nobody else has it."""
    lock = os.open(cluster.path(LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)
