"""What follows a restore: which rounds and bets the lost history leaves open, and the beginning of the next history."""

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Final
from uuid import UUID

from server.db.database import Connection
from server.operator_files import FileRow
from server.row_macs import LOST_BET, RowMacs

SHOWN_MAX: Final = 100

_HISTORY: Final = "SELECT history_id, cut_at_ms, cut_reason, cut_by FROM histories WHERE restored_at_ms IS NULL"

_LIVE: Final = """
SELECT r.operator_id, r.round_id, r.status, r.amount_minor, r.currency, count(*) OVER () AS total FROM rounds r
WHERE r.status IN ('betting', 'flying') ORDER BY r.created_at_ms, r.round_id LIMIT $1
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
class Unknown:
    """A row of the operator's that nothing can be done for here; ``why`` is for a person."""

    line: int
    operator_tx_id: str
    why: str


@dataclass(frozen=True, slots=True)
class LostBet:
    """A bet that the operator has booked and we do not know."""

    round_id: UUID
    session_id: UUID
    operator_player_id: str
    currency: str
    amount_minor: int


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


@dataclass(frozen=True, slots=True)
class Findings:
    """What is to be done with an operator's list: bets to refund, and what a person must see to."""

    bets: tuple[LostBet, ...]
    unknown: tuple[Unknown, ...]


async def read_cut(connection: Connection) -> Cut:
    """What is noted of the present history; all ``None`` if nothing was found or no node has ever begun one."""
    row = await connection.fetchrow(_HISTORY)
    return Cut(None, None, None) if row is None else Cut(row["cut_at_ms"], row["cut_reason"], row["cut_by"])


async def live_rounds(connection: Connection) -> tuple[int, list[OpenRound]]:
    """How many rounds are stored as live, and the oldest ``SHOWN_MAX`` of them."""
    rows = await connection.fetch(_LIVE, SHOWN_MAX)
    found = [OpenRound(*(row[name] for name in OpenRound.__slots__)) for row in rows]
    return (rows[0]["total"] if rows else 0), found


async def compare(connection: Connection, operator_id: UUID, rows: Sequence[FileRow], since_ms: int) -> Findings:
    """The bets of the list that we lack, and rows about which the list does not say enough.

    A round id tells the millisecond at which its bet was made (RFC 9562): what was made before ``since_ms`` is not
    explained by the restore, and is left to a person. So is a bet whose win the operator has booked: it was paid.
    """
    listed = {row.operator_tx_id for row in rows}
    asked = listed | {"bet-" + tx_id.partition("-")[2] for tx_id in listed}
    known = {row["operator_tx_id"] for row in await connection.fetch(_KNOWN, operator_id, sorted(asked))}
    bets: list[LostBet] = []
    unknown: list[Unknown] = []
    for row in rows:
        if row.operator_tx_id in known:
            continue
        kind, _, text = row.operator_tx_id.partition("-")
        round_id = _uuid(text)
        if round_id is None or kind != row.kind:
            unknown.append(Unknown(row.line, row.operator_tx_id, "no transaction id of ours"))
        elif row.kind != "bet":
            if f"bet-{round_id}" in known:
                why = "booked for a round that ends otherwise now: compare with `getaway round show`"
                unknown.append(Unknown(row.line, row.operator_tx_id, why))
        elif f"refund-{round_id}" in listed:
            continue
        elif f"win-{round_id}" in listed:
            unknown.append(Unknown(row.line, row.operator_tx_id, "its win is booked, too: nothing is owed"))
        else:
            found = _lost_bet(row, round_id, since_ms)
            (bets if isinstance(found, LostBet) else unknown).append(found)  # type: ignore[arg-type]
    return Findings(tuple(bets), tuple(unknown))


def _lost_bet(row: FileRow, round_id: UUID, since_ms: int) -> LostBet | Unknown:
    session_id = _uuid(row.session_id)
    if round_id.version == 7 and round_id.int >> 80 < since_ms:
        return Unknown(row.line, row.operator_tx_id, "made before --since, and yet not known here")
    if session_id is None or not row.operator_player_id:
        return Unknown(row.line, row.operator_tx_id, "the list lacks its session_id or operator_player_id")
    return LostBet(round_id, session_id, row.operator_player_id, row.currency, row.amount_minor)


def _uuid(text: str) -> UUID | None:
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


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
