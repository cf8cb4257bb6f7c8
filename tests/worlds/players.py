"""Simulated players: browsers that bet, hesitate, lose their connection and come back, maybe to another node."""

import hashlib
import json
from uuid import UUID

import trio

from actors.facts.transitions import CreateSession
from tests.helpers.game import NOON_MS
from tests.helpers.promises import Promises, Sheet
from tests.worlds.failures import InjectedError

UNREAD_MAX = 64
"""A player who reads nothing is cut off by the edge after so many frames."""
ENTER_S = (6.0, 15.0)
PATIENCE_S = 4.0
ANSWER_S = 15.0
FLIGHT_S = 90.0


class Connection:
    """One socket between a browser and a life of a node; implements ``PlayerSink``."""

    def __init__(self, browser: "Browser", life) -> None:
        self.browser = browser
        self.life = life
        self.frames: list[dict] = []
        self.closed = False
        self.stalled = False
        self.door = None
        self.entering = trio.CancelScope()
        self._backlog: list[bytes] = []
        self._news: trio.Event | None = None
        self.sheet = Sheet(browser.promises)

    # The server's side.

    def send(self, *frames: bytes) -> None:
        if self.closed or self.life.dead:
            return
        for shown in map(json.loads, frames):
            self.browser.world.audit.shown(self.browser.name, self.browser.book, self.browser.name, shown)
            self.sheet.sees(shown, binds=self.browser.is_owned_by(self.life))
            self.frames.append(shown)
        if self.stalled and len(self.frames) > UNREAD_MAX:
            self.cut()
        self._wake()

    write = changed = None
    is_behind = False

    @property
    def outlet(self):
        return self

    def offer_tick(self, number: int, frame: bytes, sent: int = 0) -> None:
        pass

    def close(self) -> None:
        self.closed = True
        self._wake()

    # The network and the browser.

    def cut(self) -> None:
        """The socket is gone; a living node notices."""
        if not self.closed and not self.life.dead and self.door is not None:
            self.door.leave()
        self.closed = True
        self.entering.cancel()
        self.life.connections.pop(self, None)
        self._wake()

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    def say(self, frame_type: str, **fields) -> None:
        if self.closed or self.door is None:
            return
        if frame_type == "bet":
            self.sheet.says_bet(fields["id"], fields.get("client_seed"))
        text = json.dumps({"type": frame_type, **fields}).encode()
        if self.life.paused:
            self._backlog.append(text)
        else:
            self._deliver(text)

    def read_backlog(self) -> None:
        backlog, self._backlog = self._backlog, []
        for text in backlog:
            if not self.closed:
                self._deliver(text)

    def _deliver(self, text: bytes) -> None:
        frame, received_ms = json.loads(text), self.life.clock.steady_ms()
        world = self.browser.world
        world.trace.note(f"{self.browser.name} says {frame['type']}")
        if frame["type"] == "cashout":
            world.audit.cashes_out(self.life, UUID(frame["round_id"]), received_ms)
        self.door.deliver(text, received_ms)

    async def wait(self, *types: str, timeout_s: float) -> dict | None:
        """The next frame of these types, the ones before it read as well; ``None``: too late, or closed."""
        with trio.move_on_after(timeout_s):
            while True:
                while self.frames:
                    frame = self.frames.pop(0)
                    if frame["type"] in types:
                        return frame
                if self.closed:
                    return None
                if self._news is None:
                    self._news = trio.Event()
                await self._news.wait()
        return None


class Browser:
    """One player of one operator, with one session at a time."""

    def __init__(self, world, number: int, book) -> None:
        self.world = world
        self.book = book
        self.name = f"player-{number}"
        self.rng = world.draws(f"player {number}")
        self.first_balance_minor = self.rng.choice((500, 5_000, 100_000))
        self.patience_s = 120.0 if world.is_long else self.rng.choice((1.0, 4.0, 8.0))
        self.stays = self.rng.random() < 0.5
        """Whether the player is still there when the faults have stopped."""
        self.quits = False
        """Whether the player has gone for good while others play on."""
        self.left: Connection | None = None
        """The socket that is left for one at another node."""
        self.hops_next = False
        """Whether the next thing the player does is to go to another node."""
        self.aims_at: str | None = None
        """The node that the player goes to as long as it serves."""
        self.promises = Promises(lambda invariant, detail: world.broken(invariant, f"{self.name}: {detail}"))
        self.bets = 0
        self.sessions = 0
        self.token = ""
        self.session_id: UUID | None = None
        self.played: list[str] = []
        """Rounds of its sessions, the newest last."""
        book.open_account(self.name, self.first_balance_minor)

    async def launch(self) -> None:
        """A session, as the operator asks for one."""
        entropy, now_ms = self.world.entropy, NOON_MS + int(trio.current_time() * 1000)
        self.sessions += 1
        self.token, self.session_id = entropy.token(), entropy.identifier()
        ttl_ms = self.rng.choice((60_000, 3_600_000, 3_600_000, 3_600_000))
        await self.world.ledger.commit(
            [
                CreateSession(
                    operator_id=self.book.record.operator_id,
                    session_id=self.session_id,
                    operator_player_id=self.name,
                    currency="USD",
                    balance_minor=self.book.balances[self.name],
                    token_digest=hashlib.sha256(self.token.encode()).digest(),
                    created_at_ms=now_ms,
                    expires_at_ms=now_ms + ttl_ms,
                    client_seed=entropy.client_seed(),
                    server_seed=entropy.server_seed(),
                    signature_digest=hashlib.sha256(b"signature" + self.token.encode()).digest(),
                    sealed_token=self.token.encode(),
                    replay_until_ms=now_ms + 600_000,
                )
            ]
        )

    def is_owned_by(self, life) -> bool:
        """Whether the session is this life's, as stored, and no newer life of its node has begun; nor one that the
        ledger has forgotten."""
        ledger = self.world.ledger
        if any(other.name == life.name and other.number > life.number and other.owner for other in self.world.lives):
            return False
        session = ledger.sessions.get(self.session_id)
        return session is not None and session.owner == life.owner and not ledger._is_superseded(life.owner)

    async def play(self) -> None:
        """Until the world stops playing."""
        await self.launch()
        while self.world.playing and not self.quits:
            connection = await self.connect()
            self._let_go()
            if connection is None:
                await trio.sleep(self.rng.uniform(0.3, 4))
                continue
            try:
                await self._use(connection)
            finally:
                if self.left is not connection:
                    connection.cut()
            self.quits = self.rng.random() < 0.1
        while self.stays and not self.quits and not self.world.over:
            connection = await self.connect()
            if connection is not None:
                await connection.wait("session_ended", timeout_s=60)
                connection.cut()
            await trio.sleep(3)

    async def connect(self) -> Connection | None:
        lives = [life for life in self.world.lives if life.serves]
        others = [life for life in lives if self.left is not None and life is not self.left.life]
        if not lives:
            return None
        aimed_at = [life for life in lives if life.name == self.aims_at]
        connection = Connection(self, self.rng.choice(aimed_at or others or lives))
        await self._say_hello(connection)
        if connection.door is None:
            await self._read_refusal(connection)
            connection.cut()
            return None
        return connection

    async def _say_hello(self, connection: Connection) -> None:
        connection.life.connections[connection] = None
        hello = json.dumps({"type": "hello", "session": self.token}).encode()
        patience_s = self.rng.uniform(0, 0.4) if self.rng.random() < 0.25 else self.rng.choice(ENTER_S)
        with connection.entering, trio.move_on_after(patience_s):
            try:
                connection.door = await connection.life.node.lobby.enter(hello, connection)
            except* InjectedError:  # the edge contains it, and ends the socket
                connection.close()

    def _hop(self, connection: Connection) -> None:
        """Go to another node, if there is one, and leave this socket open until that has answered."""
        self.world.faults.count("hop")
        self.hops_next = False
        self.left = connection

    def _let_go(self) -> None:
        if self.left is not None:
            self.left.cut()
            self.left = None

    async def _read_refusal(self, connection: Connection) -> None:
        for frame in connection.frames:
            is_over = frame["type"] == "session_ended" and frame["reason"] == "expired"
            if is_over or (frame["type"] == "error" and frame["code"] == "unauthorized"):
                await self.launch()

    async def _use(self, connection: Connection) -> None:
        welcome = await connection.wait("welcome", "session_ended", timeout_s=ANSWER_S)
        if welcome is None or welcome["type"] == "session_ended":
            return
        if welcome["round"] is not None:
            await self._fly(connection, welcome["round"]["round_id"])
        while self.world.playing and not connection.closed and self.left is None:
            await trio.sleep(self.rng.expovariate(1 / self.patience_s))
            dice = self.rng.random()
            if self.hops_next:
                self._hop(connection)
            elif dice < 0.82:
                await self._bet(connection)
            elif dice < 0.88:
                connection.say("client_seed", value=f"seed-{self.rng.randrange(1000)}")
            elif dice < 0.91:
                connection.say("history", limit=5)
            elif dice < 0.93:
                self._hop(connection)
            elif dice < 0.95:
                connection.stalled = True
                await trio.sleep(self.rng.uniform(1, 20))
                connection.stalled = False
            else:
                return

    async def _bet(self, connection: Connection) -> None:
        self.bets += 1
        fields: dict = {"id": f"bet-{self.bets}", "amount_minor": self.rng.choice((10, 100, 100, 1_000, 20_000))}
        auto = self.rng.random() < 0.5
        if auto:
            fields["auto_cashout"] = self.rng.choice((1.01, 1.2, 1.5, 2, 3, 10))
        if self.rng.random() < 0.1:
            fields["client_seed"] = f"own-{self.rng.randrange(1000)}"
        connection.frames.clear()
        connection.say("bet", **fields)
        if self.rng.random() < 0.15:
            await self._change_mind(connection)
        if self.rng.random() < 0.04:
            return
        if self.rng.random() < 0.06:
            await trio.sleep(self.rng.choice((0, 0.01, 0.1, 1)))
            self._hop(connection)
            return
        answer = await connection.wait("bet_pending", "error", timeout_s=PATIENCE_S)
        if answer is None:
            connection.cut()
        if answer is None or answer["type"] == "error":
            return
        if self.rng.random() < 0.15:
            await trio.sleep(self.rng.choice((0, 0.5, 1, 2)))
            connection.say("cashout", round_id=answer["round_id"])
            if self.rng.random() < 0.5:
                self._hop(connection)
                return
        answer = await connection.wait("round_started", "round_ended", timeout_s=ANSWER_S)
        if answer is not None and answer["type"] == "round_started":
            await self._fly(connection, answer["round_id"])

    async def _change_mind(self, connection: Connection) -> None:
        """Another client seed while the bet is placed: some time later, or some steps of the server's tasks."""
        if self.rng.random() < 0.3:
            await trio.sleep(self.rng.choice((0.01, 0.05, 0.2)))
        for _ in range(self.rng.randrange(12)):
            await trio.lowlevel.checkpoint()
        connection.say("client_seed", value=f"late-{self.rng.randrange(1000)}")

    async def _fly(self, connection: Connection, round_id: str) -> None:
        if round_id not in self.played:
            self.played.append(round_id)
        if len(self.played) > 1 and self.rng.random() < 0.15:
            # A click that comes late: it names a round that is over.
            await trio.sleep(self.rng.choice((0, 0.2, 2)))
            connection.say("cashout", round_id=self.rng.choice(self.played[:-1]))
        dice = self.rng.random()
        if dice < 0.12:
            await trio.sleep(self.rng.uniform(0, 3))
            connection.cut()
            return
        if self.rng.random() < 0.2:
            await trio.sleep(self.rng.choice((0, 0.1, 1, 4)))
            if self.rng.random() < 0.5:
                await self._cash_out_while_it_moves(connection, round_id)
            self._hop(connection)
            return
        if dice < 0.25:
            await self._cash_out_at_the_end(connection, UUID(round_id))
        elif dice < 0.6:
            wait_s = self.rng.expovariate(1 / 5)
            if await connection.wait("round_ended", timeout_s=wait_s) is not None:
                return
            connection.say("cashout", round_id=round_id)
            if self.rng.random() < 0.2:
                connection.say("cashout", round_id=round_id)
        await connection.wait("round_ended", timeout_s=FLIGHT_S)

    async def _cash_out_while_it_moves(self, connection: Connection, round_id: str) -> None:
        """The other node has asked for the session, and the cash-out is received while it is being let go."""
        asked_at = trio.current_time()
        if self.rng.random() < 0.5:
            self.world.nursery.start_soon(self._visit, connection)
            await trio.sleep(self.rng.choice((0.0, 0.05, 0.15, 0.2)))
        self.world.trace.mark(f"{self.name} cashes out {trio.current_time() - asked_at:.2f} s later")
        connection.say("cashout", round_id=round_id)

    async def _visit(self, first: Connection) -> None:
        """A second socket, at another node; it replaces the first one."""
        others = [life for life in self.world.lives if life.serves and life is not first.life]
        if others:
            second = Connection(self, self.rng.choice(others))
            await self._say_hello(second)
            await second.wait("session_ended", timeout_s=self.rng.uniform(0, 5))
            second.cut()

    async def _cash_out_at_the_end(self, connection: Connection, round_id: UUID) -> None:
        """Within a millisecond of the flight's end, which only a simulation can know."""
        stored = self.world.ledger.rounds.get(round_id)
        if stored is None or stored.live.started_at_ms is None:
            return
        flight, early_ms = connection.life.flight_of(stored.live), self.rng.choice((1, 0, 0, 0))
        if flight is None:
            return
        with trio.move_on_after(FLIGHT_S):
            await trio.sleep_until(connection.life.clock.trio_time(flight.ends_at_ms - early_ms))
            connection.say("cashout", round_id=str(round_id))
