"""The facts that actors and adapters exchange: operators, sessions, rounds and wallet calls.

Times are unix milliseconds by the server's clock, money is minor units, multipliers are hundredths, shares and
returns are hundredths of a percent (``_bps``). Secrets and seeds have ``repr=False``: a record may be logged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from actors.rules.fairness import Outcome
from actors.rules.growth import GrowthCurve
from actors.rules.limits import BetLimits
from actors.rules.settlement import FlightPlan, Result


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that may write a session or a live round: a node's name and the epoch of its present life."""

    node: str
    epoch: int


class OperatorStatus(StrEnum):
    """A suspended operator launches nothing and its players place no more bets."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A licensed casino as provisioned. ``bet_limits`` has exactly the allowed currencies as its keys, overrides
    of the configured defaults as its values (``None`` where the operator has none of its own)."""

    operator_id: UUID
    name: str
    api_key: str = field(repr=False)
    hmac_secret: str = field(repr=False)
    wallet_callback_url: str
    rtp_bps: int
    max_win_multiplier: int
    rev_share_bps: int
    status: OperatorStatus
    bet_limits: Mapping[str, BetLimits | None]
    allow_cidrs: tuple[str, ...]
    frame_origins: tuple[str, ...]


class RoundStatus(StrEnum):
    """``betting -> flying -> settled``, or ``betting -> void``, or ``flying -> refunded``."""

    BETTING = "betting"
    FLYING = "flying"
    SETTLED = "settled"
    VOID = "void"
    REFUNDED = "refunded"


class CallKind(StrEnum):
    BET = "bet"
    WIN = "win"
    REFUND = "refund"


class CallStatus(StrEnum):
    """``unknown``: a bet whose fate was never learned. ``parked``: given up after the retry period, for a person."""

    PENDING = "pending"
    ACKNOWLEDGED = "acknowledged"
    DECLINED = "declined"
    UNKNOWN = "unknown"
    PARKED = "parked"


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletCall:
    """A signed callback whose body is frozen: the same ``operator_tx_id`` always carries the same bytes.

    ``position`` orders a session's calls (2 * nonce for a bet, one more for its win or refund). ``refused_since_ms`` is
    the first of the plain refusals that were its last answers; ``None`` if it was not refused last.
    """

    operator_id: UUID
    session_id: UUID
    round_id: UUID
    operator_tx_id: str
    kind: CallKind
    amount_minor: int
    body: bytes
    position: int
    attempts: int = 0
    created_at_ms: int
    next_attempt_at_ms: int
    refused_since_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Commitment:
    """The next round's promise: the hash is shown before the bet, the seed only after the round."""

    server_seed: str = field(repr=False)
    server_seed_hash: str
    client_seed: str
    nonce: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTerms:
    """What a round is played under, stored as it was at the start: later changes never rewrite history."""

    rtp_bps: int
    max_win_multiplier: int
    rev_share_bps: int
    max_payout_minor: int
    growth_rate_per_ms: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRound:
    """A round in ``betting`` or ``flying``, its seed included: for its own actor and for recovery only."""

    operator_id: UUID
    session_id: UUID
    round_id: UUID
    operator_player_id: str
    currency: str
    amount_minor: int
    auto_cashout_hundredths: int | None
    commitment: Commitment
    terms: RoundTerms
    status: RoundStatus
    created_at_ms: int
    started_at_ms: int | None
    outcome: Outcome = field(repr=False)
    interrupted_at_ms: int | None = None
    """The last sign of life of the node that played it, once another has taken it over (unix ms)."""

    def plan(self) -> FlightPlan:
        """The flight that this round's terms and seeds fix."""
        return FlightPlan(
            curve=GrowthCurve(self.terms.growth_rate_per_ms),
            amount_minor=self.amount_minor,
            crash_hundredths=self.outcome.crash_hundredths,
            auto_cashout_hundredths=self.auto_cashout_hundredths,
            max_win_multiplier=self.terms.max_win_multiplier,
            max_payout_minor=self.terms.max_payout_minor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRound:
    """A round after its end, revealed: a line of a player's history."""

    round_id: UUID
    session_id: UUID
    status: RoundStatus
    result: Result | None = None
    reason: str | None = None
    currency: str
    amount_minor: int
    auto_cashout_hundredths: int | None
    realized_hundredths: int = 0
    payout_minor: int = 0
    server_seed: str
    server_seed_hash: str
    client_seed: str
    nonce: int
    rtp_bps: int
    max_win_multiplier: int
    outcome: Outcome
    started_at_ms: int | None
    settled_at_ms: int


@dataclass(frozen=True, slots=True)
class SessionTotals:
    """What a session's settled rounds come to, in minor units; void and refunded rounds never count.

    ``last_nonce`` is that of the newest round that counts.
    """

    rounds: int = 0
    staked_minor: int = 0
    paid_minor: int = 0
    last_nonce: int = 0

    def after(self, finished: FinishedRound) -> "SessionTotals":
        """With a round of the session that has just ended. What is read from the ledger may have it already: the
        rounds of a session end in the order of their nonces."""
        if finished.status is not RoundStatus.SETTLED or finished.nonce <= self.last_nonce:
            return self
        return SessionTotals(
            self.rounds + 1,
            self.staked_minor + finished.amount_minor,
            self.paid_minor + finished.payout_minor,
            finished.nonce,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOptions:
    """What an operator asks of the player's page at the launch; ``None`` where it says nothing.

    ``lang`` is a BCP 47 tag, ``lobby_url`` an absolute URL.
    """

    lang: str | None = None
    reality_check_minutes: int | None = None
    lobby_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """A stored session.

    ``balance_minor`` is what the wallet said last; ``balance_is_known`` whether it has confirmed nothing since.
    """

    operator_id: UUID
    session_id: UUID
    operator_player_id: str
    currency: str
    balance_minor: int
    created_at_ms: int
    expires_at_ms: int
    next: Commitment
    balance_is_known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxCount:
    """An operator's wins and refunds in the outbox: how many are pending, since when (unix ms), how many parked.

    ``refused`` of those pending were refused plainly when they were sent last.
    """

    operator_id: UUID
    pending: int
    oldest_created_at_ms: int | None
    parked: int
    refused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSession:
    """Everything a session actor needs to start: one read, after the session's ownership was taken."""

    session: SessionRecord
    live_round: LiveRound | None
    outbox: tuple[WalletCall, ...]
    owns_round: bool = False
    """Whether the live round, too, belongs to whoever opened the session."""
    totals: SessionTotals = SessionTotals()
    discarded: Commitment | None = None
    """The promise that an earlier opening left and nobody will play; ``None`` if there was no earlier opening, or if
    what is stored of it can't be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundKey:
    """Which round, of which session."""

    operator_id: UUID
    session_id: UUID
    round_id: UUID
    token_digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """A session of one living node that another, ``asker``, wants; or that ``asker`` was given and has not taken up."""

    operator_id: UUID
    session_id: UUID
    token_digest: bytes = field(repr=False)
    asker: Owner
    asked_at_ms: int
