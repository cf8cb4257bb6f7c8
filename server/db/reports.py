"""What operators read, from PostgreSQL."""

from collections.abc import Sequence
from datetime import date
from itertools import groupby
from uuid import UUID

import orjson

from actors.records import CallKind, CallStatus, RoundStatus
from actors.rules.money import split_revenue
from actors.rules.settlement import Result
from server.db import statements as sql
from server.db.database import Connection, Database
from server.db.rows import Row, stored_outcome
from server.reports import CallReport, RevenueRow, RoundReport

_REVENUE = """
SELECT settled_day, currency, rev_share_bps, sum(stakes_minor) - sum(payouts_minor) AS ggr_minor, sum(rounds) AS rounds
FROM revenue_days WHERE operator_id = $1 AND settled_day BETWEEN $2 AND $3
GROUP BY settled_day, currency, rev_share_bps ORDER BY settled_day, currency
"""


class PostgresReports:
    """Implements ``server.reports.Reports``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def round_report(self, operator_id: UUID, round_id: UUID) -> RoundReport | None:
        """One of the operator's rounds."""
        return _report(await self._database.read_round(operator_id, round_id))

    async def find_round(self, round_id: UUID) -> RoundReport | None:
        """Any operator's round."""
        rows = await self._database.run(lambda connection: connection.fetch(sql.FIND_ROUND, round_id))
        return _report([row[0] for row in rows])

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


def _report(documents: Sequence[str]) -> RoundReport | None:
    if not documents:
        return None
    rows = [orjson.loads(document) for document in documents]
    row = rows[0]
    ended = row["settled_at_ms"] is not None
    return RoundReport(
        operator_id=UUID(row["operator_id"]),
        round_id=UUID(row["round_id"]),
        session_id=UUID(row["session_id"]),
        operator_player_id=row["operator_player_id"],
        status=RoundStatus(row["status"]),
        result=None if row["result"] is None else Result(row["result"]),
        reason=row["reason"],
        currency=row["currency"],
        amount_minor=row["amount_minor"],
        auto_cashout_hundredths=row["auto_cashout_hundredths"],
        payout_minor=row["payout_minor"],
        realized_hundredths=row["realized_hundredths"] if ended else None,
        server_seed=row["server_seed"],
        server_seed_hash=row["server_seed_hash"],
        client_seed=row["client_seed"],
        nonce=row["nonce"],
        outcome=stored_outcome(row) if ended else None,
        rtp_bps=row["rtp_bps"],
        max_win_multiplier=row["max_win_multiplier"],
        rev_share_bps=row["rev_share_bps"],
        created_at_ms=row["created_at_ms"],
        started_at_ms=row["started_at_ms"],
        settled_at_ms=row["settled_at_ms"],
        calls=tuple(_call_report(call) for call in rows if call["operator_tx_id"] is not None),
    )


def _call_report(row: Row) -> CallReport:
    status = CallStatus(row["call_status"])
    return CallReport(
        operator_tx_id=row["operator_tx_id"],
        kind=CallKind(row["kind"]),
        amount_minor=row["call_minor"],
        attempts=row["attempts"],
        status=status,
        created_at_ms=row["called_at_ms"],
        acknowledged_at_ms=row["acknowledged_at_ms"],
        next_attempt_at_ms=row["next_attempt_at_ms"] if status is CallStatus.PENDING else None,
        last_error=row["last_error"],
    )
