"""The real server as a process of its own: started, asked, told to stop, killed."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_S_MAX = 30
STOP_S_MAX = 30
KNOWN_S_MAX = 30
ASKED_OF_EACH = 10

PORTS = range(10_240, 32_000)
"""Below those that the system gives to connections that go out: one of these could take a port just found free."""


def free_ports(count: int) -> list[int]:
    ports: list[int] = []
    with ExitStack() as taken:
        while len(ports) < count:
            port = random.choice(PORTS)
            with suppress(OSError):
                taken.enter_context(socket.create_server(("127.0.0.1", port)))
                ports.append(port)
    return ports


def ports_in_a_row(count: int) -> int:
    """The first of so many free ports, one above the other."""
    while True:
        (first,) = free_ports(1)
        with suppress(OSError), ExitStack() as taken:
            for port in range(first, first + count):
                taken.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


class ServerProcess:
    """``getaway serve`` on ``database_url``. The log goes to ``folder/server.log``."""

    def __init__(self, database_url: str, folder: Path, **variables: str) -> None:
        self.workers = int(variables.get("GETAWAY_SERVER_WORKERS", "1"))
        self.metrics_port = ports_in_a_row(self.workers)
        self.port = self._port_beside(self.metrics_port)
        self.url = f"http://127.0.0.1:{self.port}"
        self.metrics_url = f"http://127.0.0.1:{self.metrics_port}"
        self.log_path = folder / "server.log"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GETAWAY_")}
        self.environ = clean | {
            "PYTHONPATH": str(ROOT),
            "GETAWAY_MASTER_KEY": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
            "GETAWAY_SERVER_PORT": str(self.port),
            "GETAWAY_SERVER_METRICS_PORT": str(self.metrics_port),
            "GETAWAY_SERVER_NODE": "test-node",
            "GETAWAY_DATABASE_URL": database_url,
            "GETAWAY_DATABASE_DATA_DIR": str(folder / "data"),
            # The tests' own database doesn't wait for the disk.
            "GETAWAY_DATABASE_ALLOW_UNSAFE_DURABILITY": "true",
            "GETAWAY_WALLET_ALLOW_INSECURE_CALLBACKS": "true",
            **variables,
        }

    def _port_beside(self, metrics_port: int) -> int:
        while (port := free_ports(1)[0]) in range(metrics_port, metrics_port + self.workers):
            pass
        return port

    def getaway(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run the command line beside the server, with the same settings."""
        return subprocess.run(
            [sys.executable, "-m", "server.cli", *arguments],
            cwd=self._folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def create_operator(self, wallet_url: str, *options: str, currency: str = "USD") -> dict[str, str]:
        """Provision an operator: ``operator_id``, ``api_key``, ``hmac_secret``. A running server then knows it."""
        terms = ("--name", "Casino", "--wallet-url", wallet_url, "--currency", currency, *options)
        done = self.getaway("operator", "create", *terms, "--json")
        assert done.returncode == 0, done.stderr
        created: dict[str, str] = json.loads(done.stdout)
        if self._process is not None and self._process.poll() is None:
            self._wait_until_known(created)
        return created

    def _wait_until_known(self, created: dict[str, str]) -> None:
        """A wrong signature is only told to an operator whose id and key are right.

        Each request comes to any of the workers: that many in a row are answered so only if all of them know it.
        """
        missing = asked = 1 if self.workers == 1 else ASKED_OF_EACH * self.workers
        deadline = time.monotonic() + KNOWN_S_MAX
        while time.monotonic() < deadline:
            headers = {
                "X-Operator-Id": created["operator_id"],
                "X-Operator-Key": created["api_key"],
                "X-Timestamp": str(int(time.time())),
                "X-Signature": "0" * 64,
            }
            request = urllib.request.Request(f"{self.url}/api/public/rgs/revenue", headers=headers)
            try:
                urllib.request.urlopen(request, timeout=5)
            except urllib.error.HTTPError as refusal:
                if json.load(refusal)["error"]["code"] == "bad_signature":
                    missing -= 1
                    if not missing:
                        return
                    continue
            missing = asked
            time.sleep(0.1)
        raise AssertionError(f"the running server does not know its new operator after {KNOWN_S_MAX} s")

    def start(self) -> "ServerProcess":
        self.spawn()
        self._wait_until_ready()
        return self

    def spawn(self) -> None:
        """Start without waiting: it may end by itself."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "server.cli", "serve"],
                cwd=self._folder,
                env=self.environ,
                stdout=log,
                stderr=log,
            )

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline:
            assert self._process.poll() is None, f"the server ended:\n{self.log()}"
            if self.is_ready():
                return
            time.sleep(0.05)
        raise AssertionError(f"the server is not ready:\n{self.log()}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def tell_to_stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(STOP_S_MAX)

    def has_ended(self, within_s: float) -> bool:
        assert self._process is not None
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it at once, the workers included: they would stop by themselves, but in order and thus later."""
        if self._process is not None and self._process.poll() is None:
            workers = self.children().values()
            self._process.kill()
            self._process.wait(STOP_S_MAX)
            for pid in workers:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def children(self) -> dict[int, int]:
        """The workers' process ids by their numbers."""
        found = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            # A thread, or a child, may end between its listing and this.
            with suppress(FileNotFoundError, ProcessLookupError):
                for child in (task / "children").read_text().split():
                    words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
                    if "server.workers" in words:
                        found[int(words[words.index("server.workers") + 1])] = int(child)
        return found

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def errors(self) -> list[str]:
        """Lines of the log that a person would be woken for."""
        return [line for line in self.log().splitlines() if '"level": "error"' in line or "Traceback" in line]
