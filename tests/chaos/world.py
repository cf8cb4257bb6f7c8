"""What outlives the servers of a run: a PostgreSQL, a wallet, the players. And the way back to rest after each loss."""

import re
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import trio

from tests.chaos.books import Books
from tests.chaos.cluster import killable_cluster
from tests.chaos.gamblers import Table, keep_launching
from tests.chaos.proxy import Proxy
from tests.helpers.server_process import ServerProcess
from tests.whole.house import House
from tests.whole.wallet import Wallet

RATE_PER_MS = "0.01"
SLOW_RATE_PER_MS = "0.00006"
VICTIM = "tests.chaos.victim"
GAMBLERS = 7
POLL_S = 0.03
REACHED_S_MAX = 60
REST_S_MAX = 60
VARIABLES = {
    "GETAWAY_GAME_GROWTH_RATE_PER_MS": RATE_PER_MS,
    "GETAWAY_WALLET_RETRY_FIRST_MS": "50",
    "GETAWAY_WALLET_RETRY_MAX_MS": "400",
    "GETAWAY_WALLET_BREAKER_PAUSE_MS_MAX": "1000",
}


class ChaosError(AssertionError):
    """A point was not reached, something did not come to rest in time, or the server complains."""


class Server(ServerProcess):
    """A server that can also be started as the victim of ``tests.chaos.victim``."""

    def spawn(self, module="server.cli", **variables):
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, "serve"],
                cwd=self._folder,
                env=self.environ | variables,
                stdout=log,
                stderr=log,
            )

    def spawn_victim(self, point, hits, **variables):
        self.spawn(VICTIM, CHAOS_POINT=f"{point}:{hits}", **variables)

    def start(self, module="server.cli", **variables):
        self.spawn(module, **variables)
        self._wait_until_ready()
        return self

    @property
    def status(self):
        return self._process.poll()

    def send(self, signal_number):
        self._process.send_signal(signal_number)

    def is_stopped(self):
        """Whether a signal has stopped it in its tracks."""
        state = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state == "T"


@dataclass
class Figures:
    """What a run has measured. ``ended_ms``: from a server's start to the end of the last interrupted round;
    ``acknowledged_ms``: until the last money of these had moved; ``resumed_ms``: from PostgreSQL's return until
    everybody had brought another round to its end; ``resumed_after_proxy_ms``: the same, from a network's return."""

    kills: dict = field(default_factory=dict)
    rounds: int = 0
    rude_answers: int = 0
    interrupted_rounds: int = 0
    owed_calls: int = 0
    ended_ms: list = field(default_factory=list)
    acknowledged_ms: list = field(default_factory=list)
    resumed_ms: list = field(default_factory=list)
    resumed_after_proxy_ms: list = field(default_factory=list)

    def count(self, name):
        self.kills[name] = self.kills.get(name, 0) + 1


class LastingWallet(Wallet):
    """What was acknowledged once is no longer owed, even if the same call comes again and then gets no clear answer.

    A killed PostgreSQL may forget that a call was claimed: it is sent twice, and a fault may meet the second time.
    With ``is_read_late`` an answer that was held back may be read all the same, so it is not known what is owed.
    """

    is_read_late = False

    def __init__(self):
        super().__init__()
        self.met = Counter()
        """How often each named rudeness was met, and by a repetition or not."""
        self.untold = set()
        """Players whose last acknowledged call brought no balance."""

    def begin(self, operator, kind, body, raw):
        is_repetition = body["operator_tx_id"] in self._first_bytes
        call, fault = super().begin(operator, kind, body, raw)
        if fault.name:
            self.met[fault.name, is_repetition] += 1
        return call, fault

    def finish(self, call, fault, status, answer):
        super().finish(call, fault, status, answer)
        if call.acknowledged:
            (self.untold.add if fault.says_done else self.untold.discard)(call.body["operator_player_id"])

    @property
    def is_busy(self):
        with self.lock:
            return any(session.busy for session in self._sessions.values())

    def forget_owed(self, round_ids):
        """Nobody will ask again about these rounds, which a restored database does not know.

        Until the server saw that it had gone back, by its next heartbeat, it took bets beside what it had forgotten.
        """
        with self.lock:
            self.violations = [text for text in self.violations if not _came_beside(text, round_ids)]
            for session in self._sessions.values():
                session.owed = {tx_id for tx_id in session.owed if tx_id.partition("-")[2] not in round_ids}

    def _owe(self, call):
        if self.is_read_late:
            return
        owed = f"refund-{call.body['round_id']}" if call.kind == "bet" else call.tx_id
        if not any(one.tx_id == owed and one.acknowledged for one in self.calls):
            super()._owe(call)


class World:
    def __init__(self, cluster, database_url, house, table, figures):
        self.cluster = cluster
        self.database_url = database_url
        self.house = house
        self.server = house.server
        self.table = table
        self.figures = figures
        self.books = Books(database_url, house, table)
        self.wallet_proxy = None
        self._log_bytes_read = 0

    async def until(self, condition, what, seconds=REST_S_MAX):
        """Until a blocking ``condition`` holds. Raises ``ChaosError`` that says ``what`` did not happen."""
        deadline = trio.current_time() + seconds
        while not await in_thread(condition):
            if trio.current_time() > deadline:
                players = "\n".join(map(repr, self.table.gamblers))
                unfinished = await in_thread(self.books.unfinished)
                told = f"{what}: not within {seconds} s\n{players}\n{unfinished}\n{self.server.log()[-2000:]}"
                raise ChaosError(told)
            await trio.sleep(POLL_S)

    def forget_faults(self):
        for gambler in self.table.gamblers:
            self.house.wallet.forget_faults(gambler.session.player_id)

    async def play_on(self):
        """Everybody, on the server that runs now, brings at least one more round to its end."""
        before = self.table.ended_counts()
        self.table.betting = True

        def all_have_played():
            return all(now > old for now, old in zip(self.table.ended_counts(), before, strict=True))

        await self.until(all_have_played, "the players did not all play on")

    async def come_to_rest(self):
        """No bets, no live rounds, nothing owed."""
        self.table.betting = self.table.launching = False
        self.forget_faults()
        nothing = (set(), set())
        await self.until(
            lambda: self.table.is_quiet and self.books.unfinished() == nothing,
            f"rest ({await in_thread(self.books.unfinished)})",
        )

    async def audit(self, excused=()):
        """Compare all books, and see that no server complained, but in the ``excused`` words."""
        self.figures.rounds = await in_thread(self.books.audit)
        self.figures.rude_answers = self.house.wallet.met.total()
        log = self.server.log_path.read_bytes()
        new, self._log_bytes_read = log[self._log_bytes_read :].decode(), len(log)
        complaints = [line for line in new.splitlines() if '"level": "error"' in line or "Traceback" in line]
        left = [line for line in complaints if not any(words in line for words in excused)]
        if left:
            raise ChaosError("the server complains:\n" + "\n".join(left))

    async def recover(self):
        """Start a plain server, measure how soon it ends what was interrupted, and compare the books at rest."""
        rounds, calls = await in_thread(self.books.unfinished)
        began_ms = time.time() * 1000
        await in_thread(self.server.start)
        await self.play_on()
        await self.come_to_rest()
        self.figures.interrupted_rounds += len(rounds)
        self.figures.owed_calls += len(calls)
        settled_ms, acknowledged_ms = await in_thread(self.books.ends_ms, rounds, calls)
        if settled_ms is not None:
            self.figures.ended_ms.append(settled_ms - began_ms)
        if acknowledged_ms is not None:
            self.figures.acknowledged_ms.append(acknowledged_ms - began_ms)
        await self.audit()
        self.server.kill()


async def in_thread(function, *arguments):
    return await trio.to_thread.run_sync(function, *arguments)


@asynccontextmanager
async def open_world(folder, *, seed=1):
    """A cluster, a wallet and players; between scenarios no server runs."""
    cluster_context = killable_cluster()
    cluster = await in_thread(cluster_context.__enter__)
    wallet = LastingWallet()
    server = None
    try:
        await in_thread(cluster.execute, "CREATE DATABASE chaos")
        server = Server(cluster.url_of("chaos"), folder, **VARIABLES)
        await in_thread(server.start)
        house = House(server, wallet, RATE_PER_MS)
        table = Table(house, seed)
        world = World(cluster, cluster.url_of("chaos"), house, table, Figures())
        async with trio.open_nursery() as nursery:
            world.wallet_proxy = Proxy(urlsplit(wallet.url).port, seed)
            await world.wallet_proxy.open(nursery)
            wallet.url = f"http://127.0.0.1:{world.wallet_proxy.port}/wallet"
            await in_thread(house.add_operator)
            await table.seat(nursery, GAMBLERS)
            nursery.start_soon(keep_launching, table)
            await world.play_on()
            await world.come_to_rest()
            await world.audit()
            server.kill()
            yield world
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            if server is not None:
                server.kill()
            wallet.close()
            await in_thread(cluster_context.__exit__, None, None, None)


def _came_beside(violation, round_ids):
    """Whether a call came while nothing but these rounds was owed."""
    told = re.search(r"came while (.*) was not acknowledged", violation)
    owed = re.findall(r"'(?:win|refund)-([^']+)'", told[1]) if told else []
    return bool(owed) and set(owed) <= round_ids
