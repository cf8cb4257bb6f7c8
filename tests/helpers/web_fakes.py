"""What stands behind the web application in its tests: everything in memory, with switches for trouble."""

import logging
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import trio

from actors.facts.records import Operator, OperatorStatus
from actors.facts.transitions import CreateSession, Launched, Rejected
from actors.ports.ledger import LedgerUnavailableError
from actors.rules.limits import BetLimits
from server.metrics.metrics import Metrics
from server.ports.reports import NotOursError
from server.ports.session_frames import SessionFrame
from server.web.services import WebServices, WebSettings

NOW_S = 1_782_864_000
PAGE = '<!doctype html><title>Play</title><script type="application/json" id="launch">{}</script>'
"""The least that can be the player's page."""
LIMITS = BetLimits(min_bet_minor=10, max_bet_minor=10_000, bet_step_minor=10, max_payout_minor=10_000_000)


def make_operator(number=1, **changes):
    fields = {
        "operator_id": UUID(int=number),
        "name": f"Casino {number}",
        "api_key": f"key-{number}-0123456789abcdef",
        "hmac_secret": f"secret-{number}-0123456789abcdef",
        "wallet_callback_url": "https://wallet.test/callbacks",
        "rtp_bps": 9600,
        "max_win_multiplier": 2000,
        "rev_share_bps": 1500,
        "status": OperatorStatus.ACTIVE,
        "bet_limits": {"USD": None, "EUR": LIMITS},
        "allow_cidrs": (),
        "frame_origins": ("https://casino.test", "https://*.casino.test"),
    }
    return Operator(**(fields | changes))


@dataclass
class FrozenClock:
    """``ms`` is the machine's time; the other clocks are so far ahead of it."""

    ms: int = NOW_S * 1000
    house_ahead_ms: int = 0
    steady_ahead_ms: int = 0

    def now_ms(self):
        return self.ms + self.house_ahead_ms

    def wall_ms(self):
        return self.ms

    def steady_ms(self):
        return self.ms + self.steady_ahead_ms


@dataclass
class FakeOperators:
    operators: dict[UUID, Operator] = field(default_factory=dict)
    is_fresh: bool = True

    def add(self, operator):
        self.operators[operator.operator_id] = operator
        return operator

    def find(self, operator_id):
        return self.operators.get(operator_id)


@dataclass
class FakeLedger:
    """Remembers launches by their signature's digest, as the ledger does."""

    transitions: list[CreateSession] = field(default_factory=list)
    launches: dict[tuple[UUID, bytes], CreateSession] = field(default_factory=dict)
    frames: dict[bytes, SessionFrame] = field(default_factory=dict)
    unavailable: bool = False
    rejects: bool = False
    is_broken: bool = False
    gate: trio.Event | None = None

    async def commit(self, transition):
        if self.gate is not None:
            await self.gate.wait()
        await trio.lowlevel.checkpoint()
        if self.is_broken:
            raise ZeroDivisionError("the text of an error")
        if self.unavailable:
            raise LedgerUnavailableError
        self.transitions.append(transition)
        if self.rejects:
            return Rejected()
        key = transition.operator_id, transition.signature_digest
        first = self.launches.setdefault(key, transition)
        if first is transition:
            self.frames[first.token_digest] = SessionFrame(first.operator_id, first.expires_at_ms, first.page)
        return Launched(first.session_id, first.expires_at_ms, first.sealed_token, replayed=first is not transition)

    async def session_frame(self, token_digest):
        if self.gate is not None:
            await self.gate.wait()
        await trio.lowlevel.checkpoint()
        if self.unavailable:
            raise LedgerUnavailableError
        return self.frames.get(token_digest)


@dataclass
class FakeReports:
    rounds: dict[tuple[UUID, UUID], object] = field(default_factory=dict)
    rows: list[object] = field(default_factory=list)
    asked: list[tuple[object, ...]] = field(default_factory=list)
    unavailable: bool = False
    not_ours: bool = False
    gate: trio.Event | None = None

    async def round_report(self, operator_id, round_id):
        if self.gate is not None:
            await self.gate.wait()
        await trio.lowlevel.checkpoint()
        if self.unavailable:
            raise LedgerUnavailableError
        if self.not_ours:
            raise NotOursError
        return self.rounds.get((operator_id, round_id))

    async def find_round(self, round_id):
        raise NotImplementedError

    async def revenue(self, operator_id, first_day, last_day):
        await trio.lowlevel.checkpoint()
        if self.unavailable:
            raise LedgerUnavailableError
        self.asked.append((operator_id, first_day, last_day))
        return self.rows


@dataclass
class CountingEntropy:
    """Different values at every call, the same ones in every run."""

    calls: int = 0

    def _next(self):
        self.calls += 1
        return self.calls

    def server_seed(self):
        return f"{self._next():064x}"

    def client_seed(self):
        return f"{self._next():016d}"

    def identifier(self):
        return uuid.UUID(int=self._next(), version=4)

    def token(self):
        return f"tok_{self._next():039d}"

    def fraction(self):
        return 0.5


@dataclass
class FakeLimits:
    def limits_for(self, operator, currency):
        configured = None if currency == "JPY" else LIMITS
        return operator.bet_limits[currency] or configured


@dataclass
class Switches:
    draining: bool = False
    ready: bool = True


class LogCapture(logging.Handler):
    """Each event with its level and fields."""

    def __init__(self):
        super().__init__()
        self.entries = []

    def emit(self, record):
        known = vars(logging.makeLogRecord({}))
        fields = {name: value for name, value in vars(record).items() if name not in known}
        self.entries.append({"event": record.getMessage(), "log_level": record.levelname.lower(), **fields})


@dataclass
class WebWorld:
    """Everything behind one web application."""

    static_dir: Path
    clock: FrozenClock = field(default_factory=FrozenClock)
    operators: FakeOperators = field(default_factory=FakeOperators)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    reports: FakeReports = field(default_factory=FakeReports)
    entropy: CountingEntropy = field(default_factory=CountingEntropy)
    metrics: Metrics = field(default_factory=Metrics)
    switches: Switches = field(default_factory=Switches)
    logged: LogCapture = field(default_factory=LogCapture)

    def services(self, **settings):
        chosen = {"public_url": "https://game.test", "static_dir": self.static_dir, "discard_timeout_ms": 200}
        log = logging.Logger("getaway.web")
        log.addHandler(self.logged)
        return WebServices(
            ledger=self.ledger,
            operators=self.operators,
            sessions=self.ledger,
            reports=self.reports,
            limits=FakeLimits(),
            entropy=self.entropy,
            clock=self.clock,
            metrics=self.metrics.web,
            log=log,
            settings=WebSettings(**(chosen | settings)),
            is_draining=lambda: self.switches.draining,
            is_ready=lambda: self.switches.ready,
        )

    def count(self, name, **labels):
        return self.metrics.registry.get_sample_value(name, labels) or 0
