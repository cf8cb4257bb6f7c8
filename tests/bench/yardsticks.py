"""The programs that the server is measured with and against: compiled, pinned to a core, started and ended."""

import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.report import progress
from tests.helpers.server_process import ROOT, free_ports

YARDSTICKS = ROOT.parent / "shared" / "bench"
"""Where tickload.c, floor.c and peer_ws.js are, unless ``--yardsticks`` says otherwise."""

FILES_MIN = 17_000
LISTEN_S_MAX = 60


class BenchError(Exception):
    """The benchmark can't be run here; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Load:
    """What tickload saw. Latenesses and latencies are milliseconds."""

    players: int
    flying: int
    rounds_per_s: float
    ticks_per_s: float
    per_flying: float
    late_p50_ms: float
    late_p99_ms: float
    bet_p50_ms: float
    bet_p99_ms: float
    errors: int


def parse_load(line: str) -> Load:
    """Tickload's line of figures. Raises ``ValueError`` if it is none."""
    found, group = {}, ""
    for word in line.split():
        name, is_pair, value = word.partition("=")
        if not is_pair:
            group = f"{name} "
            continue
        found[name if name[0] != "p" or not name[1:2].isdigit() else group + name] = float(value)
    try:
        return Load(
            players=int(found["players"]),
            flying=int(found["flying"]),
            rounds_per_s=found["rounds/s"],
            ticks_per_s=found["ticks/s"],
            per_flying=found["per_flying"],
            late_p50_ms=found["late_ms p50"],
            late_p99_ms=found["late_ms p99"],
            bet_p50_ms=found["bet_ms p50"],
            bet_p99_ms=found["bet_ms p99"],
            errors=int(found["errors"]),
        )
    except KeyError as missing:
        raise ValueError(f"tickload's line has no {missing}: {line!r}") from None


class Tools:
    """The compiled programs, in ``folder``."""

    def __init__(self, folder: Path, yardsticks: Path) -> None:
        self.folder = folder
        for source in (yardsticks / "tickload.c", yardsticks / "floor.c", Path(__file__).with_name("players.c")):
            if not source.is_file():
                raise BenchError(f"{source} is missing: name the folder of the yardsticks with --yardsticks")
            _run(["cc", "-O2", "-o", str(folder / source.stem), str(source), "-lm"])
        self.peer = folder / "peer_ws.js"
        shutil.copy(yardsticks / "peer_ws.js", self.peer)
        self.has_peer = _install_ws(folder)

    def tickload(
        self,
        port: int,
        players: int,
        seconds: float,
        *,
        tokens: Path | None = None,
        warm_s: float = 2,
        core: int | None = 1,
    ) -> Load:
        """Load the server at ``port``, from that core alone or, without one, from any."""
        command = [self.folder / "tickload", port, players, seconds, tokens or "", 100, warm_s]
        words = pinned(core, *command) if core is not None else [str(word) for word in command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=seconds + warm_s + 180, check=False)
        if done.returncode:
            raise BenchError(f"tickload failed: {done.stderr.strip() or done.returncode}")
        return parse_load(done.stdout)


@contextmanager
def open_tools(yardsticks: Path = YARDSTICKS) -> Iterator[Tools]:
    """Compile everything into a temporary folder, which is removed in the end. Raises ``BenchError``."""
    if (os.cpu_count() or 1) < 2 or shutil.which("taskset") is None or shutil.which("cc") is None:
        raise BenchError("the benchmark needs two cores, taskset (util-linux) and a C compiler named cc")
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="getaway-bench-") as folder:
        yield Tools(Path(folder), yardsticks)


def raise_file_limit() -> None:
    """As many open files as this process may have; its children have them, too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES_MIN:
        raise BenchError(f"a process may open {hard} files at most: raise the hard limit (ulimit -Hn) to {FILES_MIN}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pinned(core: int, *command: object) -> list[str]:
    """The command, on that core alone."""
    return ["taskset", "-c", str(core), *(str(word) for word in command)]


@contextmanager
def running(command: Sequence[str], port: int, **how: object) -> Iterator[subprocess.Popen[bytes]]:
    """The server that ``command`` starts, once it listens at ``port``; killed in the end."""
    with subprocess.Popen(command, cwd=ROOT, **how) as process:
        try:
            wait_until_listening(process, port)
            yield process
        finally:
            process.kill()


def wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    """Raises ``BenchError`` if it ends instead, or takes too long."""
    deadline = time.monotonic() + LISTEN_S_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise BenchError(f"{process.args} does not listen at port {port}")


def free_port() -> int:
    return free_ports(1)[0]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command)} failed:\n{done.stderr}")


def _install_ws(folder: Path) -> bool:
    """Whether there is a peer: Node, and ``ws`` beside the peer's source."""
    command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent", "ws@8"]
    if shutil.which("node") and shutil.which("npm"):
        done = subprocess.run(command, capture_output=True, timeout=120, check=False)
        if done.returncode == 0:
            return True
    progress("the Node peer is left out: it needs node, npm and the package ws")
    return False
