"""Transitions as the objects that ``commit_group_6`` takes, by its names; bytes as ``\\x`` with hex digits."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from actors.facts.calls import bet_tx_id
from actors.facts.columns import columns, values
from actors.facts.records import CallStatus, WalletCall
from actors.facts.transitions import (
    AcknowledgeCall,
    BetFate,
    ChangeClientSeed,
    CreateSession,
    EndRound,
    PlaceBet,
    PostponeCall,
    StartRound,
    Transition,
)
from actors.rules import fairness
from actors.rules.fairness import Outcome
from server.db.stores.rows import seal_seed
from server.secrets.row_macs import BET, CALL, END, SESSION, START
from server.secrets.vault import Vault

Object = dict[str, Any]

_SEALED: Final = frozenset(("server_seed",))
_REVEALED: Final = _SEALED | columns(Outcome).keys()
"""What a round's end reveals, and nothing before it."""


def session_key(transition: Transition) -> tuple[UUID, UUID]:
    """Operator and session of what a transition changes."""
    changed = transition.round if isinstance(transition, PlaceBet) else transition
    return changed.operator_id, changed.session_id


def batch_of(vault: Vault, transitions: Sequence[Transition]) -> dict[str, list[Object]]:
    """The group as one document: the rows that it changes, to be locked, and what it makes of them."""
    batch: dict[str, list[Object]] = {"sessions": []}
    for transition in transitions:
        name, row = _row(vault, transition)
        batch.setdefault(name, []).append(row)
        operator_id, session_id = session_key(transition)
        session: Object = {"operator_id": operator_id, "session_id": session_id}
        batch["sessions"].append(session)
        if isinstance(transition, StartRound | EndRound):
            batch.setdefault("rounds", []).append({**session, "round_id": transition.round_id})
        if isinstance(transition, PlaceBet):
            batch.setdefault("bet_calls", []).append(_call(vault, transition.call))
        if isinstance(transition, EndRound) and transition.call is not None:
            batch.setdefault("outbox", []).append(_outbox_call(vault, transition, transition.call))
        if (changed_call := _changed_call(transition)) is not None:
            batch.setdefault("calls", []).append({**session, "operator_tx_id": changed_call})
    return batch


def _changed_call(transition: Transition) -> str | None:
    """The wallet call that is there already and that the transition changes."""
    match transition:
        case StartRound() | EndRound(bet=BetFate()):
            return bet_tx_id(transition.round_id)
        case AcknowledgeCall() | PostponeCall():
            return transition.operator_tx_id
    return None


def _row(vault: Vault, transition: Transition) -> tuple[str, Object]:
    match transition:
        case CreateSession():
            return "launches", _launch(vault, transition)
        case PlaceBet():
            return "bets", _bet(vault, transition)
        case StartRound():
            return "starts", _start(vault, transition)
        case EndRound():
            return "ends", _end(vault, transition)
        case AcknowledgeCall():
            return "acknowledged", _acknowledged(transition)
        case PostponeCall():
            return "postponed", _postponed(transition)
        case ChangeClientSeed():
            return "client_seeds", _client_seed(transition)


def _bytes(value: bytes) -> str:
    return f"\\x{value.hex()}"


def _stored(record: object, *, but: frozenset[str] = frozenset(), **more: object) -> Object:
    """The record as its table's row, without columns that are not stored as they are."""
    row = {name: value for name, value in values(record).items() if name not in but} | more
    return {name: _bytes(value) if isinstance(value, bytes) else value for name, value in row.items()}


def _launch(vault: Vault, new: CreateSession) -> Object:
    return _stored(
        new,
        but=_SEALED,
        balance_is_known=True,
        nonce=1,
        server_seed_hash=fairness.commitment(new.server_seed),
        server_seed_sealed=seal_seed(vault, new.server_seed, new.session_id, 1),
        mac=vault.macs.of_record(SESSION, new),
    )


def _bet(vault: Vault, bet: PlaceBet) -> Object:
    live = bet.round
    return _stored(
        live,
        but=_REVEALED,
        owner_node=bet.owner.node,
        owner_epoch=bet.owner.epoch,
        next_hash=fairness.commitment(bet.next_server_seed),
        next_sealed=seal_seed(vault, bet.next_server_seed, live.session_id, live.commitment.nonce + 1),
        bet_mac=vault.macs.of_record(BET, live),
    )


def _call(vault: Vault, call: WalletCall) -> Object:
    return _stored(call, status=CallStatus.PENDING, mac=vault.macs.of_record(CALL, call))


def _start(vault: Vault, start: StartRound) -> Object:
    return {
        "operator_id": start.operator_id,
        "session_id": start.session_id,
        "round_id": start.round_id,
        "started_at_ms": start.started_at_ms,
        "balance_minor": start.balance_minor,
        "attempts": start.attempts,
        "owner_node": start.owner.node,
        "owner_epoch": start.owner.epoch,
        "start_mac": _bytes(vault.macs.of_record(START, start)),
    }


def _end(vault: Vault, end: EndRound) -> Object:
    ended = values(end.finished) | {"operator_id": end.operator_id}
    row: Object = {name: ended[name] for name in END.columns}
    row["end_mac"] = _bytes(vault.macs.of_row(END, row))
    if (bet := end.bet) is not None:
        row |= {"bet_status": bet.status, "bet_attempts": bet.attempts, "bet_detail": bet.detail}
    return row | {"owner_node": end.owner.node, "owner_epoch": end.owner.epoch}


def _outbox_call(vault: Vault, end: EndRound, call: WalletCall) -> Object:
    """Claimed, if the round's node is to send it at once, with what it is ``unclaimed`` instead if another call of the
    session waits."""
    if not end.is_claimed:
        return _call(vault, call)
    claim = {"claim_node": end.owner.node, "claim_epoch": end.owner.epoch}
    unclaimed = dict.fromkeys(claim) | {"next_attempt_at_ms": call.created_at_ms}
    return _call(vault, call) | claim | {"unclaimed": unclaimed}


def _acknowledged(fact: AcknowledgeCall) -> Object:
    return {
        "operator_id": fact.operator_id,
        "session_id": fact.session_id,
        "operator_tx_id": fact.operator_tx_id,
        "attempts": fact.attempts,
        "balance_minor": fact.balance_minor,
        "acknowledged_at_ms": fact.acknowledged_at_ms,
    }


def _postponed(fact: PostponeCall) -> Object:
    return {
        "operator_id": fact.operator_id,
        "session_id": fact.session_id,
        "operator_tx_id": fact.operator_tx_id,
        "attempts": fact.attempts,
        "next_attempt_at_ms": fact.next_attempt_at_ms,
        "last_error": fact.last_error,
        "refused_since_ms": fact.refused_since_ms,
        "not_before_ms": fact.not_before_ms,
        "parked": fact.parked,
        "owner_node": fact.owner.node,
        "owner_epoch": fact.owner.epoch,
    }


def _client_seed(change: ChangeClientSeed) -> Object:
    return {
        "operator_id": change.operator_id,
        "session_id": change.session_id,
        "client_seed": change.client_seed,
        "owner_node": change.owner.node,
        "owner_epoch": change.owner.epoch,
    }
