"""The bodies of wallet calls, made once and frozen: the same ``operator_tx_id`` always carries the same bytes."""

from uuid import UUID

from actors.rules.compact_json import compact_json
from actors.rules.money import multiplier_number


def bet_tx_id(round_id: UUID) -> str:
    """The idempotency key of a round's bet."""
    return f"bet-{round_id}"


def win_tx_id(round_id: UUID) -> str:
    """The idempotency key of a round's win."""
    return f"win-{round_id}"


def refund_tx_id(round_id: UUID) -> str:
    """The idempotency key of a round's refund."""
    return f"refund-{round_id}"


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
