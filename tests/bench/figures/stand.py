"""The stand of a measurement: a PostgreSQL that waits for its disk, a wallet and a server, each a process."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from server.db.driver.database import Database, open_database
from server.db.embedded.embedded import embedded_server
from server.db.migrations.migrate import migrate
from tests.helpers.server_process import ROOT, ServerProcess, free_ports

MASTER_KEY = b"0123456789abcdef0123456789abcdef"
"""What ``ServerProcess`` gives its server."""


class Stand:
    """``server`` is not started yet."""

    def __init__(self, folder: Path, database_url: str, **variables: str) -> None:
        self.database_url = database_url
        self.server = ServerProcess(database_url, folder, GETAWAY_LOG_LEVEL="warning", **variables)
        (self._wallet_port,) = free_ports(1)
        self.wallet_url = f"http://127.0.0.1:{self._wallet_port}"
        self._wallet: subprocess.Popen[bytes] | None = None

    def start_wallet(self) -> None:
        """Start it and wait until it listens."""
        command = [sys.executable, "-m", "tests.bench.figures.quick_wallet", str(self._wallet_port)]
        self._wallet = subprocess.Popen(command, cwd=ROOT)
        for _ in range(200):
            try:
                self.counts()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("the wallet does not listen")

    def counts(self) -> dict[str, Any]:
        """What the wallet was called for."""
        with urllib.request.urlopen(f"{self.wallet_url}/counts", timeout=10) as answer:
            counts: dict[str, Any] = json.load(answer)
            return counts

    def turn_other(self, mode: str) -> None:
        """Have the wallets below ``/other`` ``hang`` or ``answer``."""
        with urllib.request.urlopen(f"{self.wallet_url}/{mode}", timeout=10) as answer:
            answer.read()

    def query(self, statement: str, *arguments: object) -> Sequence[Any]:
        """The rows of a statement."""

        async def run() -> Sequence[Any]:
            async with open_database(self.database_url, Path()) as database:
                return await database.run(
                    lambda connection: connection.fetch(statement, *arguments), timeout_ms=600_000
                )

        return trio.run(run)

    def close(self) -> None:
        """End the processes."""
        self.server.kill()
        if self._wallet is not None:
            self._wallet.kill()
            self._wallet.wait()


@contextmanager
def open_stand(**variables: str) -> Iterator[Stand]:
    """On a database of its own with the schema in place; ``variables`` are the server's environment."""
    folder = Path(tempfile.mkdtemp(prefix="getaway-figures-"))
    try:
        with embedded_server(folder / "postgres") as url:
            trio.run(_migrate, url)
            stand = Stand(folder, url, **variables)
            try:
                yield stand
            finally:
                stand.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _migrate(url: str) -> None:
    async with open_database(url, Path()) as database:
        assert isinstance(database, Database)
        await migrate(database)


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which this part of the values lies."""
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


def show(**figures: object) -> None:
    """One line of figures for people and programs."""
    print(json.dumps(figures), flush=True)


def progress(text: str) -> None:
    """What is going on, on the error stream."""
    print(text, file=sys.stderr, flush=True)
