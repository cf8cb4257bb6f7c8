"""From rows to records, and the contexts that sealed seeds are bound to.

What opens a row checks its codes first (``server.secrets.row_macs``). Each raises ``RowMacError`` or ``VaultError`` if the row is
not one that we wrote as it stands.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

import asyncpg

from actors.facts.columns import columns, made
from actors.facts.records import (
    Commitment,
    FinishedRound,
    LiveRound,
    RoundStatus,
    SessionRecord,
    SessionTotals,
    WalletCall,
)
from actors.rules import fairness
from server.secrets.row_macs import BET, CALL, END, SESSION, START, RowKind, RowMacs
from server.secrets.vault import Vault, VaultError

Row = asyncpg.Record

_CODES: Final = ("server_seed_sealed", "bet_mac", "start_mac", "end_mac")

ROUND_COLUMNS: Final = ", ".join(
    f"r.{name}" for name in dict.fromkeys((*columns(LiveRound), *columns(FinishedRound), *_CODES))
)
"""Of ``rounds r``: all that a live or an ended round is made of, and what proves it."""

CALL_COLUMNS: Final = ", ".join((*columns(WalletCall), "mac"))


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
    return made(SessionRecord, row, next=promised)


def session_totals(row: Row) -> SessionTotals:
    """The sums over a session's settled rounds, which may be null."""
    return SessionTotals(
        row["rounds"], int(row["staked_minor"] or 0), int(row["paid_minor"] or 0), row["last_nonce"] or 0
    )


def live_round(vault: Vault, row: Row) -> LiveRound:
    """A row of ``rounds`` in ``betting`` or ``flying``. A flight must have been started by us."""
    check_round(vault.macs, row)
    promised = commitment(vault, row)
    outcome = fairness.outcome(
        promised.server_seed, promised.client_seed, promised.nonce, row["rtp_bps"], row["max_win_multiplier"]
    )
    return made(LiveRound, row, commitment=promised, outcome=outcome)


def check_session(macs: RowMacs, row: Row) -> None:
    """Raises ``RowMacError`` unless the session is as we have written."""
    macs.check(SESSION, row, row["mac"])


def check_round(macs: RowMacs, row: Row | Mapping[str, Any]) -> None:
    """Raises ``RowMacError`` unless the round is, and came into its state, as we have written."""
    for kind, mac in _round_codes(row):
        macs.check(kind, row, mac)


def round_problems(macs: RowMacs, row: Row | Mapping[str, Any]) -> tuple[str, ...]:
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
    return made(FinishedRound, row)


def wallet_call(vault: Vault, row: Row) -> WalletCall:
    vault.macs.check(CALL, row, row["mac"])
    return made(WalletCall, row)
