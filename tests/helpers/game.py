"""A node on the twins: scripted wallets, chosen crash points, and a player who keeps what it was shown."""

import hashlib
import json
from collections import deque
from contextlib import asynccontextmanager
from uuid import UUID

import trio
import trio.testing

from actors.facts.records import CallKind, Operator, OperatorStatus
from actors.facts.transitions import CreateSession, Launched
from actors.kit.clock import ServerClock
from actors.node import Ports, open_node
from actors.rules import fairness
from actors.rules.limits import BetLimits
from actors.shared.game_settings import GameSettings
from tests.helpers.memory_ledger import MemoryLedger
from tests.helpers.scripted_wallet import ScriptedWallet
from tests.helpers.stores import stores_of

NOON_MS = 1_782_864_000_000
LIMITS = BetLimits(min_bet_minor=10, max_bet_minor=100_000, bet_step_minor=10, max_payout_minor=10_000_000)
CLIENT_SEED = "player"
OPERATOR_ID = UUID(int=7)


def operator(**changes) -> Operator:
    fields = {
        "operator_id": OPERATOR_ID,
        "name": "Casino",
        "api_key": "key",
        "hmac_secret": "secret",
        "wallet_callback_url": "https://wallet.example",
        "rtp_bps": 9_600,
        "max_win_multiplier": 2_000,
        "rev_share_bps": 1_500,
        "status": OperatorStatus.ACTIVE,
        "bet_limits": {"USD": None},
        "allow_cidrs": (),
        "frame_origins": ("https://casino.example",),
    }
    return Operator(**(fields | changes))


def seed_that_crashes_at(hundredths: int, nonce: int, client_seed: str = CLIENT_SEED) -> str:
    """A server seed whose round crashes at exactly ``hundredths`` (1.00x to about 5x: found by search)."""
    for attempt in range(200_000):
        seed = hashlib.sha256(f"{hundredths}:{nonce}:{attempt}".encode()).hexdigest()
        if fairness.outcome(seed, client_seed, nonce, 9_600, 2_000).crash_hundredths == hundredths:
            return seed
    raise AssertionError("no such seed was found")


class ScriptedEntropy:
    """Counts instead of drawing; server seeds come from ``seeds`` first."""

    def __init__(self) -> None:
        self.seeds: deque[str] = deque()
        self._count = 0

    def _next(self) -> int:
        self._count += 1
        return self._count

    def server_seed(self) -> str:
        return self.seeds.popleft() if self.seeds else hashlib.sha256(f"seed {self._next()}".encode()).hexdigest()

    def client_seed(self) -> str:
        return CLIENT_SEED

    def identifier(self) -> UUID:
        return UUID(int=self._next(), version=4)

    def token(self) -> str:
        return f"token-{self._next()}"

    def fraction(self) -> float:
        return 0.5


class CountingObserver:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.overflows: list[str] = []
        self.ends: list[tuple[str, str | None]] = []
        self.groups: list[int] = []
        self.breakers: list[bool] = []
        self.retries = 0
        self.wallet_calls: list[tuple[str, str, float]] = []
        self.last_counts = []
        self.clock_steps: list[tuple[str, int]] = []
        self.clock_difference_ms = 0.0

    def ledger_group(self, size: int, duration_s: float) -> None:
        self.groups.append(size)

    def round_ended(self, status: str, result: str | None) -> None:
        self.ends.append((status, result))

    def breaker(self, operator_id: UUID, *, is_open: bool) -> None:
        self.breakers.append(is_open)

    def wallet_retry(self, operator_id: UUID) -> None:
        self.retries += 1

    def outbox(self, counts, now_ms: int) -> None:
        self.last_counts = list(counts)

    def history_cut(self, *, is_cut: bool) -> None:
        self.is_cut = is_cut

    def clock_stepped(self, clock: str, step_ms: int) -> None:
        self.clock_steps.append((clock, step_ms))

    def clock_differs(self, difference_ms: float) -> None:
        self.clock_difference_ms = difference_ms

    def wallet_call(self, kind: CallKind, outcome: str, duration_s: float) -> None:
        self.wallet_calls.append((kind.value, outcome, duration_s))

    def mailbox_overflow(self, actor: str) -> None:
        self.overflows.append(actor)

    def actor_failed(self, actor: str) -> None:
        self.failures.append(actor)


def patience_s() -> float:
    """How long a player waits for what must come. A clock that jumps gets there at once."""
    return 600 if isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock) else 20


class Player:
    """A player's socket: keeps frames and ticks, and can wait for a frame of a type."""

    def __init__(self, clock: ServerClock) -> None:
        self._clock = clock
        self.frames: list[dict] = []
        self.ticks: list[tuple[int, dict]] = []
        self.closed = False
        self.door = None
        self._read = 0
        self._news = trio.Event()

    def send(self, *frames: bytes) -> None:
        assert not self.closed, "nothing is sent after the close"
        self.frames += map(json.loads, frames)
        self._wake()

    write = changed = None
    is_behind = False

    @property
    def outlet(self) -> "Player":
        return self

    def offer_tick(self, number: int, frame: bytes, sent: int = 0) -> None:
        assert not self.closed, "no tick is offered after the close"
        self.ticks.append((number, json.loads(frame)))

    def close(self) -> None:
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = trio.Event()

    def say(self, frame_type: str, **fields) -> None:
        self.door.deliver(json.dumps({"type": frame_type, **fields}).encode(), self._clock.steady_ms())

    async def until(self, frame_type: str) -> dict:
        """The next unread frame of this type; the ones before it count as read."""
        with trio.fail_after(patience_s()):
            while True:
                while self._read < len(self.frames):
                    frame = self.frames[self._read]
                    self._read += 1
                    if frame["type"] == frame_type:
                        return frame
                assert not self.closed, f"closed before {frame_type}: {self.frames[-3:]}"
                await self._news.wait()

    async def until_closed(self) -> None:
        with trio.fail_after(patience_s()):
            while not self.closed:
                await self._news.wait()

    @property
    def unread(self) -> list[dict]:
        return self.frames[self._read :]


class Game:
    """A running node and its surroundings."""

    def __init__(self, clock, node, ledger, wallet, entropy, observer) -> None:
        self.clock = clock
        self.node = node
        self.ledger = ledger
        self.wallet = wallet
        self.entropy = entropy
        self.observer = observer

    async def launch(
        self, *crashes: int, balance_minor: int = 10_000, ttl_s: int = 3_600, operator_id: UUID = OPERATOR_ID
    ) -> str:
        """A session's token. Its n-th round crashes at the n-th of ``crashes`` (hundredths), if it is opened once: each
        opening draws a seed, as each bet does."""
        for nonce, hundredths in enumerate(crashes, start=1):
            self.entropy.seeds.append(seed_that_crashes_at(hundredths, nonce))
        token, now_ms = self.entropy.token(), self.clock.now_ms()
        answer = await self.node.services.ledger.commit(
            CreateSession(
                operator_id=operator_id,
                session_id=self.entropy.identifier(),
                operator_player_id="player-42",
                currency="USD",
                balance_minor=balance_minor,
                token_digest=hashlib.sha256(token.encode()).digest(),
                created_at_ms=now_ms,
                expires_at_ms=now_ms + ttl_s * 1000,
                client_seed=CLIENT_SEED,
                server_seed=hashlib.sha256(f"launch {token}".encode()).hexdigest(),
                signature_digest=hashlib.sha256(b"signature" + token.encode()).digest(),
                sealed_token=token.encode(),
                replay_until_ms=now_ms + 600_000,
            )
        )
        assert isinstance(answer, Launched)
        return token

    async def enter(self, token: str, frame_id: str | None = None) -> Player:
        """A player who has said hello."""
        player = Player(self.clock)
        hello = {"type": "hello", "session": token} | ({} if frame_id is None else {"id": frame_id})
        player.door = await self.node.lobby.enter(json.dumps(hello).encode(), player)
        return player

    async def play(self, *crashes: int, **launch) -> Player:
        """A player in a new session, welcomed."""
        player = await self.enter(await self.launch(*crashes, **launch))
        await player.until("welcome")
        return player


@asynccontextmanager
async def open_game(
    *,
    settings=None,
    ledger=None,
    balance_minor: int = 10_000,
    name: str = "node-a",
    clock=None,
    beside=None,
    framed=bytes,
    **operator_fields,
):
    """A node on the twins. The clock starts at noon and jumps over waits. ``beside``: a game whose world it shares.
    ``framed``: for sockets instead of the twins' sinks, which take ticks as they are."""
    if beside is not None:
        ledger, clock = beside.ledger, beside.clock
    ledger = ledger or MemoryLedger()
    clock = clock or ServerClock(ledger.now_ms())
    if not ledger.operators:
        ledger.operators.append(operator(**operator_fields))
    wallet, entropy, observer = ScriptedWallet(balance_minor), ScriptedEntropy(), CountingObserver()
    if beside is not None:
        wallet, entropy = beside.wallet, beside.entropy
    ports = Ports(
        stores=stores_of(ledger), operators=ledger, gateway=wallet, entropy=entropy, observer=observer, framed=framed
    )
    async with open_node(name, settings or GameSettings(bet_limits={"USD": LIMITS}), clock, ports) as node:
        yield Game(clock, node, ledger, wallet, entropy, observer)
