"""Lives of nodes: the real actors behind ports that can die, stall and lie about the time."""

import trio

from actors.facts.records import LiveRound, Operator, Owner, WalletCall
from actors.kit.clock import ServerClock
from actors.node import Node, Ports, open_node
from actors.ports.ledger import LedgerUnavailableError
from server.wallet.gateway import HttpWalletGateway, WalletGatewaySettings
from tests.helpers.game import NOON_MS
from tests.helpers.memory_ledger import MemoryLedger
from tests.helpers.stores import stores_of
from tests.helpers.transition_kinds import kind_of
from tests.worlds.failures import FailingPort, Failures, InjectedError
from tests.worlds.wallets import Wire

START_AGAIN_S = 1.0
LEDGER_CALLS = (
    "register_node",
    "heartbeat",
    "end_silent",
    "end_life",
    "note_cut",
    "adopt_place",
    "open_session",
    "history",
    "live_round",
    "finished_round",
    "take_orphans",
    "own_live_rounds",
    "outbox_of",
    "claim_calls",
    "release_claims",
    "give_up_claims",
    "outbox_counts",
    "operators_version",
    "load_operators",
    "confirm_operators",
    "balance_minor",
    "has_company",
    "request_session",
    "withdraw_request",
    "end_request",
    "session_requests",
    "move_session",
)


class SharedLedger(MemoryLedger):
    """The twin, one for all nodes; a crossing's waits are its port's business, so that every call is one step."""

    async def _cross(self) -> None:
        pass


class Life:
    """One process of a node, from its start to its end, however it ends.

    A killed process runs no ``finally``: from the kill on its ports have no effect and its sockets are silent, and only
    then are its tasks cancelled. A paused one is stuck at its ports until it goes on.
    """

    def __init__(self, world, name: str, number: int, skew_ms: int) -> None:
        self.world = world
        self.name = name
        self.number = number
        self.label = f"{name}#{number}"
        self.skew_ms = skew_ms
        """How far its machine's clock is ahead of the truth now."""
        self._skew_at_start_ms = skew_ms
        self.clock = ServerClock(self._machine_ms(), self._machine_ms)
        self.dead = False
        self.node: Node | None = None
        self.owner: Owner | None = None
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self.connections: dict[object, None] = {}
        self.crash_after_crossings: int | None = None
        self.pauses_at: str | None = None
        self.failures = Failures(self)
        self._resumed: trio.Event | None = None
        self.has_paused = trio.Event()

    def _machine_ms(self) -> float:
        return NOON_MS + self.skew_ms + trio.current_time() * 1000

    def true_of(self, steady_ms: int) -> int:
        """The truth, which the database's clock shows, of a moment on this process's steady clock."""
        return steady_ms - self._skew_at_start_ms

    def flight_of(self, live: LiveRound):
        """The flight as this process plays it, if it does."""
        actor = None if self.node is None else self.node.lobby._rounds.of(live.session_id)
        return actor.flight if actor is not None and actor.placed.round_id == live.round_id else None

    @property
    def paused(self) -> bool:
        return self._resumed is not None

    @property
    def knows_of_cut(self) -> bool:
        return self.node is not None and self.node.services.contact.is_cut

    @property
    def serves(self) -> bool:
        return self.node is not None and not self.dead

    def kill(self, why: str) -> None:
        if self.dead:
            return
        self.dead = True
        self.world.trace.note(f"{self.label} {why}")
        if self.owner is not None:
            self.world.ledger.processes_gone.add(self.owner)
        self._end()

    def _end(self) -> None:
        """The sockets go first, as in the real server."""
        for connection in list(self.connections):
            connection.cut()
        self.node = None
        self.scope.cancel()

    def pause(self) -> None:
        if not self.paused:
            self.has_paused.set()
            self._resumed = trio.Event()

    def go_on(self) -> None:
        if self._resumed is not None:
            self._resumed.set()
            self._resumed = None
            for connection in list(self.connections):
                connection.read_backlog()

    async def gate(self) -> None:
        """Where a process that is dead stays for ever, and a paused one until it goes on."""
        while self._resumed is not None and not self.dead:
            await self._resumed.wait()
        if self.crash_after_crossings is not None and not self.dead:
            self.crash_after_crossings -= 1
            if self.crash_after_crossings <= 0:
                self.world.faults.count("crash at a crossing")
                self.kill("is killed at a crossing")
        if self.dead:
            await trio.sleep_forever()

    def note_crossing(self, method: str, arguments: tuple) -> None:
        """A commit or a move is about to cross: a pause that was planned for one of its kind begins here."""
        kinds = [kind_of(each) for each in arguments[0]] if method == "commit" else [method]
        if self.pauses_at in kinds and not self.dead:
            self.world.trace.note(f"{self.label} is paused at {self.pauses_at}")
            self.world.faults.count("pause at a commit")
            self.pauses_at = None
            self.pause()

    async def run(self) -> None:
        """Be a process: start, serve until killed or fenced."""
        with self.scope:
            await self.world.person.may_run.wait()
            while not self.dead:
                try:
                    await self._serve()
                except (LedgerUnavailableError, InjectedError):
                    await trio.sleep(START_AGAIN_S)
        self.dead = True
        self.ended.set()
        self.world.trace.note(f"{self.label} has ended")

    async def _serve(self) -> None:
        world, port = self.world, LedgerPort(self)
        ports = Ports(
            stores=stores_of(port),
            operators=port,
            gateway=GatewayPort(self),
            entropy=FailingPort(world.entropy, self, "entropy"),
            observer=FailingPort(world.observer, self, "observer"),
            framed=self._framed,
        )
        async with open_node(self.name, world.settings, self.clock, ports) as node:
            self.node, self.owner = node, node.services.owner
            world.trace.note(f"{self.label} serves as {self.owner.epoch}")
            await node.fenced.wait()
            world.trace.note(f"{self.label} is fenced")
            if node.services.contact.must_register:
                world.nursery.start_soon(self._begin_anew)
            self._end()

    async def _begin_anew(self) -> None:
        """Its history is over: as the real process does, it begins another life."""
        await self.ended.wait()
        await trio.sleep(START_AGAIN_S)
        if not self.world.over:
            self.world.begin(self.name)

    def _framed(self, text: bytes) -> bytes:
        self.failures.before("framed")
        return bytes(text)

    async def drain(self) -> None:
        """End in order, as on SIGTERM."""
        if self.node is None:
            self.kill("stops before it served")
            return
        await self.node.drain()
        self._end()


class LedgerPort:
    """A life's way to the ledger: late, refused or answered into the void as the faults say."""

    def __init__(self, life: Life) -> None:
        self._life = life

    async def commit(self, transitions):
        self._life.world.audit.asks(transitions)
        return await self._cross("commit", list(transitions))

    async def _cross(self, method: str, *arguments):
        life, world = self._life, self._life.world
        await trio.lowlevel.checkpoint()
        fails_after = life.failures.before("ledger")
        life.note_crossing(method, arguments)
        await life.gate()
        world.trace.mark(f"{life.label} {method}")
        fault = world.faults.of_ledger()
        if method == "heartbeat" and world.faults.beats_held_until > trio.current_time():
            await trio.sleep_until(world.faults.beats_held_until)
            await life.gate()
        if fault == "slow ledger":
            await trio.sleep(world.faults.rng.choice((0.05, 0.5, 3.0)))
            await life.gate()
        if fault == "ledger refuses once" or world.faults.ledger_is_down(life.name, method, trio.current_time()):
            world.trace.note(f"{life.label} {method}: unavailable")
            raise LedgerUnavailableError("the ledger is away")
        if method == "commit":
            answer = await world.audit.commit(life, arguments[0])
        else:
            answer = await world.audit.read(life, method, arguments)
        if fault == "slow ledger":
            await trio.sleep(world.faults.rng.choice((0.05, 0.5, 3.0)))
        await life.gate()
        if fails_after:
            life.failures.strike("ledger")
        if fault == "ledger answer lost":
            raise LedgerUnavailableError("the answer was lost")
        if method == "heartbeat":
            world.audit.hears(life, arguments[0], answer)
        return answer


def _crossing(method: str):
    async def cross(self, *arguments):
        return await self._cross(method, *arguments)

    return cross


for _method in LEDGER_CALLS:
    setattr(LedgerPort, _method, _crossing(_method))


class GatewayPort:
    """A life's way to the wallets: the real gateway, which repeats and judges, over simulated connections."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._wire = Wire(life)
        self._gateway = HttpWalletGateway(WalletGatewaySettings(), life.clock, transport=self._wire)

    async def send(self, operator: Operator, call: WalletCall, timeout_ms: int):
        life, world = self._life, self._life.world
        world.audit.begins(life, call)
        await life.gate()
        fails_after = life.failures.before("gateway")
        world.audit.sends(life, call)
        self._wire.due[call.operator_tx_id] = trio.current_time() + timeout_ms / 1000
        try:
            answer = await self._gateway.send(operator, call, timeout_ms)
        finally:
            world.audit.sent(life, call)
        await life.gate()
        if fails_after:
            life.failures.strike("gateway")
        world.trace.mark(f"{life.label} hears {answer} of {call.operator_tx_id}")
        return answer
