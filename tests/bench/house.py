"""The real server with a real database that waits for its disk, a local wallet that answers at once, and players."""

import hashlib
import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import trio

from actors.facts.transitions import CreateSession, Launched
from server.db.driver.database import open_database
from server.secrets.vault import Vault
from tests.bench.figures.stand import MASTER_KEY, Stand, open_stand
from tests.bench.report import progress
from tests.bench.yardsticks import BenchError, Tools
from tests.helpers.game import CLIENT_SEED
from tests.helpers.stores import EveryStore
from tests.whole.casino import Operator

GROUP = 250
HOUR_MS = 3_600_000
BALANCE_MINOR = 1_000_000
LIMITS = {"GETAWAY_LIMITS_REQUESTS_PER_SECOND": "100000", "GETAWAY_LIMITS_REQUESTS_BURST": "100000"}
"""The server's default allows an operator 200 requests/s: a bound on customers, and not what is measured."""

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class House:
    """A running server, and an operator that it knows."""

    stand: Stand
    operator: Operator

    @property
    def port(self) -> int:
        return self.stand.server.port

    @property
    def pid(self) -> int:
        return self.stand.server.pid


@contextmanager
def open_house(**variables: str) -> Iterator[House]:
    """``variables`` are added to the server's environment."""
    with open_stand(GETAWAY_SERVER_CONNECTIONS_MAX="20000", **LIMITS, **variables) as stand:
        stand.start_wallet()
        stand.server.start()
        created = stand.server.create_operator(stand.wallet_url)
        names = ("operator_id", "api_key", "hmac_secret")
        yield House(stand, Operator(stand.server.url, **{name: created[name] for name in names}))


def new_session(operator_id: UUID, token: str, now_ms: int) -> CreateSession:
    """A session of a player of its own, as a launch would make it."""
    session_id = uuid4()
    return CreateSession(
        operator_id=operator_id,
        session_id=session_id,
        operator_player_id=f"player-{session_id}",
        currency="USD",
        balance_minor=BALANCE_MINOR,
        token_digest=hashlib.sha256(token.encode()).digest(),
        created_at_ms=now_ms,
        expires_at_ms=now_ms + 24 * HOUR_MS,
        client_seed=CLIENT_SEED,
        server_seed=secrets.token_hex(32),
        signature_digest=hashlib.sha256(session_id.bytes).digest(),
        sealed_token=bytes(71),
        replay_until_ms=now_ms + 600_000,
    )


def make_tokens(house: House, path: Path, count: int) -> Path:
    """``path``, with the tokens of so many new sessions, one a line. Written through the ledger: it is quicker."""
    tokens = [secrets.token_urlsafe(32) for _ in range(count)]
    operator_id = UUID(house.operator.operator_id)

    async def store() -> None:
        async with open_database(house.stand.database_url, Path()) as database:
            ledger = EveryStore(database, Vault(MASTER_KEY))
            for first in range(0, count, GROUP):
                now_ms = time.time_ns() // 1_000_000
                group = [new_session(operator_id, token, now_ms) for token in tokens[first : first + GROUP]]
                assert all(isinstance(answer, Launched) for answer in await ledger.commit(group))

    trio.run(store)
    path.write_text("".join(f"{token}\n" for token in tokens))
    return path


def family(pid: int) -> list[int]:
    """A process and all that it has started: a server's workers belong to it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        # A thread may end between its listing and this.
        with suppress(FileNotFoundError, ProcessLookupError):
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def cpu_s(pid: int) -> float:
    """Seconds of a core that the process and its children have used, by themselves and in the kernel."""
    used = 0
    for member in family(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])
    return used / _TICKS_PER_S


def resident_bytes(pid: int) -> int:
    """Memory that the process and its children have in use."""
    pages = sum(int(Path(f"/proc/{member}/statm").read_text().split()[1]) for member in family(pid))
    return pages * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Play:
    """How players played, as ``players.c`` tells it."""

    players: int
    seconds: float
    warm_s: float
    bets_per_s: float
    mode: str


@contextmanager
def playing(tools: Tools, house: House, tokens: Path, play: Play) -> Iterator[subprocess.Popen[str]]:
    """The process that plays, killed in the end. Its output is text, line by line."""
    chosen = (house.port, tokens, play.players, play.seconds, play.warm_s, play.bets_per_s, play.mode)
    command = [str(tools.folder / "players"), *map(str, chosen)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str], expected: str | None = None) -> str:
    """The next line of the players. Raises ``BenchError`` if it is not the one expected, or if there is none."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line or (expected is not None and line != expected):
        raise BenchError(f"the players failed: {expected or 'figures'} expected, but they said {line!r}")
    return line


def played(tools: Tools, house: House, tokens: Path, play: Play) -> dict[str, Any]:
    """The figures of the players, and as ``cpu_s`` what the server used meanwhile.

    ``wrong`` counts what must not happen: errors, closed sockets, and rounds that neither crashed nor were cashed out.
    """
    with playing(tools, house, tokens, play) as process:
        next_line(process, "ready")
        next_line(process, "begin")
        before = cpu_s(house.pid)
        next_line(process, "end")
        used = cpu_s(house.pid) - before
        figures: dict[str, Any] = json.loads(next_line(process))
    wrong = figures["errors"] + figures["gone"] + figures["others"]
    if wrong:
        progress(f"the players met errors: {figures}; the server's log ends {house.stand.server.log()[-500:]}")
    return figures | {"cpu_s": used, "wrong": wrong}
