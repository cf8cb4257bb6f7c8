"""Transitions as the objects that ``commit_group_5`` takes, by its names; bytes as ``\\x`` with hex digits."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from actors.facts.calls import bet_tx_id
from actors.facts.records import WalletCall
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
from server.db.stores.rows import seal_seed
from server.secrets.row_macs import BET, CALL, END, SESSION, START
from server.secrets.vault import Vault

Object = dict[str, Any]


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


def _launch(vault: Vault, new: CreateSession) -> Object:
    return {
        "operator_id": new.operator_id,
        "session_id": new.session_id,
        "operator_player_id": new.operator_player_id,
        "currency": new.currency,
        "balance_minor": new.balance_minor,
        "token_digest": _bytes(new.token_digest),
        "created_at_ms": new.created_at_ms,
        "expires_at_ms": new.expires_at_ms,
        "client_seed": new.client_seed,
        "server_seed_hash": fairness.commitment(new.server_seed),
        "server_seed_sealed": _bytes(seal_seed(vault, new.server_seed, new.session_id, 1)),
        "signature_digest": _bytes(new.signature_digest),
        "sealed_token": _bytes(new.sealed_token),
        "replay_until_ms": new.replay_until_ms,
        "lang": new.page.lang,
        "reality_check_minutes": new.page.reality_check_minutes,
        "lobby_url": new.page.lobby_url,
        "mac": _bytes(vault.macs.of_record(SESSION, new)),
    }


def _bet(vault: Vault, bet: PlaceBet) -> Object:
    live, terms = bet.round, bet.round.terms
    return {
        "operator_id": live.operator_id,
        "session_id": live.session_id,
        "round_id": live.round_id,
        "operator_player_id": live.operator_player_id,
        "currency": live.currency,
        "amount_minor": live.amount_minor,
        "auto_cashout_hundredths": live.auto_cashout_hundredths,
        "client_seed": live.commitment.client_seed,
        "nonce": live.commitment.nonce,
        "server_seed_hash": live.commitment.server_seed_hash,
        "rtp_bps": terms.rtp_bps,
        "max_win_multiplier": terms.max_win_multiplier,
        "rev_share_bps": terms.rev_share_bps,
        "max_payout_minor": terms.max_payout_minor,
        "growth_rate_per_ms": str(terms.growth_rate_per_ms),
        "created_at_ms": live.created_at_ms,
        "owner_node": bet.owner.node,
        "owner_epoch": bet.owner.epoch,
        "operator_tx_id": bet.call.operator_tx_id,
        "body": _bytes(bet.call.body),
        "next_hash": fairness.commitment(bet.next_server_seed),
        "next_sealed": _bytes(seal_seed(vault, bet.next_server_seed, live.session_id, live.commitment.nonce + 1)),
        "position": bet.call.position,
        "bet_mac": _bytes(vault.macs.of_record(BET, live)),
        "call_mac": _bytes(vault.macs.of_record(CALL, bet.call)),
    }


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
    finished = end.finished
    row: Object = {
        "operator_id": end.operator_id,
        "session_id": finished.session_id,
        "round_id": finished.round_id,
        "status": finished.status,
        "result": finished.result,
        "reason": finished.reason,
        "realized_hundredths": finished.realized_hundredths,
        "payout_minor": finished.payout_minor,
        "server_seed": finished.server_seed,
        "crash_hundredths": finished.outcome.crash_hundredths,
        "map_seed": finished.outcome.map_seed,
        "loot_seed": finished.outcome.loot_seed,
        "guard_seed": finished.outcome.guard_seed,
        "settled_at_ms": finished.settled_at_ms,
        "owner_node": end.owner.node,
        "owner_epoch": end.owner.epoch,
    }
    if (bet := end.bet) is not None:
        row |= {"bet_status": bet.status, "bet_attempts": bet.attempts, "bet_detail": bet.detail}
    row["end_mac"] = _bytes(vault.macs.of_row(END, row))
    return row if end.call is None else row | _outbox_call(vault, end.call)


def _outbox_call(vault: Vault, call: WalletCall) -> Object:
    is_claimed = call.next_attempt_at_ms > call.created_at_ms
    return {
        "owed_tx_id": call.operator_tx_id,
        "owed_kind": call.kind.value,
        "owed_minor": call.amount_minor,
        "owed_body": _bytes(call.body),
        "owed_position": call.position,
        "owed_created_at_ms": call.created_at_ms,
        "claimed_until_ms": call.next_attempt_at_ms if is_claimed else None,
        "owed_mac": _bytes(vault.macs.of_record(CALL, call)),
    }


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
