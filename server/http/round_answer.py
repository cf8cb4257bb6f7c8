"""A round as operators read it: the answer of the API, and what the command line shows beside more."""

from datetime import UTC, datetime

import msgspec

from actors.facts.records import RoundStatus
from actors.rules.fairness import ALGORITHM, Outcome
from actors.rules.money import multiplier_number
from server.ports.reports import RoundReport

_ENDED = (RoundStatus.SETTLED, RoundStatus.VOID, RoundStatus.REFUNDED)


class OutcomeAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    crash_point: float
    map_seed: str
    loot_seed: str
    guard_seed: str


class TransactionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A call to the operator's wallet. ``status`` is ``unknown`` for a bet whose fate we never learned."""

    operator_tx_id: str
    kind: str
    amount_minor: int
    attempts: int
    status: str
    last_error: str | None


class RoundAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One round. Seed, outcome and realized multiplier are null until its end."""

    ok: bool = True
    round_id: str
    status: str
    result: str | None
    reason: str | None
    session_id: str
    operator_player_id: str
    currency: str
    amount_minor: int
    rtp_target: float
    max_win_multiplier: int
    algorithm: str
    server_seed: str | None
    server_seed_hash: str
    client_seed: str
    nonce: int
    outcome: OutcomeAnswer | None
    realized_multiplier: float | None
    payout_minor: int | None
    started_at: str | None
    settled_at: str | None
    transactions: list[TransactionAnswer]


def round_answer(report: RoundReport) -> RoundAnswer:
    """A round as the contract shows it."""
    ended = report.status in _ENDED
    realized = report.realized_hundredths if ended else None
    return RoundAnswer(
        round_id=str(report.round_id),
        status=report.status.value,
        result=None if report.result is None else report.result.value,
        reason=report.reason,
        session_id=str(report.session_id),
        operator_player_id=report.operator_player_id,
        currency=report.currency,
        amount_minor=report.amount_minor,
        rtp_target=multiplier_number(report.rtp_bps),
        max_win_multiplier=report.max_win_multiplier,
        algorithm=ALGORITHM,
        server_seed=report.server_seed if ended else None,
        server_seed_hash=report.server_seed_hash,
        client_seed=report.client_seed,
        nonce=report.nonce,
        outcome=_outcome_answer(report.outcome) if ended and report.outcome is not None else None,
        realized_multiplier=None if realized is None else multiplier_number(realized),
        payout_minor=report.payout_minor,
        started_at=_time_text(report.started_at_ms),
        settled_at=_time_text(report.settled_at_ms),
        transactions=[
            TransactionAnswer(
                operator_tx_id=call.operator_tx_id,
                kind=call.kind.value,
                amount_minor=call.amount_minor,
                attempts=call.attempts,
                status=call.status.value,
                last_error=call.last_error,
            )
            for call in report.calls
        ],
    )


def round_document(report: RoundReport) -> dict[str, object]:
    """The same as the JSON object that it becomes."""
    document: dict[str, object] = msgspec.to_builtins(round_answer(report))
    return document


def _outcome_answer(outcome: Outcome) -> OutcomeAnswer:
    return OutcomeAnswer(
        crash_point=multiplier_number(outcome.crash_hundredths),
        map_seed=outcome.map_seed,
        loot_seed=outcome.loot_seed,
        guard_seed=outcome.guard_seed,
    )


def _time_text(unix_ms: int | None) -> str | None:
    """ISO 8601 in UTC with milliseconds, from integers so that nothing is rounded."""
    if unix_ms is None:
        return None
    seconds, milliseconds = divmod(unix_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"
