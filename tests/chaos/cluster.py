"""A PostgreSQL that keeps what it has confirmed (fsync stays on), and that can be killed and started again."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from server.db.embedded.embedded import embedded_server, programs_folder
from tests.helpers.postgres import PostgresServer, trust_everybody
from tests.helpers.server_process import free_ports

START_S_MAX = 60
STOP_S_MAX = 30


class Cluster(PostgresServer):
    """A server on the data of ``folder``, as a child of this process and on a port of the loopback."""

    def __init__(self, folder, program):
        (self.port,) = free_ports(1)
        super().__init__(f"postgresql://postgres@127.0.0.1:{self.port}/postgres")
        self._folder = folder
        self._program = program
        self._process = None
        self._losses = 0

    def start(self):
        """Start and wait until it takes connections: after a kill not before the last of its children is gone."""
        deadline = time.monotonic() + START_S_MAX
        while True:
            if self._process is None or self._process.poll() is not None:
                self._spawn()
            try:
                self.execute("SELECT 1")
                return self
            except Exception as error:
                assert time.monotonic() < deadline, f"PostgreSQL does not start: {error}\n{self._log.read_text()}"
                time.sleep(0.02)

    def copy(self):
        """A base backup of the running server, for ``go_back_to``."""
        copy = self._folder.with_name("copy")
        copy.mkdir(mode=0o700)
        owner = self._folder.stat()
        os.chown(copy, owner.st_uid, owner.st_gid)
        program = self._program.with_name("pg_basebackup")
        options = ("-h", self._folder, "-p", str(self.port), "-U", "postgres", "-D", copy, "-X", "stream", "-c", "fast")
        subprocess.run([program, *options], check=True, capture_output=True, cwd="/", user=self._user)
        return copy

    def go_back_to(self, copy):
        """After a kill: the next start is on what was copied."""
        self._losses += 1
        self._folder.rename(self._folder.with_name(f"lost-{self._losses}"))  # its last children may still write there
        copy.rename(self._folder)

    @property
    def _user(self):
        """Whose the data are: PostgreSQL refuses to run as root."""
        owner = self._folder.stat().st_uid
        return owner if owner != os.geteuid() else None

    @property
    def _log(self):
        return self._folder.parent / "postgres.log"

    def _spawn(self):
        options = ["-D", self._folder, "-k", self._folder, "-h", "127.0.0.1", "-p", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *options],
                user=self._user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self):
        """SIGKILL to the postmaster; its children see it and end by themselves."""
        self._process.kill()
        self._process.wait(STOP_S_MAX)

    def stop(self):
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(STOP_S_MAX)


@contextmanager
def killable_cluster():
    """A cluster in a folder of its own. A short path: it holds the server's socket, whose name is limited."""
    folder = Path(tempfile.mkdtemp(prefix="getaway-chaos-"))
    cluster = None
    try:
        folder.chmod(0o755)  # under root the server is another user's
        with embedded_server(folder / "postgres"):
            trust_everybody(folder / "postgres")
            rules = folder / "postgres" / "pg_hba.conf"
            rules.write_text(f"local replication all trust\n{rules.read_text()}")
        cluster = Cluster(folder / "postgres", programs_folder() / "postgres")
        yield cluster.start()
    finally:
        if cluster is not None:
            cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
