"""PostgreSQL's own programs, run as somebody who may run them: as root they refuse."""

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from server.db.embedded.embedded import programs_folder
from tests.helpers.server_process import free_ports

NOBODY = 65_534
STARTS_S_MAX = 30
ENDS_S_MAX = 30


def unprivileged() -> dict[str, int]:
    """For ``subprocess``."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def run_program(name: str, *arguments: str) -> None:
    environ = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [str(programs_folder() / name), *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        **unprivileged(),
    )
    assert done.returncode == 0, done.stderr


class LocalServer:
    """A PostgreSQL on a port of 127.0.0.1 that trusts everybody."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def initialize(self) -> "LocalServer":
        arguments = ("--auth=trust", "--username=postgres", "--locale=C", "--encoding=UTF8", "--no-sync")
        run_program("initdb", *arguments, "-D", str(self.folder))
        return self

    def copy_as_standby(self, other: "LocalServer") -> "LocalServer":
        """Become a standby that follows ``other``."""
        arguments = ("-R", "-X", "stream", "--checkpoint=fast", "--no-sync", "-d", other.url)
        run_program("pg_basebackup", *arguments, "-D", str(self.folder))
        return self

    def start(self) -> "LocalServer":
        options = ("-p", str(self.port), "-h", "127.0.0.1", "-k", str(self.folder), "-c", "fsync=off")
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(programs_folder() / "postgres"), "-D", str(self.folder), *options],
                env={"LC_ALL": "C"},
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                **unprivileged(),
            )
        deadline = time.monotonic() + STARTS_S_MAX
        while not self._is_ready():
            assert self._process.poll() is None, f"the server of {self.folder} ended"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return self

    def _is_ready(self) -> bool:
        try:
            lines = (self.folder / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() in {"ready", "standby"} and int(lines[0]) == self._process.pid

    def kill(self) -> None:
        """End it at once, and wait for its processes, too: while one lives, the server does not start again."""
        if self._process is None or self._process.poll() is not None:
            return
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        self._process.kill()
        self._process.wait()
        deadline = time.monotonic() + ENDS_S_MAX
        while any(Path(f"/proc/{child}/fd/0").exists() for child in children):  # a zombie has no files open
            assert time.monotonic() < deadline, f"the processes of {self.folder} go on"
            time.sleep(0.02)

    def promote(self) -> None:
        run_program("pg_ctl", "-D", str(self.folder), "-w", "promote")

    def be_a_standby_from_the_next_start_on(self) -> None:
        (self.folder / "standby.signal").touch()


@contextmanager
def servers_folder():
    """A folder for ``LocalServer``s. A short path: it holds sockets, whose names are limited."""
    folder = Path(tempfile.mkdtemp(prefix="getaway-servers-"))
    try:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
