"""The three ends of a round, each as the transition that stores it: the round revealed, and its wallet call."""

from collections.abc import Callable
from typing import Any

from actors.facts.calls import refund_call, win_call
from actors.facts.columns import made, values
from actors.facts.records import CallStatus, FinishedRound, LiveRound, Owner, RoundStatus, WalletCall
from actors.facts.transitions import BetFate, EndRound
from actors.rules.settlement import Settlement

INTERRUPTED = "interrupted"
SHUTDOWN = "shutdown"
LATE_START = "late_start"
"""The reasons of rounds that a failure of ours ended."""

Claim = Callable[[WalletCall], WalletCall | None]
"""Makes of an end's call the same one, claimed by this node, if it is to send it at once."""


def settled(live: LiveRound, owner: Owner, settlement: Settlement, now_ms: int, claim: Claim | None = None) -> EndRound:
    """``flying -> settled``, with a win if there is a payout."""
    finished = _finished(
        live,
        RoundStatus.SETTLED,
        now_ms,
        result=settlement.result,
        realized_hundredths=settlement.realized_hundredths,
        payout_minor=settlement.payout_minor,
    )
    return _end(live, owner, finished, _claimed(win_call(live, settlement, now_ms), claim))


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
) -> EndRound:
    """``betting -> void``: with a refund unless it is certain that the player was not debited."""
    assert bet_status in {CallStatus.DECLINED, CallStatus.UNKNOWN}
    refund = refund_call(live, now_ms) if bet_status is CallStatus.UNKNOWN else None
    finished = _finished(live, RoundStatus.VOID, now_ms, reason=reason)
    return _end(live, owner, finished, _claimed(refund, claim), BetFate(bet_status, attempts, detail))


def refunded(live: LiveRound, owner: Owner, reason: str, now_ms: int, claim: Claim | None = None) -> EndRound:
    """``flying -> refunded``: a failure of ours interrupted the flight, the stake goes back."""
    finished = _finished(live, RoundStatus.REFUNDED, now_ms, reason=reason)
    return _end(live, owner, finished, _claimed(refund_call(live, now_ms), claim))


def _end(
    live: LiveRound, owner: Owner, finished: FinishedRound, call: WalletCall | None, bet: BetFate | None = None
) -> EndRound:
    return EndRound(owner=owner, operator_id=live.operator_id, finished=finished, call=call, bet=bet)


def _claimed(call: WalletCall | None, claim: Claim | None) -> WalletCall | None:
    return call if call is None or claim is None else claim(call) or call


def _finished(live: LiveRound, status: RoundStatus, now_ms: int, **how: Any) -> FinishedRound:
    said = {"result": None, "reason": None, "realized_hundredths": 0, "payout_minor": 0} | values(live) | how
    return made(FinishedRound, said, status=status, settled_at_ms=now_ms)
