"""How long a start takes on an existing database: ``python -m tests.bench.start [--quick]``.

The server is killed and started again; the time from then until ``/readyz`` says 200 counts, imports included. Once
with a PostgreSQL that runs, and once with the embedded one, which was told to stop at once when the server was killed
and recovers at its start.
"""

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from statistics import median

from server.db.driver.database import EMBEDDED, EMBEDDED_FOLDER
from tests.bench.figures.stand import open_stand
from tests.bench.options import Options, run_row
from tests.bench.report import Line, progress, show
from tests.bench.yardsticks import BenchError, Tools
from tests.helpers.server_process import ServerProcess

STARTS = 5
START_S_MAX = 1.5
LOOK_S = 0.005
PATIENCE_S = 60


def started_s(server: ServerProcess) -> float:
    """Seconds from the start until it is ready."""
    began = time.monotonic()
    server.spawn()
    while not server.is_ready():
        if time.monotonic() > began + PATIENCE_S:
            raise BenchError(f"the server is not ready after {PATIENCE_S} s: {server.log()[-500:]}")
        time.sleep(LOOK_S)
    return time.monotonic() - began


def with_running(starts: int) -> list[float]:
    """Starts on a PostgreSQL that runs."""
    with open_stand() as stand:
        stand.start_wallet()
        stand.server.start()
        stand.server.create_operator(stand.wallet_url)
        took_s = []
        for _ in range(starts):
            stand.server.kill()
            took_s.append(started_s(stand.server))
        return took_s


def with_embedded(starts: int) -> list[float]:
    """Starts that start the embedded PostgreSQL, too."""
    folder = Path(tempfile.mkdtemp(prefix="getaway-start-"))
    data = folder / "data" / EMBEDDED_FOLDER
    server = ServerProcess(EMBEDDED, folder, GETAWAY_LOG_LEVEL="warning")
    try:
        server.start()
        server.create_operator("http://127.0.0.1:9")
        took_s = []
        for _ in range(starts):
            server.kill()
            stop_postgres(data)
            took_s.append(started_s(server))
        return took_s
    finally:
        server.kill()
        stop_postgres(data)
        shutil.rmtree(folder, ignore_errors=True)


def stop_postgres(data: Path) -> None:
    """Have the server of this folder stop without a checkpoint, and wait until it has."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, signal.SIGQUIT)
    except (FileNotFoundError, ProcessLookupError):
        return
    deadline = time.monotonic() + PATIENCE_S
    while (data / "postmaster.pid").exists():
        if time.monotonic() > deadline:
            raise BenchError("the embedded PostgreSQL does not stop")
        time.sleep(0.05)


def measure(_tools: Tools, options: Options) -> list[Line]:
    starts = options.pick(STARTS, 2)
    lines = []
    for what, run in (("a PostgreSQL that runs", with_running), ("the embedded one, which recovers", with_embedded)):
        progress(f"start: {starts} starts with {what}")
        took_s = run(starts)
        show(row="start", database=what, took_s=[round(each_s, 2) for each_s in took_s])
        lines.append(
            Line(
                what=f"killed, then start to ready on an existing database: {what}",
                goal=f"<= {START_S_MAX} s",
                measured=f"{median(took_s):.2f} s ({min(took_s):.2f} to {max(took_s):.2f})",
                met=median(took_s) <= START_S_MAX,
            )
        )
    return lines


if __name__ == "__main__":
    run_row(measure)
