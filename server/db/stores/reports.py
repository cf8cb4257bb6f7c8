"""What operators read, from PostgreSQL."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from actors.facts.columns import columns, made
from actors.facts.records import CallStatus, WalletCall
from actors.rules.fairness import Outcome
from actors.rules.money import split_revenue
from server.db.driver.database import Connection, Database
from server.db.stores.bad_rows import PutAside
from server.db.stores.rows import ROUND_COLUMNS, Row, check_round, round_problems
from server.ports.reports import CallReport, NotOursError, RevenueRow, RoundReport
from server.secrets.row_macs import CALL
from server.secrets.vault import Vault

Values = dict[str, Any]

_REVENUE = """
SELECT settled_day, currency, rev_share_bps, sum(stakes_minor) - sum(payouts_minor) AS ggr_minor, sum(rounds) AS rounds
FROM revenue_days WHERE operator_id = $1 AND settled_day BETWEEN $2 AND $3
GROUP BY settled_day, currency, rev_share_bps ORDER BY settled_day, currency
"""


_CALL: Final = (*columns(WalletCall), "status", "acknowledged_at_ms", "last_error", "mac")

# One statement, so that a round and its calls are of one moment. With all that their codes cover.
_WITH_CALLS = f"""
SELECT {ROUND_COLUMNS}, {", ".join(f"t.{name} AS call_{name}" for name in _CALL)}
FROM found r LEFT JOIN transactions t ON t.operator_id = r.operator_id
    AND t.operator_tx_id = ANY (ARRAY['bet-' || r.round_id, 'win-' || r.round_id, 'refund-' || r.round_id])
ORDER BY t.position
"""

READ_ROUND = f"""
WITH found AS MATERIALIZED (SELECT * FROM rounds WHERE operator_id = $1 AND round_id = $2)
{_WITH_CALLS}
"""

FIND_ROUND = f"""
WITH found AS MATERIALIZED (
    SELECT r.* FROM operators o JOIN rounds r ON r.operator_id = o.operator_id AND r.round_id = $1)
{_WITH_CALLS}
"""


class PostgresReports:
    """Implements ``server.ports.reports.Reports`` on top of PostgreSQL."""

    def __init__(self, database: Database, vault: Vault, aside: PutAside | None = None) -> None:
        self._database = database
        self._macs = vault.macs
        self._aside = aside or PutAside()

    async def round_report(self, operator_id: UUID, round_id: UUID) -> RoundReport | None:
        """One of the operator's rounds. What is not as we wrote it is put aside."""
        for row, calls in _by_round(await self._read(READ_ROUND, operator_id, round_id)):
            found = [self._aside.open("rounds", row, self._open_round, is_whole=row["settled_at_ms"] is not None)]
            found += [self._aside.open("transactions", call, self._open_call) for call in calls]
            if None in found:
                raise NotOursError(f"round {round_id} is not as it was written")
            return _report(row, calls)
        return None

    async def find_round(self, round_id: UUID) -> RoundReport | None:
        """Any operator's round. Nothing is put aside: the report has what is wrong."""
        found: RoundReport | None = None
        for row, calls in _by_round(await self._read(FIND_ROUND, round_id)):
            for call in calls:
                call["problem"] = self._macs.problem(CALL, call, call["mac"])
            report = _report(row, calls, round_problems(self._macs, row))
            if found is None or (report.is_ours and not found.is_ours):
                found = report
        return found

    async def _read(self, statement: str, *keys: UUID) -> list[Row]:
        return await self._database.run(lambda connection: connection.fetch(statement, *keys))

    def _open_round(self, row: Row) -> bool:
        check_round(self._macs, row)
        return True

    def _open_call(self, call: Values) -> bool:
        self._macs.check(CALL, call, call["mac"])
        return True

    async def revenue(self, operator_id: UUID, first_day: date, last_day: date) -> list[RevenueRow]:
        """Settled rounds by day and currency; the share is rounded for each group of equal share."""
        return await self._database.run(lambda connection: read_revenue(connection, operator_id, first_day, last_day))


async def read_revenue(connection: Connection, operator_id: UUID, first_day: date, last_day: date) -> list[RevenueRow]:
    """The revenue as ``PostgresReports`` tells it, on a connection of the caller's."""
    rows = await connection.fetch(_REVENUE, operator_id, first_day, last_day)
    return [
        _revenue_row(day, currency, list(shares))
        for (day, currency), shares in groupby(rows, key=lambda row: (row["settled_day"], row["currency"]))
    ]


def _revenue_row(day: date, currency: str, shares: list[Row]) -> RevenueRow:
    split = split_revenue((int(row["ggr_minor"]), row["rev_share_bps"]) for row in shares)
    return RevenueRow(
        period_day=day,
        currency=currency,
        ggr_minor=split.ggr_minor,
        house_share_minor=split.house_share_minor,
        operator_share_minor=split.operator_share_minor,
        rounds=int(sum(row["rounds"] for row in shares)),
    )


def _by_round(rows: Sequence[Row]) -> Iterator[tuple[Row, list[Values]]]:
    """Each operator's round, and its calls in order."""
    found: dict[UUID, list[Row]] = {}
    for row in rows:
        found.setdefault(row["operator_id"], []).append(row)
    for same in found.values():
        calls = [{name: row[f"call_{name}"] for name in _CALL} for row in same if row["call_kind"] is not None]
        yield same[0], calls


def _report(row: Row, calls: Sequence[Values], problems: tuple[str, ...] = ()) -> RoundReport:
    ended = row["settled_at_ms"] is not None
    return made(
        RoundReport,
        row,
        realized_hundredths=row["realized_hundredths"] if ended else None,
        outcome=made(Outcome, row) if ended else None,
        calls=tuple(map(_call_report, calls)),
        problems=problems,
    )


def _call_report(call: Values) -> CallReport:
    due_ms = call["next_attempt_at_ms"] if call["status"] == CallStatus.PENDING else None
    return made(CallReport, call, next_attempt_at_ms=due_ms, problem=call.get("problem"))
