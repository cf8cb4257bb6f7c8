"""Wallet calls of a round, their bodies and idempotency keys: built once, with the state change that causes them.

A body is frozen with its call: the same ``operator_tx_id`` always carries the same bytes.
"""

from uuid import UUID

from actors.facts.records import CallKind, FinishedRound, LiveRound, RoundStatus, WalletCall
from actors.rules.compact_json import compact_json
from actors.rules.money import multiplier_number
from actors.rules.settlement import Settlement


def bet_tx_id(round_id: UUID) -> str:
    """The idempotency key of a round's bet."""
    return f"bet-{round_id}"


def win_tx_id(round_id: UUID) -> str:
    """The idempotency key of a round's win."""
    return f"win-{round_id}"


def refund_tx_id(round_id: UUID) -> str:
    """The idempotency key of a round's refund."""
    return f"refund-{round_id}"


def outbox_tx_id(finished: FinishedRound) -> str:
    """The idempotency key of the win or refund that this end has put into the outbox, if any."""
    is_win = finished.status is RoundStatus.SETTLED
    return win_tx_id(finished.round_id) if is_win else refund_tx_id(finished.round_id)


def call_body(
    *,
    operator_tx_id: str,
    operator_player_id: str,
    session_id: UUID,
    round_id: UUID,
    currency: str,
    amount_minor: int,
    multiplier_hundredths: int | None = None,
    bet_tx_id: str | None = None,
) -> bytes:
    """A callback's JSON body; ``multiplier_hundredths`` for wins, ``bet_tx_id`` for wins and refunds."""
    assert amount_minor > 0, "no call moves nothing"
    body: dict[str, object] = {
        "operator_tx_id": operator_tx_id,
        "operator_player_id": operator_player_id,
        "session_id": session_id,
        "round_id": round_id,
        "currency": currency,
        "amount_minor": amount_minor,
    }
    if multiplier_hundredths is not None:
        body["multiplier"] = multiplier_number(multiplier_hundredths)
    if bet_tx_id is not None:
        body["bet_tx_id"] = bet_tx_id
    return compact_json(body)


def bet_call(live: LiveRound) -> WalletCall:
    """The debit of the stake."""
    return _call(
        live, CallKind.BET, tx_id=bet_tx_id(live.round_id), amount_minor=live.amount_minor, now_ms=live.created_at_ms
    )


def refund_call(live: LiveRound, now_ms: int) -> WalletCall:
    return _call(
        live, CallKind.REFUND, tx_id=refund_tx_id(live.round_id), amount_minor=live.amount_minor, now_ms=now_ms
    )


def win_call(live: LiveRound, settlement: Settlement, now_ms: int) -> WalletCall | None:
    """The payout; ``None`` when there is none: a crashed round sends nothing."""
    if settlement.payout_minor == 0:
        return None
    return _call(
        live,
        CallKind.WIN,
        tx_id=win_tx_id(live.round_id),
        amount_minor=settlement.payout_minor,
        now_ms=now_ms,
        multiplier_hundredths=settlement.realized_hundredths,
    )


def _call(
    live: LiveRound,
    kind: CallKind,
    *,
    tx_id: str,
    amount_minor: int,
    now_ms: int,
    multiplier_hundredths: int | None = None,
) -> WalletCall:
    is_bet = kind is CallKind.BET
    return WalletCall(
        operator_id=live.operator_id,
        session_id=live.session_id,
        round_id=live.round_id,
        operator_tx_id=tx_id,
        kind=kind,
        amount_minor=amount_minor,
        body=call_body(
            operator_tx_id=tx_id,
            operator_player_id=live.operator_player_id,
            session_id=live.session_id,
            round_id=live.round_id,
            currency=live.currency,
            amount_minor=amount_minor,
            multiplier_hundredths=multiplier_hundredths,
            bet_tx_id=None if is_bet else bet_tx_id(live.round_id),
        ),
        position=2 * live.commitment.nonce + (0 if is_bet else 1),
        created_at_ms=now_ms,
        next_attempt_at_ms=now_ms,
    )
