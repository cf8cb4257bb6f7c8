"""What follows a restore: which rounds and bets the lost history leaves open, and the beginning of the next history."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass, replace
from typing import Final
from uuid import UUID

from actors.facts.calls import bet_tx_id, refund_tx_id, win_tx_id
from actors.facts.records import LiveRound, Owner, WalletCall
from actors.facts.transitions import Busy, Rejected, Transition
from server.books.restoring import (
    BookedCall,
    BookedEnd,
    Contradicted,
    Findings,
    LostBet,
    Stored,
    Unknown,
    judge,
    parked,
    round_of,
)
from server.db.driver.database import Connection
from server.db.stores.bad_rows import DOES_NOT_OPEN
from server.db.stores.groups import commit_group
from server.db.stores.rows import CALL_COLUMNS, ROUND_COLUMNS, live_round, plain_uuid, wallet_call
from server.secrets.row_macs import LOST_BET, RowMacError, RowMacs
from server.secrets.vault import Vault

SHOWN_MAX: Final = 100

_HISTORY: Final = "SELECT history_id, cut_at_ms, cut_reason, cut_by FROM histories WHERE restored_at_ms IS NULL"

_LIVE: Final = """
SELECT r.operator_id, r.round_id, r.status, r.amount_minor, r.currency, count(*) OVER () AS total FROM rounds r
WHERE r.status IN ('betting', 'flying') ORDER BY r.created_at_ms, r.round_id LIMIT $1
"""

OWNER: Final = Owner("getaway restored", 0)
"""Whose the rounds are that the command ends. No life of a node has this epoch: to all it is one that is dead."""

_LISTED: Final = f"""
SELECT {ROUND_COLUMNS} FROM rounds r
WHERE operator_id = $1 AND round_id = ANY($2) AND status IN ('betting', 'flying') ORDER BY created_at_ms, round_id
"""

_OWED: Final = f"""
SELECT {CALL_COLUMNS} FROM transactions
WHERE operator_id = $1 AND operator_tx_id = ANY($2) AND status = 'pending' AND kind <> 'bet'
"""

# What a node commits meanwhile is not this owner's any more, and is rejected.
_TAKE_ROUND: Final = """
UPDATE rounds r SET owner_node = $3, owner_epoch = $4 FROM sessions s
WHERE r.operator_id = $1 AND r.round_id = $2 AND r.status = $5
    AND s.operator_id = r.operator_id AND s.session_id = r.session_id
RETURNING s.balance_minor, database_ms() AS now_ms
"""

_TAKE_CALL: Final = """
UPDATE transactions SET claim_node = $3, claim_epoch = $4
WHERE operator_id = $1 AND operator_tx_id = $2 AND status = 'pending'
    AND (claim_node IS NULL OR next_attempt_at_ms <= database_ms())
RETURNING database_ms()
"""

_KNOWN: Final = "SELECT operator_tx_id FROM transactions WHERE operator_id = $1 AND operator_tx_id = ANY($2)"

_NOTE_BET: Final = """
INSERT INTO lost_bets
    (operator_id, round_id, session_id, operator_player_id, currency, amount_minor, body, noted_by, mac)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (operator_id, round_id) DO NOTHING
"""

_UNSENT: Final = """
SELECT * FROM lost_bets WHERE operator_id = $1 AND round_id = ANY($2) AND acknowledged_at_ms IS NULL ORDER BY round_id
"""

_NOTE_ANSWER: Final = """
UPDATE lost_bets SET attempts = attempts + $3, last_error = $4,
    acknowledged_at_ms = CASE WHEN $4::text IS NULL THEN database_ms() END
WHERE operator_id = $1 AND round_id = $2
"""

# The old history is locked by its change: of two commands one begins the next, and the other finds it begun.
_CLOSE: Final = """
UPDATE histories SET restored_at_ms = database_ms(), restored_by = $1, restored_since_ms = $2
WHERE restored_at_ms IS NULL
"""
_BEGIN: Final = """
INSERT INTO histories (system_identifier, timeline) SELECT p.system_identifier, p.timeline FROM database_place() AS p
"""


@dataclass(frozen=True, slots=True)
class Cut:
    """What was noted of the present history."""

    at_ms: int | None
    reason: str | None
    by: str | None


@dataclass(frozen=True, slots=True)
class OpenRound:
    """A round that the database has as live: it is ended by its stored terms or refunded, and flies no more."""

    operator_id: UUID
    round_id: UUID
    status: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class UnsentRefund:
    """What was noted of a refund; with a ``problem`` it was not noted by this program, and must not be sent."""

    round_id: UUID
    session_id: UUID
    body: bytes
    problem: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """What a wallet said to a refund that was sent ``sends`` times; no ``error``: it has booked it."""

    operator_id: UUID
    round_id: UUID
    sends: int
    error: str | None


class NotFreeError(Exception):
    """A round or a call is being changed by somebody else at this moment: nothing was done for it."""


async def read_cut(connection: Connection) -> Cut:
    """What is noted of the present history; all ``None`` if nothing was found or no node has ever begun one."""
    row = await connection.fetchrow(_HISTORY)
    return Cut(None, None, None) if row is None else Cut(row["cut_at_ms"], row["cut_reason"], row["cut_by"])


async def live_rounds(connection: Connection) -> tuple[int, list[OpenRound]]:
    """How many rounds are stored as live, and the oldest ``SHOWN_MAX`` of them."""
    rows = await connection.fetch(_LIVE, SHOWN_MAX)
    found = [OpenRound(*(row[name] for name in OpenRound.__slots__)) for row in rows]
    return (rows[0]["total"] if rows else 0), found


async def compare(
    connection: Connection, vault: Vault, operator_id: UUID, rows: Sequence[BookedCall], since_ms: int
) -> Findings:
    """What follows from an operator's list: see ``server.books.restoring``. Its live rounds that do not open are named."""
    round_ids = sorted({round_id for round_id in map(round_of, rows) if round_id is not None})
    asked = [tx_id(round_id) for round_id in round_ids for tx_id in (bet_tx_id, win_tx_id, refund_tx_id)]
    known = {row["operator_tx_id"] for row in await connection.fetch(_KNOWN, operator_id, asked)}
    live: dict[UUID, LiveRound] = {}
    unopened: list[Unknown] = []
    lines = {row.operator_tx_id: row.line for row in rows}
    for row in await connection.fetch(_LISTED, operator_id, round_ids):
        try:
            live[plain_uuid(row["round_id"])] = live_round(vault, row)
        except DOES_NOT_OPEN:
            # Nobody ends it, and no node sends anything for it.
            tx_id = bet_tx_id(row["round_id"])
            unopened.append(Unknown(lines.get(tx_id, 0), tx_id, "its round is live and does not open"))
    outbox: dict[str, WalletCall] = {}
    for row in await connection.fetch(_OWED, operator_id, asked):
        with suppress(RowMacError):  # It is parked when its turn comes, and never sent.
            outbox[row["operator_tx_id"]] = wallet_call(vault, row)
    found = judge(rows, Stored(frozenset(known), live, outbox), since_ms)
    return replace(found, unknown=(*found.unknown, *unopened))


async def end_as_booked(connection: Connection, vault: Vault, end: BookedEnd) -> None:
    """End a live round as its operator has booked it, in a transaction of the caller's. Raises ``NotFreeError``."""
    key = end.live.operator_id, end.live.round_id
    taken = await connection.fetchrow(_TAKE_ROUND, *key, OWNER.node, OWNER.epoch, end.live.status)
    if taken is None:
        raise NotFreeError("its round has changed meanwhile")
    await _commit(connection, vault, end.transitions(OWNER, taken["now_ms"], taken["balance_minor"]))


async def park_contradicted(connection: Connection, vault: Vault, found: Contradicted) -> None:
    """Keep a call from being sent, in a transaction of the caller's. Raises ``NotFreeError``."""
    call = found.call
    now_ms = await connection.fetchval(_TAKE_CALL, call.operator_id, call.operator_tx_id, OWNER.node, OWNER.epoch)
    if now_ms is None:
        raise NotFreeError("it is being sent, or was answered meanwhile")
    await _commit(connection, vault, [parked(OWNER, call, found.why, now_ms)])


async def _commit(connection: Connection, vault: Vault, changes: Sequence[Transition]) -> None:
    if any(isinstance(answer, Busy | Rejected) for answer in await commit_group(connection, vault, changes)):
        raise NotFreeError("somebody has locked its session, or changes it")


async def note_bets(
    connection: Connection, macs: RowMacs, operator_id: UUID, bets: Sequence[tuple[LostBet, bytes]], by_whom: str
) -> None:
    """Store what is to be refunded, with the body of each refund. What was noted before stays as it is."""
    rows = [asdict(bet) | {"operator_id": operator_id, "body": body, "noted_by": by_whom} for bet, body in bets]
    await connection.executemany(_NOTE_BET, [(*LOST_BET.of_row(row), macs.of_row(LOST_BET, row)) for row in rows])


async def unsent(
    connection: Connection, macs: RowMacs, operator_id: UUID, bets: Sequence[LostBet]
) -> list[UnsentRefund]:
    """The refunds of these bets that were not acknowledged yet."""
    rows = await connection.fetch(_UNSENT, operator_id, [bet.round_id for bet in bets])
    return [
        UnsentRefund(row["round_id"], row["session_id"], bytes(row["body"]), macs.problem(LOST_BET, row, row["mac"]))
        for row in rows
    ]


async def note_answer(connection: Connection, noted: Told) -> None:
    """Store what the wallet said to a refund."""
    await connection.execute(_NOTE_ANSWER, *astuple(noted))


async def begin_history(connection: Connection, by_whom: str, since_ms: int) -> None:
    """The next history begins, in a transaction of the caller's: bets are taken again, by nodes that register anew."""
    await connection.execute(_CLOSE, by_whom, since_ms)
    await connection.execute(_BEGIN)
