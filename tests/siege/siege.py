"""Besieging: a server, its database and wallet, honest players beside an attack, and what was measured.

All of it is on loopback: the attackers come from an address of their own there, and have less of the machine than the
rest, as if they were elsewhere.
"""

import json
import os
import re
import resource
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.bench.figures.stand import Stand, open_stand, quantile
from tests.helpers.server_process import ROOT

PLACES = 2_000
HONEST, ATTACKER = "127.0.0.1", "127.0.0.66"
OPEN_FILES = 20_000
ATTACK_S_MAX = 60
"""An attack ends by itself after so long, whatever happens to whoever started it."""
BEGINS_S = {"unread_history": 6, "read_history": 6}
"""What an attack needs to begin; 2 where nothing is said."""


@dataclass(frozen=True)
class Phase:
    """What the honest saw of one attack. Times are milliseconds."""

    pings: list[float]
    cashouts: list[float]
    launches: list[float]
    lost: int
    troubles: dict[str, int]
    memory_kib: int
    """Of the server, at the end."""
    cpu_part: float
    """What the server took of one core."""


class Siege:
    """A running server with two operators: an honest one, and one of the attacker's whose wallet refuses every bet."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.server = stand.server
        self._honest = self._operator(stand.wallet_url, HONEST)
        self._attacker = self._operator(f"{stand.wallet_url}/refuse", ATTACKER)

    def _operator(self, wallet_url: str, source: str) -> dict[str, Any]:
        created = self.server.create_operator(wallet_url)
        names = ("operator_id", "api_key", "hmac_secret")
        return {"port": self.server.port, "source": source} | {name: created[name] for name in names}

    def phase(self, attacks: Sequence[str], seconds: float, players: int) -> Phase:
        """What ``players`` see for ``seconds`` while these attacks go on; none: quiet."""
        wish = {"target": self._honest, "players": players, "seconds": seconds}
        with _process("tests.siege.honest", wish) as honest:
            _ready(honest)
            attack = {"target": self._attacker, "attacks": list(attacks), "seconds": ATTACK_S_MAX}
            attack["begins_s"] = max((BEGINS_S.get(each, 2) for each in attacks), default=2)
            with _process("tests.siege.attacks", attack, nice=15) as attacker:
                _ready(attacker)
                assert honest.stdin is not None and honest.stdout is not None
                cpu_s, began_at = _cpu_s(self.server.pid), time.monotonic()
                print("go", file=honest.stdin, flush=True)
                told = json.loads(honest.stdout.readline())
                memory_kib = _memory_kib(self.server.pid)
                cpu_part = (_cpu_s(self.server.pid) - cpu_s) / (time.monotonic() - began_at)
        return Phase(
            pings=[1000 * each for each in told["pings"]],
            cashouts=[1000 * each for each in told["cashouts"]],
            launches=[1000 * each for each in told["launches"]],
            lost=told["lost"],
            troubles=told["troubles"],
            memory_kib=memory_kib,
            cpu_part=cpu_part,
        )

    def counted(self, name: str, label: str | None) -> dict[str, float]:
        """A counter's values by one of its labels."""
        with urllib.request.urlopen(f"{self.server.metrics_url}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        counted: dict[str, float] = defaultdict(float)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name:
                    counted[sample.labels[label] if label else ""] += sample.value
        return counted

    def warnings(self) -> list[str]:
        """What the server's log says, without times and numbers."""
        return [re.sub(r"[0-9]+", "0", line) for line in self.server.log().splitlines()]


@contextmanager
def besieged(**variables: str) -> Iterator[Siege]:
    """A siege's server, started."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, OPEN_FILES), hard), hard))
    chosen = {"GETAWAY_SERVER_CONNECTIONS_MAX": str(PLACES), "GETAWAY_LIMITS_REQUESTS_PER_SECOND": "400"}
    with open_stand(**chosen | variables) as stand:
        stand.start_wallet()
        stand.server.start()
        yield Siege(stand)


@contextmanager
def _process(module: str, wish: dict[str, Any], nice: int = 0) -> Iterator["subprocess.Popen[str]"]:
    command = ["nice", "-n", str(nice), sys.executable, "-m", module]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdin is not None
            print(json.dumps(wish), file=process.stdin, flush=True)
            yield process
        finally:
            process.kill()


def _ready(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    line = process.stdout.readline()
    if line.strip() != "ready":
        raise RuntimeError(f"a process of the siege did not begin: {line!r}")


def _memory_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1])


def _cpu_s(pid: int) -> float:
    """What a process has computed so far, in it and for it in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def p(values: Sequence[float], part: float) -> float:
    """A quantile; nothing measured is infinitely slow."""
    return quantile(values, part) if values else float("inf")
