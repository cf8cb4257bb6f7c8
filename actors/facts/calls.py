"""Wallet calls of a round: built once, with the state change that causes them."""

from actors.facts.records import CallKind, LiveRound, WalletCall
from actors.rules.settlement import Settlement
from actors.rules.wallet_bodies import bet_tx_id, call_body, refund_tx_id, win_tx_id


def bet_call(live: LiveRound) -> WalletCall:
    """The debit of the stake."""
    return _call(
        live, CallKind.BET, tx_id=bet_tx_id(live.round_id), amount_minor=live.amount_minor, now_ms=live.created_at_ms
    )


def refund_call(live: LiveRound, now_ms: int) -> WalletCall:
    """The stake back."""
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
