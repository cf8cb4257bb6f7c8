"""From rows to records, and the contexts that sealed seeds are bound to.

What opens a row checks its codes first (``server.secrets.row_macs``). Each raises ``RowMacError`` or ``VaultError`` if the row is
not one that we wrote as it stands.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import asyncpg

from actors.facts.records import (
    CallKind,
    Commitment,
    FinishedRound,
    LiveRound,
    RoundStatus,
    RoundTerms,
    SessionRecord,
    SessionTotals,
    WalletCall,
)
from actors.rules import fairness
from actors.rules.fairness import Outcome
from actors.rules.settlement import Result
from server.secrets.row_macs import BET, CALL, END, SESSION, START, RowKind, RowMacs
from server.secrets.vault import Vault, VaultError

Row = asyncpg.Record

ROUND_COLUMNS = """
    r.operator_id, r.round_id, r.session_id, r.operator_player_id, r.currency, r.amount_minor, r.auto_cashout_hundredths,
    r.client_seed, r.nonce, r.server_seed_hash, r.server_seed_sealed, r.rtp_bps, r.max_win_multiplier, r.rev_share_bps,
    r.max_payout_minor, r.growth_rate_per_ms, r.status, r.created_at_ms, r.started_at_ms, r.interrupted_at_ms, r.settled_at_ms, r.result, r.reason,
    r.realized_hundredths, r.payout_minor, r.server_seed, r.crash_hundredths, r.map_seed, r.loot_seed, r.guard_seed,
    r.bet_mac, r.start_mac, r.end_mac
"""

CALL_COLUMNS = """
    operator_id, session_id, round_id, operator_tx_id, kind, amount_minor, body, position, attempts, created_at_ms,
    next_attempt_at_ms, refused_since_ms, mac
"""


def plain_uuid(value: UUID) -> UUID:
    """The UUID without asyncpg's class for it, which row codes take longer for."""
    return UUID(int=value.int)


def seed_context(session_id: UUID, nonce: int) -> bytes:
    """A server seed is sealed for one round of one session; it moves from session to round without being sealed anew."""
    return b"server-seed:%s:%d" % (session_id.bytes, nonce)


def seal_seed(vault: Vault, server_seed: str, session_id: UUID, nonce: int) -> bytes:
    """An unrevealed server seed as the database keeps it."""
    return vault.seal(server_seed.encode("ascii"), seed_context(session_id, nonce))


def commitment(vault: Vault, row: Row) -> Commitment:
    """The promise in a row of ``sessions`` or ``rounds``. Raises ``VaultError`` if its seed does not open, or is not the
    one of the hash."""
    context = seed_context(row["session_id"], row["nonce"])
    server_seed = vault.open(row["server_seed_sealed"], context).decode("ascii")
    if fairness.commitment(server_seed) != row["server_seed_hash"]:
        raise VaultError("a seed is not the one of its hash")
    return Commitment(server_seed, row["server_seed_hash"], row["client_seed"], row["nonce"])


def session_record(row: Row, promised: Commitment) -> SessionRecord:
    """A row of ``sessions``, with what is promised now for its next round."""
    return SessionRecord(
        operator_id=plain_uuid(row["operator_id"]),
        session_id=plain_uuid(row["session_id"]),
        operator_player_id=row["operator_player_id"],
        currency=row["currency"],
        balance_minor=row["balance_minor"],
        created_at_ms=row["created_at_ms"],
        expires_at_ms=row["expires_at_ms"],
        next=promised,
        balance_is_known=row["balance_is_known"],
    )


def session_totals(row: Row) -> SessionTotals:
    """The sums over a session's settled rounds, which may be null."""
    return SessionTotals(
        row["rounds"], int(row["staked_minor"] or 0), int(row["paid_minor"] or 0), row["last_nonce"] or 0
    )


def live_round(vault: Vault, row: Row) -> LiveRound:
    """A row of ``rounds`` in ``betting`` or ``flying``. A flight must have been started by us."""
    check_round(vault.macs, row)
    promised = commitment(vault, row)
    return LiveRound(
        operator_id=plain_uuid(row["operator_id"]),
        session_id=plain_uuid(row["session_id"]),
        round_id=plain_uuid(row["round_id"]),
        operator_player_id=row["operator_player_id"],
        currency=row["currency"],
        amount_minor=row["amount_minor"],
        auto_cashout_hundredths=row["auto_cashout_hundredths"],
        commitment=promised,
        terms=RoundTerms(
            rtp_bps=row["rtp_bps"],
            max_win_multiplier=row["max_win_multiplier"],
            rev_share_bps=row["rev_share_bps"],
            max_payout_minor=row["max_payout_minor"],
            growth_rate_per_ms=row["growth_rate_per_ms"],
        ),
        status=RoundStatus(row["status"]),
        created_at_ms=row["created_at_ms"],
        started_at_ms=row["started_at_ms"],
        outcome=fairness.outcome(
            promised.server_seed, promised.client_seed, promised.nonce, row["rtp_bps"], row["max_win_multiplier"]
        ),
        interrupted_at_ms=row["interrupted_at_ms"],
    )


def stored_outcome(row: Row | Mapping[str, Any]) -> Outcome:
    """The revealed outcome of an ended round."""
    return Outcome(row["crash_hundredths"], row["map_seed"], row["loot_seed"], row["guard_seed"])


def check_session(macs: RowMacs, row: Row) -> None:
    """Raises ``RowMacError`` unless the session is as we have written."""
    macs.check(SESSION, row, row["mac"])


def check_round(macs: RowMacs, row: Row | Mapping[str, Any]) -> None:
    """Raises ``RowMacError`` unless the round is, and came into its state, as we have written."""
    for kind, mac in _round_codes(row):
        macs.check(kind, row, mac)


def round_problems(macs: RowMacs, row: Mapping[str, Any]) -> tuple[str, ...]:
    """What is wrong with each code of a round; nothing if it is as we have written."""
    problems = (macs.problem(kind, row, mac) for kind, mac in _round_codes(row))
    return tuple(problem for problem in problems if problem is not None)


def _round_codes(row: Row | Mapping[str, Any]) -> Iterator[tuple[RowKind, bytes | None]]:
    """Those that a round in its state must have."""
    yield BET, row["bet_mac"]
    if row["started_at_ms"] is not None or row["status"] == RoundStatus.FLYING:
        yield START, row["start_mac"]
    if row["status"] not in {RoundStatus.BETTING, RoundStatus.FLYING}:
        yield END, row["end_mac"]


def finished_round(vault: Vault, row: Row) -> FinishedRound:
    """A row of ``rounds`` that has ended."""
    check_round(vault.macs, row)
    return FinishedRound(
        round_id=plain_uuid(row["round_id"]),
        session_id=plain_uuid(row["session_id"]),
        status=RoundStatus(row["status"]),
        result=None if row["result"] is None else Result(row["result"]),
        reason=row["reason"],
        currency=row["currency"],
        amount_minor=row["amount_minor"],
        auto_cashout_hundredths=row["auto_cashout_hundredths"],
        realized_hundredths=row["realized_hundredths"],
        payout_minor=row["payout_minor"],
        server_seed=row["server_seed"],
        server_seed_hash=row["server_seed_hash"],
        client_seed=row["client_seed"],
        nonce=row["nonce"],
        rtp_bps=row["rtp_bps"],
        max_win_multiplier=row["max_win_multiplier"],
        outcome=stored_outcome(row),
        started_at_ms=row["started_at_ms"],
        settled_at_ms=row["settled_at_ms"],
    )


def wallet_call(vault: Vault, row: Row) -> WalletCall:
    """A row of ``transactions``."""
    vault.macs.check(CALL, row, row["mac"])
    return WalletCall(
        operator_id=plain_uuid(row["operator_id"]),
        session_id=plain_uuid(row["session_id"]),
        round_id=plain_uuid(row["round_id"]),
        operator_tx_id=row["operator_tx_id"],
        kind=CallKind(row["kind"]),
        amount_minor=row["amount_minor"],
        body=bytes(row["body"]),
        position=row["position"],
        attempts=row["attempts"],
        created_at_ms=row["created_at_ms"],
        next_attempt_at_ms=row["next_attempt_at_ms"],
        refused_since_ms=row["refused_since_ms"],
    )
