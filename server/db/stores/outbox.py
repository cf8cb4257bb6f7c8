"""The outbox: wins and refunds, claimed when they are due, released when their claimer is dead, counted."""

from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID

from actors.facts.records import OutboxCount, Owner, WalletCall
from actors.ports.outbox import NOT_AHEAD
from server.db.driver.database import Database
from server.db.driver.statements import dead_owners, few
from server.db.stores.bad_rows import PutAside
from server.db.stores.rows import CALL_COLUMNS, Row, wallet_call
from server.secrets.vault import Vault

# A claim that a failure of the database forgets is made again, and the call is sent twice: harmless, and rarer than
# the disk's delays would be. Hence ``relaxed``, which holds for this statement's own transaction.
# What is due later than now, up to an operator's ``ahead_until_ms``, comes last, and never if it is claimed or held back.
# A call that is being changed is left for the next claim. Two pending calls of a session are rare: a person has taken
# up a parked one.
_CLAIM = f"""
WITH now AS MATERIALIZED (SELECT database_ms() AS ms), due AS (
    SELECT d.operator_id, d.operator_tx_id
    FROM (SELECT set_config('synchronous_commit', 'off', true)) AS relaxed
    CROSS JOIN unnest($1::uuid[], $2::int[], $6::bigint[]) AS l (operator_id, quota, ahead_until_ms) CROSS JOIN LATERAL (
        SELECT t.operator_id, t.operator_tx_id FROM transactions t
        WHERE t.operator_id = l.operator_id AND t.status = 'pending' AND t.kind <> 'bet'
            AND t.next_attempt_at_ms <= greatest(l.ahead_until_ms, (SELECT ms FROM now))
            AND (t.next_attempt_at_ms <= (SELECT ms FROM now)
                OR t.claim_node IS NULL AND coalesce(t.not_before_ms, 0) <= (SELECT ms FROM now))
            AND NOT EXISTS (SELECT FROM transactions e WHERE e.operator_id = t.operator_id AND e.session_id = t.session_id
                            AND e.status = 'pending' AND e.kind <> 'bet' AND e.position <> t.position
                            AND (e.position < t.position
                                OR e.claim_node IS NOT NULL AND e.next_attempt_at_ms > (SELECT ms FROM now)))
        ORDER BY t.next_attempt_at_ms, t.operator_tx_id LIMIT l.quota FOR NO KEY UPDATE OF t SKIP LOCKED
    ) d
), claimed AS (
    UPDATE transactions t SET next_attempt_at_ms = (SELECT ms FROM now) + $3, claim_node = $4, claim_epoch = $5
    FROM {few("due", "operator_id", "operator_tx_id")}
    WHERE t.operator_id = f.operator_id AND t.operator_tx_id = f.operator_tx_id
    RETURNING t.*
)
SELECT {CALL_COLUMNS} FROM claimed ORDER BY created_at_ms, operator_tx_id
"""

_RELEASE = f"""
WITH {dead_owners("SELECT claim_node, claim_epoch FROM transactions WHERE claim_node IS NOT NULL")}, orphaned AS (
    SELECT t.operator_id, t.operator_tx_id
    FROM dead d JOIN transactions t ON t.claim_node = d.node AND t.claim_epoch = d.epoch
    LIMIT $4 FOR NO KEY UPDATE OF t SKIP LOCKED
), released AS (
    UPDATE transactions t
    SET next_attempt_at_ms = least(t.next_attempt_at_ms, (SELECT database_ms())), claim_node = NULL, claim_epoch = NULL
    FROM {few("orphaned", "operator_id", "operator_tx_id")}
    WHERE t.operator_id = f.operator_id AND t.operator_tx_id = f.operator_tx_id
    RETURNING 1
)
SELECT count(*) FROM released
"""

_PARK = """
UPDATE transactions t
SET status = 'parked', claim_node = NULL, claim_epoch = NULL, last_error = 'not sent: it is not a call that we wrote'
FROM unnest($3::uuid[], $4::text[]) AS i (operator_id, operator_tx_id)
WHERE t.operator_id = i.operator_id AND t.operator_tx_id = i.operator_tx_id
    AND t.status = 'pending' AND t.claim_node = $1 AND t.claim_epoch = $2
"""

# One that somebody has locked stays claimed until its claim ends.
_GIVE_UP = f"""
WITH unsent AS (
    SELECT t.operator_id, t.operator_tx_id FROM transactions t
    WHERE t.claim_node = $1 AND t.claim_epoch = $2 AND t.operator_tx_id <> ALL($3) AND t.created_at_ms < $4
    FOR NO KEY UPDATE OF t SKIP LOCKED
), given_up AS (
    UPDATE transactions t
    SET next_attempt_at_ms = least(t.next_attempt_at_ms, (SELECT database_ms())), claim_node = NULL, claim_epoch = NULL
    FROM {few("unsent", "operator_id", "operator_tx_id")}
    WHERE t.operator_id = f.operator_id AND t.operator_tx_id = f.operator_tx_id
    RETURNING 1
)
SELECT count(*) FROM given_up
"""

_BACKLOGS = """
SELECT operator_id, count(*) FILTER (WHERE status = 'pending') AS pending,
       min(created_at_ms) FILTER (WHERE status = 'pending') AS oldest_created_at_ms,
       count(*) FILTER (WHERE status = 'parked') AS parked,
       count(*) FILTER (WHERE status = 'pending' AND refused_since_ms IS NOT NULL) AS refused
FROM (
    SELECT operator_id, status, created_at_ms, refused_since_ms FROM transactions
    WHERE status = 'pending' AND kind <> 'bet'
    UNION ALL
    SELECT operator_id, status, created_at_ms, refused_since_ms FROM transactions WHERE status = 'parked'
) undelivered
GROUP BY operator_id ORDER BY operator_id
"""

OUTBOX_OF = f"""
SELECT {CALL_COLUMNS} FROM transactions
WHERE operator_id = $1 AND session_id = $2 AND status = 'pending' AND kind <> 'bet' ORDER BY position
"""


class PostgresOutbox:
    """Implements ``actors.ports.outbox.Outbox`` on top of PostgreSQL."""

    def __init__(self, database: Database, vault: Vault, aside: PutAside | None = None) -> None:
        self._database = database
        self._vault = vault
        self._aside = aside or PutAside()

    async def outbox_of(self, operator_id: UUID, session_id: UUID) -> list[WalletCall]:
        rows = await self._database.run(lambda connection: connection.fetch(OUTBOX_OF, operator_id, session_id))
        return self._opened(rows)

    async def claim_calls(
        self,
        owner: Owner,
        quotas: Mapping[UUID, int],
        claim_ms: int,
        ahead_until_ms: Mapping[UUID, int] = NOT_AHEAD,
    ) -> list[WalletCall]:
        """What is due, claimed. What does not open is parked for a person, and so in nobody's way."""
        rows = await self._claim(owner, quotas, claim_ms, ahead_until_ms)
        calls = self._opened(rows)
        if len(calls) < len(rows):
            good = {(call.operator_id, call.operator_tx_id) for call in calls}
            claimed = [(row["operator_id"], row["operator_tx_id"]) for row in rows]
            await self._park(owner, [key for key in claimed if key not in good])
        return calls

    async def give_up_claims(self, owner: Owner, in_flight: Sequence[str], now_ms: int) -> int:
        """What this node had claimed and does not send is due again."""
        values = owner.node, owner.epoch, list(in_flight), now_ms
        return int(await self._database.run(lambda connection: connection.fetchval(_GIVE_UP, *values)))

    async def release_claims(self, owner: Owner, lease_ms: int, limit: int) -> int:
        """What the dead had claimed is due again."""
        values = owner.node, owner.epoch, lease_ms, limit
        return int(await self._database.run(lambda connection: connection.fetchval(_RELEASE, *values)))

    async def outbox_counts(self) -> list[OutboxCount]:
        """What is pending or parked, by operator."""
        rows = await self._database.run(lambda connection: connection.fetch(_BACKLOGS))
        return [OutboxCount(**row) for row in rows]

    async def _claim(
        self, owner: Owner, quotas: Mapping[UUID, int], claim_ms: int, ahead_until_ms: Mapping[UUID, int]
    ) -> list[Row]:
        until_ms = [ahead_until_ms.get(operator_id) for operator_id in quotas]
        values = list(quotas.keys()), list(quotas.values()), claim_ms, owner.node, owner.epoch, until_ms
        rows: list[Row] = await self._database.run(lambda connection: connection.fetch(_CLAIM, *values))
        return rows

    async def _park(self, owner: Owner, keys: Sequence[tuple[UUID, str]]) -> None:
        """Park what the owner has claimed and must not send: operator and transaction."""
        operator_ids, tx_ids = zip(*keys, strict=True)
        values = owner.node, owner.epoch, list(operator_ids), list(tx_ids)
        await self._database.run(lambda connection: connection.execute(_PARK, *values))

    def _opened(self, rows: Sequence[Row]) -> list[WalletCall]:
        return self._aside.opened("transactions", rows, partial(wallet_call, self._vault))
