"""Whether the rows are as the holder of the master key wrote them: their codes, and what only the key opens.

The other checks ask whether the books agree with themselves. Whoever can write to the database can make books that do.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from server.books.recompute import streamed
from server.books.reconcile import CheckResult, Finding, Scope
from server.db.driver.database import Connection
from server.db.stores.bad_rows import DOES_NOT_OPEN, told
from server.db.stores.operators import SELECT_OPERATORS, PostgresOperatorStore
from server.db.stores.rows import ROUND_COLUMNS, Row, check_round, check_session, commitment, live_round, wallet_call
from server.secrets.row_macs import ACTION, LOST_BET
from server.secrets.vault import Vault

_OPERATORS: Final = f"""
{SELECT_OPERATORS} WHERE ($1::uuid IS NULL OR o.operator_id = $1) AND $2::bigint <= $3 ORDER BY o.operator_id
"""

# Also those whose day has been changed: of a round or a call that is looked at.
_SESSIONS: Final = """
SELECT s.* FROM sessions s
WHERE ($1::uuid IS NULL OR s.operator_id = $1) AND (s.created_at_ms >= $2 AND s.created_at_ms < $3 OR EXISTS (
    SELECT FROM rounds r WHERE r.operator_id = s.operator_id AND r.session_id = s.session_id
    AND r.created_at_ms >= $2 AND r.created_at_ms < $3))
"""

_ROUNDS: Final = f"""
SELECT {ROUND_COLUMNS} FROM rounds r
WHERE ($1::uuid IS NULL OR r.operator_id = $1) AND r.created_at_ms >= $2 AND r.created_at_ms < $3
"""

_CALLS: Final = """
SELECT t.* FROM transactions t LEFT JOIN rounds r ON r.operator_id = t.operator_id AND r.round_id = t.round_id
WHERE ($1::uuid IS NULL OR t.operator_id = $1)
    AND (t.created_at_ms >= $2 AND t.created_at_ms < $3 OR r.created_at_ms >= $2 AND r.created_at_ms < $3)
"""

# Of all days: there are few of them, and each may be looked at.
_ACTIONS: Final = """
SELECT a.*, a.action || ' of ' || a.operator_tx_id AS what FROM wallet_actions a
WHERE ($1::uuid IS NULL OR a.operator_id = $1) AND $2::bigint <= $3
"""

_LOST_BETS: Final = "SELECT b.* FROM lost_bets b WHERE ($1::uuid IS NULL OR b.operator_id = $1) AND $2::bigint <= $3"


class _Check(NamedTuple):
    """A check of each row of a query. ``key`` is the column that names a row; ``opened`` raises if it is not ours."""

    name: str
    what: str
    key: str
    query: str
    opened: Callable[[Row], object]


async def check_written(
    connection: Connection, scope: Scope, operators: PostgresOperatorStore, vault: Vault
) -> list[CheckResult]:
    """Each row by itself, in batches."""

    def open_session(row: Row) -> None:
        check_session(vault.macs, row)
        commitment(vault, row)

    def open_round(row: Row) -> None:
        if row["status"] in {"betting", "flying"}:
            live_round(vault, row)
        else:
            check_round(vault.macs, row)

    def open_call(row: Row) -> None:
        wallet_call(vault, row)

    def open_action(row: Row) -> None:
        vault.macs.check(ACTION, row, row["mac"])

    def open_lost_bet(row: Row) -> None:
        vault.macs.check(LOST_BET, row, row["mac"])

    checks = (
        _Check("operators", "an operator", "operator_id", _OPERATORS, operators.opened),
        _Check("sessions", "a session", "session_id", _SESSIONS, open_session),
        _Check("rounds", "a round", "round_id", _ROUNDS, open_round),
        _Check("calls", "a wallet call", "operator_tx_id", _CALLS, open_call),
        _Check("actions", "what a person did about a wallet call", "what", _ACTIONS, open_action),
        _Check("lost_bets", "a bet that a restored database does not know", "round_id", _LOST_BETS, open_lost_bet),
    )
    return [await _checked(connection, scope, check) for check in checks]


async def _checked(connection: Connection, scope: Scope, check: _Check) -> CheckResult:
    rule = f"{check.what} is as this server wrote it, and opens with the master key"
    query = (check.query, *scope.arguments)
    return await streamed(connection, f"written_{check.name}", rule, query, lambda row: _finding(row, check))


def _finding(row: Row, check: _Check) -> Finding | None:
    try:
        check.opened(row)
    except DOES_NOT_OPEN as error:
        name, kind = row[check.key], check.key.removesuffix("_id")
        subject = str(name) if check.name in {"calls", "actions"} else f"{kind} {name}"
        return Finding(row["operator_id"], subject, told(error))
    return None
