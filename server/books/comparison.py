"""An operator's own transactions against ours: loaded into a temporary table, then compared by the database."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from typing import Final
from uuid import UUID

from server.books.reconcile import SHOWN_MAX, Scope
from server.books.restoring import BookedCall
from server.db.driver.database import Connection
from server.secrets.row_macs import ACTION, RowMacs

FETCHED_ROWS: Final = 1_000

_TABLE = """
CREATE TEMPORARY TABLE operator_file (
    line bigint NOT NULL, operator_tx_id text NOT NULL, kind text NOT NULL, amount_minor bigint NOT NULL,
    currency text NOT NULL)
"""
_COLUMNS: Final = ("line", "operator_tx_id", "kind", "amount_minor", "currency")

# A row of the file that is ours, but of another day, says nothing about these days. A bet of unknown fate is settled
# once its refund is acknowledged. What a person has resolved was booked by other means: under its id, or not.
_BOTH = """
WITH ours AS (
    SELECT t.operator_tx_id, t.kind, t.amount_minor, r.currency,
        CASE WHEN t.operator_tx_id = ANY ($4::text[]) THEN 'resolved' ELSE t.status END AS status,
        coalesce(r.created_at_ms, t.created_at_ms) BETWEEN $2 AND $3::bigint - 1 AS is_asked,
        CASE WHEN t.kind = 'bet' AND t.status = 'unknown' THEN coalesce((
            SELECT max(f.status) FROM transactions f
            WHERE f.operator_id = t.operator_id AND f.round_id = t.round_id AND f.kind = 'refund'), 'none')
        END AS refund_status
    FROM transactions t LEFT JOIN rounds r ON r.operator_id = t.operator_id AND r.round_id = t.round_id
    WHERE t.operator_id = $1
), theirs AS (
    SELECT DISTINCT ON (operator_tx_id) operator_tx_id, line, kind, amount_minor, currency,
        count(*) OVER same AS times, max(line) OVER same AS last_line
    FROM operator_file WINDOW same AS (PARTITION BY operator_tx_id) ORDER BY operator_tx_id, line
), pairs AS (
    SELECT operator_tx_id, o.status, o.refund_status, o.kind, o.amount_minor, o.currency, t.line, t.times, t.last_line,
        t.kind AS their_kind, t.amount_minor AS their_amount_minor, t.currency AS their_currency
    FROM ours o FULL JOIN theirs t USING (operator_tx_id) WHERE o.is_asked IS NOT FALSE
)
"""

_RESOLVED = "SELECT * FROM wallet_actions WHERE operator_id = $1 AND action = 'resolve'"

_DIFFERENCES = f"""
{_BOTH}
SELECT p.operator_tx_id, p.line, d.problem, d.detail FROM pairs p CROSS JOIN LATERAL (VALUES
    (1, 'missing_at_operator', p.line IS NULL AND p.status = 'acknowledged',
        format('%s of %s minor %s is acknowledged', p.kind, p.amount_minor, p.currency)),
    (2, 'unknown_to_us', p.status IS NULL,
        format('%s of %s minor %s', p.their_kind, p.their_amount_minor, p.their_currency)),
    (3, 'declined', p.line IS NOT NULL AND p.status = 'declined',
        format('%s of %s minor %s was declined', p.kind, p.amount_minor, p.currency)),
    (4, 'not_refunded', p.line IS NOT NULL AND p.refund_status = 'none',
        format('bet of %s minor %s of unknown status has no refund', p.amount_minor, p.currency)),
    (5, 'kind', p.their_kind <> p.kind, format('ours %s, theirs %s', p.kind, p.their_kind)),
    (6, 'amount_minor', p.their_amount_minor <> p.amount_minor,
        format('ours %s, theirs %s', p.amount_minor, p.their_amount_minor)),
    (7, 'currency', p.their_currency <> p.currency, format('ours %s, theirs %s', p.currency, p.their_currency)),
    (8, 'listed_twice', p.times > 1, format('%s times, the last in line %s', p.times, p.last_line))
) AS d (place, problem, holds, detail)
WHERE d.holds ORDER BY p.operator_tx_id, d.place
"""

_UNSETTLED = f"""
{_BOTH}
SELECT operator_tx_id, kind, amount_minor, currency, status, line IS NOT NULL AS is_listed, count(*) OVER () AS total
FROM pairs
WHERE status IN ('pending', 'parked') OR status = 'resolved' AND line IS NULL OR refund_status <> 'acknowledged'
ORDER BY operator_tx_id LIMIT $5
"""


_MATCHED = f"{_BOTH} SELECT count(*) FROM pairs WHERE status IS NOT NULL AND line IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a transaction differs; ``line`` is where the operator lists it first."""

    problem: str
    operator_tx_id: str
    line: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class UnsettledCall:
    """A transaction of ours that the operator may or may not have made."""

    operator_tx_id: str
    kind: str
    amount_minor: int
    currency: str | None
    status: str
    is_listed: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """How often there is which problem, and what is not settled: the number of transactions, and the first of them.

    ``matched`` transactions are in both books, as the same or as something else.
    """

    matched: int
    problems: dict[str, int]
    unsettled_total: int
    unsettled: tuple[UnsettledCall, ...]


async def load_file(connection: Connection, batches: Iterable[list[BookedCall]]) -> int:
    """How many rows were copied into the connection's temporary table. Raises what ``batches`` raises."""
    await connection.execute(_TABLE)
    count = 0
    for batch in batches:
        records = [astuple(row)[: len(_COLUMNS)] for row in batch]
        await connection.copy_records_to_table("operator_file", records=records, columns=_COLUMNS)
        count += len(records)
    await connection.execute("ANALYZE operator_file")
    return count


async def compare(
    connection: Connection, operator_id: UUID, scope: Scope, macs: RowMacs, tell: Callable[[Difference], None]
) -> Comparison:
    """Every difference is told as it is found, by transaction id, and kept nowhere here.

    A resolution that this program did not record explains nothing.
    """
    resolved = [
        row["operator_tx_id"]
        async for row in connection.cursor(_RESOLVED, operator_id, prefetch=FETCHED_ROWS)
        if macs.problem(ACTION, row, row["mac"]) is None
    ]
    arguments = (operator_id, *scope.arguments[1:], resolved)
    problems: Counter[str] = Counter()
    async for row in connection.cursor(_DIFFERENCES, *arguments, prefetch=FETCHED_ROWS):
        problems[row["problem"]] += 1
        tell(Difference(row["problem"], row["operator_tx_id"], row["line"], row["detail"]))
    rows = await connection.fetch(_UNSETTLED, *arguments, SHOWN_MAX)
    calls = [{name: value for name, value in row.items() if name != "total"} for row in rows]
    matched = await connection.fetchval(_MATCHED, *arguments)
    total = rows[0]["total"] if rows else 0
    return Comparison(matched, dict(problems), total, tuple(UnsettledCall(**call) for call in calls))
