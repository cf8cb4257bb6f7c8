"""The outbox for the person at the command line, and the log of what was done about them."""

from uuid import UUID

from actors.facts.records import CallKind, CallStatus
from server.db.driver.database import Connection, Database
from server.db.stores.rows import Row
from server.ports.outbox import Action, ActionRecord, ActionRefusedError, ActionRequest, OutboxCall
from server.secrets.row_macs import ACTION, CALL
from server.secrets.vault import Vault

_LIST = """
SELECT t.*, r.currency
FROM transactions t JOIN rounds r USING (operator_id, round_id)
WHERE (t.status = 'parked' OR t.status = 'pending' AND t.kind <> 'bet' AND t.created_at_ms <= database_ms() - $2)
    AND ($1::uuid IS NULL OR t.operator_id = $1)
ORDER BY t.created_at_ms, t.operator_id, t.operator_tx_id
"""

# What is claimed, and what is due, is judged by the clock that all nodes share, not by that of the command's machine.
_LOCK = """
SELECT *, claim_node IS NOT NULL AND next_attempt_at_ms > database_ms() AS is_claimed, database_ms() AS now_ms
FROM transactions WHERE operator_tx_id = $1 AND ($2::uuid IS NULL OR operator_id = $2) FOR UPDATE
"""

_RETRY = """
UPDATE transactions SET status = 'pending', next_attempt_at_ms = $3, refused_since_ms = NULL, not_before_ms = NULL,
    claim_node = NULL, claim_epoch = NULL
WHERE operator_id = $1 AND operator_tx_id = $2
"""

_RESOLVE = """
UPDATE transactions SET status = 'acknowledged', acknowledged_at_ms = $3, claim_node = NULL, claim_epoch = NULL
WHERE operator_id = $1 AND operator_tx_id = $2
"""

_RECORD = """
INSERT INTO wallet_actions (operator_id, operator_tx_id, action, by_whom, reason, at_ms, status_before, status_after,
    mac)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""

_ACTIONS = """
SELECT * FROM wallet_actions
WHERE $1::uuid IS NULL OR operator_id = $1 ORDER BY action_id
"""

_AFTER = {Action.RETRY: CallStatus.PENDING, Action.RESOLVE: CallStatus.ACKNOWLEDGED}


class PostgresWalletActions:
    """Raises ``actors.ports.ledger.LedgerUnavailableError`` on database trouble. What is not ours is listed as such."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._macs = vault.macs

    async def outbox(self, operator_id: UUID | None, overdue_ms: int) -> list[OutboxCall]:
        """Parked calls, and those that have been pending for ``overdue_ms`` or longer, the oldest first."""
        rows = await self._database.run(lambda connection: connection.fetch(_LIST, operator_id, overdue_ms))
        return [self._outbox_call(row) for row in rows]

    async def act(self, request: ActionRequest) -> ActionRecord:
        """Do it and record it, in one transaction. Raises ``ActionRefusedError``."""

        async def work(connection: Connection) -> ActionRecord:
            row = _only(request, await connection.fetch(_LOCK, request.operator_tx_id, request.operator_id))
            problem = self._macs.problem(CALL, row, row["mac"])
            if problem is not None:
                raise ActionRefusedError(f"{request.operator_tx_id} is no call of ours: {problem}")
            now_ms: int = row["now_ms"]
            record = ActionRecord(
                operator_id=row["operator_id"],
                operator_tx_id=request.operator_tx_id,
                action=request.action,
                by_whom=request.by_whom,
                reason=request.reason,
                at_ms=now_ms,
                status_before=CallStatus(row["status"]),
                status_after=_AFTER[request.action],
            )
            change = _RETRY if request.action is Action.RETRY else _RESOLVE
            await connection.execute(change, record.operator_id, record.operator_tx_id, now_ms)
            values = (record.by_whom, record.reason, now_ms, record.status_before, record.status_after)
            mac = self._macs.of_record(ACTION, record)
            await connection.execute(_RECORD, record.operator_id, record.operator_tx_id, record.action, *values, mac)
            return record

        return await self._database.in_transaction(work)

    async def actions(self, operator_id: UUID | None) -> list[ActionRecord]:
        """All that was ever done, in order."""
        rows = await self._database.run(lambda connection: connection.fetch(_ACTIONS, operator_id))
        return [self._record(row) for row in rows]

    def _outbox_call(self, row: Row) -> OutboxCall:
        return OutboxCall(
            operator_id=row["operator_id"],
            operator_tx_id=row["operator_tx_id"],
            round_id=row["round_id"],
            kind=CallKind(row["kind"]),
            amount_minor=row["amount_minor"],
            currency=row["currency"],
            status=CallStatus(row["status"]),
            attempts=row["attempts"],
            created_at_ms=row["created_at_ms"],
            next_attempt_at_ms=row["next_attempt_at_ms"],
            last_error=row["last_error"],
            problem=self._macs.problem(CALL, row, row["mac"]),
        )

    def _record(self, row: Row) -> ActionRecord:
        return ActionRecord(
            operator_id=row["operator_id"],
            operator_tx_id=row["operator_tx_id"],
            action=Action(row["action"]),
            by_whom=row["by_whom"],
            reason=row["reason"],
            at_ms=row["at_ms"],
            status_before=CallStatus(row["status_before"]),
            status_after=CallStatus(row["status_after"]),
            problem=self._macs.problem(ACTION, row, row["mac"]),
        )


def _only(request: ActionRequest, rows: list[Row]) -> Row:
    """The one call that the request is about, if it may be changed."""
    if not rows:
        raise ActionRefusedError(f"there is no wallet call {request.operator_tx_id}")
    if len(rows) > 1:
        raise ActionRefusedError(f"several operators have a call {request.operator_tx_id}: say which with --operator")
    (row,) = rows
    if row["kind"] == CallKind.BET:
        raise ActionRefusedError("a bet is never sent again: its round has ended without it")
    if row["status"] == CallStatus.ACKNOWLEDGED:
        raise ActionRefusedError(f"{request.operator_tx_id} is acknowledged already")
    if row["is_claimed"]:
        raise ActionRefusedError(f"{request.operator_tx_id} is being sent at this moment: try again in half a minute")
    return row
