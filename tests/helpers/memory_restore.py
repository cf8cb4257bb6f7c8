"""What ``getaway restored`` does, on the in-memory twin: the same judgement, on dictionaries."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from actors.facts.calls import bet_tx_id, refund_tx_id, win_tx_id
from actors.facts.records import CallStatus, Owner
from server.books.restoring import (
    BookedCall,
    BookedEnd,
    Contradicted,
    Findings,
    Stored,
    Unknown,
    judge,
    parked,
    round_of,
)

OWNER = Owner("getaway restored", 0)


class NotFreeError(Exception):
    """As ``server.books.restore.NotFreeError``."""


def compare(ledger, operator_id: UUID, rows: Sequence[BookedCall], since_ms: int) -> Findings:
    round_ids = {round_of(row) for row in rows} - {None}
    asked = {tx_id(round_id) for round_id in round_ids for tx_id in (bet_tx_id, win_tx_id, refund_tx_id)}
    known = {key: ledger.calls[key] for key in asked & ledger.calls.keys()}
    known = {key: stored for key, stored in known.items() if stored.call.operator_id == operator_id}
    live = [ledger._round(operator_id, round_id) for round_id in sorted(round_ids)]
    live = {stored.live.round_id: stored.live for stored in live if stored is not None and stored.finished is None}
    owed = {key: stored.call for key, stored in known.items() if stored.is_in_outbox and key not in ledger.damaged}
    whole = {round_id: each for round_id, each in live.items() if round_id not in ledger.damaged}
    found = judge(rows, Stored(frozenset(known), whole, owed), since_ms)
    lines = {row.operator_tx_id: row.line for row in rows}
    unopened = tuple(
        Unknown(lines.get(bet_tx_id(round_id), 0), bet_tx_id(round_id), "its round is live and does not open")
        for round_id in live
        if round_id not in whole
    )
    return replace(found, unknown=(*found.unknown, *unopened))


def end_as_booked(ledger, end: BookedEnd) -> None:
    stored = ledger.rounds[end.live.round_id]
    if stored.finished is not None or stored.live.status is not end.live.status:
        raise NotFreeError("its round has changed meanwhile")
    _refuse_locked(ledger, end.live.session_id)
    stored.owner = OWNER
    balance_minor = ledger.sessions[end.live.session_id].record.balance_minor
    for change in end.transitions(OWNER, ledger.now_ms(), balance_minor):
        ledger._apply(change)


def park_contradicted(ledger, found: Contradicted) -> None:
    stored, now_ms = ledger.calls[found.call.operator_tx_id], ledger.now_ms()
    is_claimed = stored.claimed_by is not None and stored.call.next_attempt_at_ms > now_ms
    if stored.status is not CallStatus.PENDING or is_claimed:
        raise NotFreeError("it is being sent, or was answered meanwhile")
    _refuse_locked(ledger, found.call.session_id)
    stored.claimed_by = OWNER
    ledger._apply(parked(OWNER, found.call, found.why, now_ms))


def _refuse_locked(ledger, session_id: UUID) -> None:
    if session_id in ledger.locked:
        raise NotFreeError("somebody has locked its session, or changes it")
