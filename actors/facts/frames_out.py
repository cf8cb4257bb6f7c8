"""Player protocol 1, what players are sent: each frame is a type, whose fields stand in the text as they stand here.

``docs/protocol.md`` describes them for those who write clients; ``frames_in`` has what players send.
"""

from typing import Any, Self
from uuid import UUID

from msgspec import Struct

from actors.facts.frames_in import PingIn
from actors.facts.records import Commitment, FinishedRound, LiveRound, RoundStatus, SessionRecord, SessionTotals
from actors.rules.compact_json import compact_json
from actors.rules.limits import CASHOUT_HUNDREDTHS_MIN, BetLimits
from actors.rules.money import multiplier_number
from actors.rules.settlement import Result

PROTOCOL_VERSION = 1


class Frame(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``id`` is there if the frame answers one that had an id."""

    id: str | None = None


# Parts of frames.


class Promise(Struct, frozen=True, kw_only=True):
    """The next round's promise: never its seed."""

    server_seed_hash: str
    client_seed: str
    nonce: int

    @classmethod
    def of(cls, commitment: Commitment) -> Self:
        """What may be shown of it before the round."""
        return cls(
            server_seed_hash=commitment.server_seed_hash, client_seed=commitment.client_seed, nonce=commitment.nonce
        )


class DiscardedPromise(Struct, frozen=True, kw_only=True):
    """A promise that will never be played, revealed: whoever saw its hash can check that it was one."""

    server_seed: str
    server_seed_hash: str
    nonce: int

    @classmethod
    def of(cls, commitment: Commitment) -> Self:
        """All of it, its seed too."""
        return cls(
            server_seed=commitment.server_seed, server_seed_hash=commitment.server_seed_hash, nonce=commitment.nonce
        )


class Limits(Struct, frozen=True, kw_only=True):
    """The limits that the player bets under."""

    min_bet_minor: int
    max_bet_minor: int
    bet_step_minor: int
    max_payout_minor: int
    min_cashout: int | float
    max_win_multiplier: int

    @classmethod
    def of(cls, limits: BetLimits, max_win_multiplier: int) -> Self:
        """A session's limits in its currency."""
        return cls(
            min_bet_minor=limits.min_bet_minor,
            max_bet_minor=limits.max_bet_minor,
            bet_step_minor=limits.bet_step_minor,
            max_payout_minor=limits.max_payout_minor,
            min_cashout=multiplier_number(CASHOUT_HUNDREDTHS_MIN),
            max_win_multiplier=max_win_multiplier,
        )


class Growth(Struct, frozen=True, kw_only=True):
    """The curve that every flight follows."""

    rate_per_ms: float


class Totals(Struct, frozen=True, kw_only=True):
    """What the player has staked and been paid since the session was launched (``started_at``, unix ms)."""

    started_at: int
    rounds: int
    staked_minor: int
    paid_minor: int

    @classmethod
    def of(cls, session: SessionRecord, totals: SessionTotals) -> Self:
        return cls(
            started_at=session.created_at_ms,
            rounds=totals.rounds,
            staked_minor=totals.staked_minor,
            paid_minor=totals.paid_minor,
        )


class FlyingRound(Frame, frozen=True, kw_only=True):
    """A flying round as the player may see it: map and loot travel at the start, the guards only after the end."""

    round_id: UUID
    amount_minor: int
    auto_cashout: int | float | None
    balance_minor: int
    started_at: int
    server_seed_hash: str
    client_seed: str
    nonce: int
    map_seed: str
    loot_seed: str

    @classmethod
    def of(cls, live: LiveRound, balance_minor: int, frame_id: str | None = None) -> Self:
        """``balance_minor`` is what the wallet said when it took the stake."""
        assert live.started_at_ms is not None
        return cls(
            id=frame_id,
            round_id=live.round_id,
            amount_minor=live.amount_minor,
            auto_cashout=_multiplier(live.auto_cashout_hundredths),
            balance_minor=balance_minor,
            started_at=live.started_at_ms,
            server_seed_hash=live.commitment.server_seed_hash,
            client_seed=live.commitment.client_seed,
            nonce=live.commitment.nonce,
            map_seed=live.outcome.map_seed,
            loot_seed=live.outcome.loot_seed,
        )


class PastRound(Frame, frozen=True, kw_only=True):
    """A finished round, revealed: everything that anybody needs to check it."""

    round_id: UUID
    status: RoundStatus
    result: Result | None
    reason: str | None
    amount_minor: int
    currency: str
    auto_cashout: int | float | None
    realized_multiplier: int | float
    payout_minor: int
    crash_point: int | float
    server_seed: str
    server_seed_hash: str
    client_seed: str
    nonce: int
    rtp_target: int | float
    max_win_multiplier: int
    map_seed: str
    loot_seed: str
    guard_seed: str
    started_at: int | None
    settled_at: int

    @classmethod
    def of(cls, finished: FinishedRound, **more: Any) -> Self:
        """``more``: what a kind of frame has besides."""
        return cls(
            round_id=finished.round_id,
            status=finished.status,
            result=finished.result,
            reason=finished.reason,
            amount_minor=finished.amount_minor,
            currency=finished.currency,
            auto_cashout=_multiplier(finished.auto_cashout_hundredths),
            realized_multiplier=multiplier_number(finished.realized_hundredths),
            payout_minor=finished.payout_minor,
            crash_point=multiplier_number(finished.outcome.crash_hundredths),
            server_seed=finished.server_seed,
            server_seed_hash=finished.server_seed_hash,
            client_seed=finished.client_seed,
            nonce=finished.nonce,
            rtp_target=multiplier_number(finished.rtp_bps),
            max_win_multiplier=finished.max_win_multiplier,
            map_seed=finished.outcome.map_seed,
            loot_seed=finished.outcome.loot_seed,
            guard_seed=finished.outcome.guard_seed,
            started_at=finished.started_at_ms,
            settled_at=finished.settled_at_ms,
            **more,
        )


def _multiplier(hundredths: int | None) -> int | float | None:
    return None if hundredths is None else multiplier_number(hundredths)


# The frames.


class WelcomeOut(Frame, tag="welcome", frozen=True, kw_only=True):
    """Answers ``hello``: all that a page needs to show the truth. Without ``discarded`` or ``history`` the frame has
    no such field."""

    protocol: int
    session_id: UUID
    player: str
    currency: str
    balance_minor: int
    pending_minor: int
    limits: Limits
    rtp_target: int | float
    growth: Growth
    tick_ms: int
    next: Promise
    discarded: DiscardedPromise | None = None
    round: FlyingRound | None
    history: list[PastRound] | None = None
    totals: Totals
    server_time: int
    expires_at: int


class WaitOut(Frame, tag="wait", frozen=True, kw_only=True):
    """Answers a hello that is not forgotten: the welcome, or another of these, comes within ``ms``."""

    ms: int


class BetPendingOut(Frame, tag="bet_pending", frozen=True, kw_only=True):
    """The operator's wallet has been asked."""

    round_id: UUID
    amount_minor: int


class RoundStartedOut(FlyingRound, tag="round_started", frozen=True, kw_only=True):
    """The operator took the stake."""


class TickOut(Frame, tag="tick", frozen=True, kw_only=True):
    """``x`` is the multiplier ``e`` ms after the start: the same bytes in every round."""

    e: int
    x: int | float


class RoundEndedOut(PastRound, tag="round_ended", frozen=True, kw_only=True):
    """A round that has just ended, and what is so from now on: it is among ``totals`` if it counts."""

    balance_minor: int
    next: Promise
    totals: Totals
    pending_minor: int

    @classmethod
    def after(
        cls,
        finished: FinishedRound,
        frame_id: str | None,
        *,
        balance_minor: int,
        promised: Commitment,
        totals: Totals,
        pending_minor: int,
    ) -> Self:
        """``promised`` is for the round that comes."""
        return cls.of(
            finished,
            id=frame_id,
            balance_minor=balance_minor,
            next=Promise.of(promised),
            totals=totals,
            pending_minor=pending_minor,
        )


class BalanceOut(Frame, tag="balance", frozen=True, kw_only=True):
    """``pending_minor``: of wins and refunds that the operator has not acknowledged yet."""

    balance_minor: int
    pending_minor: int


class ClientSeedOut(Frame, tag="client_seed", frozen=True, kw_only=True):
    """The client seed is stored, and part of what is promised."""

    next: Promise


class HistoryOut(Frame, tag="history", frozen=True, kw_only=True):
    """A page of finished rounds, newest first; ``more``: there are older ones."""

    rounds: list[PastRound]
    more: bool


class PongOut(Frame, tag="pong", frozen=True, kw_only=True):
    t: int | float
    server_time: int

    @classmethod
    def to(cls, ping: PingIn, server_time_ms: int) -> Self:
        """``t`` goes back as it came."""
        t = ping.t if isinstance(ping.t, int) else float(ping.t)
        return cls(id=ping.frame_id, t=t, server_time=server_time_ms)


class ErrorOut(Frame, tag="error", frozen=True, kw_only=True):
    """What went wrong, for a program (``code``) and for a person (``message``)."""

    code: str
    message: str


class SessionEndedOut(Frame, tag="session_ended", frozen=True, kw_only=True):
    """The last frame of a socket. ``reason``: ``expired``, ``replaced``, ``operator_suspended`` or ``shutdown``."""

    reason: str


ClientOut = (
    WelcomeOut
    | WaitOut
    | BetPendingOut
    | RoundStartedOut
    | TickOut
    | RoundEndedOut
    | BalanceOut
    | ClientSeedOut
    | HistoryOut
    | PongOut
    | ErrorOut
    | SessionEndedOut
)


def encode(frame: ClientOut) -> bytes:
    """The frame as compact JSON."""
    return compact_json(frame)
