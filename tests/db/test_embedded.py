"""The embedded server: started by the first process, shared, and stopped by the last one, killed ones not counted."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from server.db.embedded import embedded_server
from server.db.errors import DatabaseUnavailableError

VISITOR = """
import sys
from pathlib import Path
from server.db.embedded import embedded_server
with embedded_server(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.readline()
print("left", flush=True)
"""


@pytest.fixture
def folder():
    parent = Path(tempfile.mkdtemp(prefix="getaway-pg-"))
    yield parent / "postgres"
    shutil.rmtree(parent, ignore_errors=True)


class Visitor:
    """Another process that uses the server."""

    def __init__(self, folder):
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", VISITOR, str(folder)], stdin=-1, stdout=-1, text=True
        )
        self.url = self._process.stdout.readline().strip()

    def leave(self):
        output, _ = self._process.communicate("\n", timeout=20)
        assert (output, self._process.returncode) == ("left\n", 0)

    def be_killed(self):
        self._process.kill()
        self._process.communicate(timeout=20)

    @contextmanager
    def killed_unnoticed(self):
        """Killed, and until the end of the block nobody has asked how it ended."""
        self._process.kill()
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        yield
        self._process.communicate(timeout=20)


def ask(url, statement):
    async def run():
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


def is_running(folder) -> bool:
    return (folder / "postmaster.pid").exists()


def test_the_last_process_to_leave_stops_the_server(folder):
    with embedded_server(folder) as url:
        visitor = Visitor(folder)
        assert visitor.url == url
        visitor.leave()
        assert ask(url, "CREATE TABLE kept AS SELECT 1 AS x") is None
        Visitor(folder).be_killed()
        assert ask(url, "SELECT x FROM kept") == 1
    assert not is_running(folder), "the killed process does not count"

    visitor = Visitor(folder)
    assert ask(visitor.url, "SELECT x FROM kept") == 1
    visitor.be_killed()
    assert is_running(folder), "nobody was left to stop it"
    with embedded_server(folder) as url:
        assert ask(url, "SELECT x FROM kept") == 1
    assert not is_running(folder)


def test_a_killed_process_does_not_count_before_its_parent_has_noticed(folder):
    visitor = Visitor(folder)
    with visitor.killed_unnoticed():
        with embedded_server(folder):
            assert is_running(folder)
        assert not is_running(folder)


def test_a_folder_that_can_not_be_one_is_told_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnavailableError) as caught, embedded_server(tmp_path / "file" / "postgres"):
        pass
    assert len(str(caught.value).splitlines()) == 1
