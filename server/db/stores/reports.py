"""What operators read, from PostgreSQL."""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any
from uuid import UUID

import msgspec

from actors.facts.records import CallKind, CallStatus, RoundStatus
from actors.rules.money import split_revenue
from actors.rules.settlement import Result
from server.db.driver import statements as sql
from server.db.driver.database import Connection, Database
from server.db.stores.aside import PutAside
from server.db.stores.rows import Row, check_round, round_problems, stored_outcome
from server.ports.reports import CallReport, NotOursError, RevenueRow, RoundReport
from server.secrets.row_macs import CALL
from server.secrets.vault import Vault

Values = dict[str, Any]

_REVENUE = """
SELECT settled_day, currency, rev_share_bps, sum(stakes_minor) - sum(payouts_minor) AS ggr_minor, sum(rounds) AS rounds
FROM revenue_days WHERE operator_id = $1 AND settled_day BETWEEN $2 AND $3
GROUP BY settled_day, currency, rev_share_bps ORDER BY settled_day, currency
"""


class PostgresReports:
    """Implements ``server.ports.reports.Reports``."""

    def __init__(self, database: Database, vault: Vault, aside: PutAside | None = None) -> None:
        self._database = database
        self._macs = vault.macs
        self._aside = aside or PutAside()

    async def round_report(self, operator_id: UUID, round_id: UUID) -> RoundReport | None:
        """One of the operator's rounds. What is not as we wrote it is put aside."""
        for row, calls in _by_round(await self._told(sql.READ_ROUND, operator_id, round_id)):
            found = [self._aside.open("rounds", row, self._open_round, is_whole=row["settled_at_ms"] is not None)]
            found += [self._aside.open("transactions", call, self._open_call) for call in calls]
            if None in found:
                raise NotOursError(f"round {round_id} is not as it was written")
            return _report(row, calls)
        return None

    async def find_round(self, round_id: UUID) -> RoundReport | None:
        """Any operator's round. Nothing is put aside: the report has what is wrong."""
        found: RoundReport | None = None
        for row, calls in _by_round(await self._told(sql.FIND_ROUND, round_id)):
            for call in calls:
                call["problem"] = self._macs.problem(CALL, call, call["mac"])
            report = _report(row, calls, round_problems(self._macs, row))
            if found is None or (report.is_ours and not found.is_ours):
                found = report
        return found

    async def _told(self, statement: str, *keys: UUID) -> list[str]:
        rows = await self._database.run(lambda connection: connection.fetch(statement, *keys))
        return [row[0] for row in rows]

    def _open_round(self, row: Values) -> bool:
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


def _by_round(documents: Sequence[str]) -> Iterator[tuple[Values, list[Values]]]:
    """Each round and its calls in order, with values of the types that they are stored as."""
    rows: dict[str, list[Values]] = {}
    for document in documents:
        row = msgspec.json.decode(document)
        rows.setdefault(row["operator_id"], []).append(row)
    for same in rows.values():
        yield _stored_round(same[0]), [_stored_call(row) for row in same if row["operator_tx_id"] is not None]


def _stored_round(row: Values) -> Values:
    ids = {name: UUID(row[name]) for name in ("operator_id", "round_id", "session_id")}
    codes = {name: _bytes(row[name]) for name in ("bet_mac", "start_mac", "end_mac")}
    return row | ids | codes | {"growth_rate_per_ms": Decimal(row["growth_rate_per_ms"])}


def _stored_call(row: Values) -> Values:
    return row | {
        "operator_id": UUID(row["operator_id"]),
        "round_id": UUID(row["call_round_id"]),
        "session_id": UUID(row["call_session_id"]),
        "amount_minor": row["call_minor"],
        "body": _bytes(row["body"]),
        "created_at_ms": row["called_at_ms"],
        "mac": _bytes(row["call_mac"]),
        "problem": None,
    }


def _bytes(text: str | None) -> bytes | None:
    """As PostgreSQL writes bytes in JSON."""
    return None if text is None else bytes.fromhex(text.removeprefix("\\x"))


def _report(row: Values, calls: Sequence[Values], problems: tuple[str, ...] = ()) -> RoundReport:
    ended = row["settled_at_ms"] is not None
    return RoundReport(
        operator_id=row["operator_id"],
        round_id=row["round_id"],
        session_id=row["session_id"],
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
        calls=tuple(map(_call_report, calls)),
        problems=problems,
    )


def _call_report(row: Values) -> CallReport:
    status = CallStatus(row["call_status"])
    return CallReport(
        operator_tx_id=row["operator_tx_id"],
        kind=CallKind(row["kind"]),
        amount_minor=row["amount_minor"],
        attempts=row["attempts"],
        status=status,
        created_at_ms=row["created_at_ms"],
        acknowledged_at_ms=row["acknowledged_at_ms"],
        next_attempt_at_ms=row["next_attempt_at_ms"] if status is CallStatus.PENDING else None,
        last_error=row["last_error"],
        problem=row["problem"],
    )
