"""How many sessions are launched in a second: ``python -m tests.bench.launches [--quick]``.

An operator with 32 kept connections, each of which sends the next launch as soon as the one before is answered. Every
signature is checked, every session stored; afterwards the sessions in the database are counted. Server, PostgreSQL
(fsync on) and the operator share two cores.
"""

import json
import subprocess
import sys
from statistics import median
from typing import Any

from tests.bench.house import House, cpu_s, open_house
from tests.bench.options import Options, run_row
from tests.bench.report import Line, progress, show
from tests.bench.yardsticks import BenchError, Tools
from tests.helpers.server_process import ROOT

CONNECTIONS = 32
WARM_S = 2
GOAL_PER_S = 1_000


def launch(house: House, seconds: int) -> dict[str, Any]:
    """The figures of the launches. Raises ``BenchError`` if not each one that was answered is in the database."""
    operator = house.operator
    names = ("operator_id", "api_key", "hmac_secret")
    stored_before, cpu_before_s = _stored(house), cpu_s(house.pid)
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.launch_client", *map(str, (house.port, CONNECTIONS, seconds, WARM_S))],
        input=json.dumps({name: getattr(operator, name) for name in names}) + "\n",
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=seconds + 120,
        check=False,
    )
    if done.returncode:
        raise BenchError("the operator that launches sessions failed")
    figures: dict[str, Any] = json.loads(done.stdout)
    stored = _stored(house) - stored_before
    if figures["others"] or stored != figures["launched"]:
        raise BenchError(f"not every launch was answered by 200 and stored: {figures}, {stored} stored")
    cpu_ms = (cpu_s(house.pid) - cpu_before_s) / figures["launched"] * 1000
    return {"per_s": figures.pop("counted") / seconds, "cpu_ms": round(cpu_ms, 2), **figures}


def _stored(house: House) -> int:
    return int(house.stand.query("SELECT count(*) FROM sessions")[0][0])


def measure(_tools: Tools, options: Options) -> list[Line]:
    runs = []
    with open_house() as house:
        for repetition in range(options.repetitions):
            progress(f"launches: repetition {repetition + 1} of {options.repetitions}")
            runs.append(launch(house, options.pick(8, 3)))
            show(row="launches", **runs[-1])
    seen = {name: median(run[name] for run in runs) for name in runs[0]}
    return [
        Line(
            what="launches: signature checked and session stored, on two cores with all the rest",
            goal=f"{GOAL_PER_S:,}/s",
            measured=f"{seen['per_s']:,.0f}/s, p50 {seen['p50_ms']:.0f} ms, p99 {seen['p99_ms']:.0f} ms,"
            f" {seen['cpu_ms']:.2f} ms of the server's CPU each",
            met=seen["per_s"] >= GOAL_PER_S,
        )
    ]


if __name__ == "__main__":
    run_row(measure)
