"""The three ends of a round, each as the transition to commit and the revealed round to show once it is durable."""

from collections.abc import Callable
from dataclasses import dataclass

from actors.facts.calls import refund_call, win_call
from actors.facts.records import CallStatus, FinishedRound, LiveRound, Owner, RoundStatus, WalletCall
from actors.facts.transitions import RefundRound, SettleRound, VoidRound
from actors.rules.settlement import Result, Settlement

INTERRUPTED = "interrupted"
SHUTDOWN = "shutdown"
LATE_START = "late_start"
"""The reasons of rounds that a failure of ours ended."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A decided end: commit ``transition``, which queues the win or refund ``owed``, then show ``finished``."""

    transition: SettleRound | VoidRound | RefundRound
    finished: FinishedRound
    owed: WalletCall | None

    @property
    def owes_minor(self) -> int:
        """What the player has not got yet."""
        return 0 if self.owed is None else self.owed.amount_minor

    @property
    def is_claimed(self) -> bool:
        """Whether the node that commits it is to send what it owes."""
        return self.owed is not None and self.owed.next_attempt_at_ms > self.owed.created_at_ms


Claim = Callable[[WalletCall], WalletCall | None]
"""Makes of what is owed the same call, claimed by this node, if it is to send it at once."""


def settled(live: LiveRound, owner: Owner, settlement: Settlement, now_ms: int, claim: Claim | None = None) -> Ending:
    """``flying -> settled``."""
    win = _claimed(win_call(live, settlement, now_ms), claim)
    transition = SettleRound(
        owner=owner,
        operator_id=live.operator_id,
        session_id=live.session_id,
        round_id=live.round_id,
        result=settlement.result,
        realized_hundredths=settlement.realized_hundredths,
        payout_minor=settlement.payout_minor,
        win=win,
        outcome=live.outcome,
        server_seed=live.commitment.server_seed,
        settled_at_ms=now_ms,
    )
    finished = _finished(
        live,
        RoundStatus.SETTLED,
        now_ms,
        result=settlement.result,
        realized_hundredths=settlement.realized_hundredths,
        payout_minor=settlement.payout_minor,
    )
    return Ending(transition, finished, win)


def void(
    live: LiveRound,
    owner: Owner,
    reason: str,
    *,
    bet_status: CallStatus,
    attempts: int,
    now_ms: int,
    detail: str | None = None,
    claim: Claim | None = None,
) -> Ending:
    """``betting -> void``: with a refund queued unless it is certain that the player was not debited."""
    assert bet_status in {CallStatus.DECLINED, CallStatus.UNKNOWN}
    refund = _claimed(refund_call(live, now_ms) if bet_status is CallStatus.UNKNOWN else None, claim)
    transition = VoidRound(
        owner=owner,
        operator_id=live.operator_id,
        session_id=live.session_id,
        round_id=live.round_id,
        reason=reason,
        bet_status=bet_status,
        attempts=attempts,
        detail=detail,
        refund=refund,
        outcome=live.outcome,
        server_seed=live.commitment.server_seed,
        settled_at_ms=now_ms,
    )
    finished = _finished(live, RoundStatus.VOID, now_ms, reason=reason)
    return Ending(transition, finished, refund)


def refunded(live: LiveRound, owner: Owner, reason: str, now_ms: int, claim: Claim | None = None) -> Ending:
    """``flying -> refunded``: the stake goes back."""
    refund = _claimed(refund_call(live, now_ms), claim)
    assert refund is not None
    transition = RefundRound(
        owner=owner,
        operator_id=live.operator_id,
        session_id=live.session_id,
        round_id=live.round_id,
        reason=reason,
        refund=refund,
        outcome=live.outcome,
        server_seed=live.commitment.server_seed,
        settled_at_ms=now_ms,
    )
    return Ending(transition, _finished(live, RoundStatus.REFUNDED, now_ms, reason=reason), refund)


def _claimed(owed: WalletCall | None, claim: Claim | None) -> WalletCall | None:
    return owed if owed is None or claim is None else claim(owed) or owed


def _finished(
    live: LiveRound,
    status: RoundStatus,
    now_ms: int,
    *,
    result: Result | None = None,
    reason: str | None = None,
    realized_hundredths: int = 0,
    payout_minor: int = 0,
) -> FinishedRound:
    return FinishedRound(
        round_id=live.round_id,
        session_id=live.session_id,
        status=status,
        result=result,
        reason=reason,
        currency=live.currency,
        amount_minor=live.amount_minor,
        auto_cashout_hundredths=live.auto_cashout_hundredths,
        realized_hundredths=realized_hundredths,
        payout_minor=payout_minor,
        server_seed=live.commitment.server_seed,
        server_seed_hash=live.commitment.server_seed_hash,
        client_seed=live.commitment.client_seed,
        nonce=live.commitment.nonce,
        rtp_bps=live.terms.rtp_bps,
        max_win_multiplier=live.terms.max_win_multiplier,
        outcome=live.outcome,
        started_at_ms=live.started_at_ms,
        settled_at_ms=now_ms,
    )
