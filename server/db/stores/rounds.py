from uuid import UUID

import trio

from actors.facts.records import FinishedRound, LiveRound, Owner, RoundKey
from server.db.driver.database import Connection, Database
from server.db.driver.statements import dead_owners, few
from server.db.stores.bad_rows import Key, PutAside
from server.db.stores.rows import ROUND_COLUMNS, Row, finished_round, live_round
from server.secrets.vault import Vault

OPENED_AT_ONCE = 8
"""So many rounds of a history are opened in one go, each with a seed to be unsealed and a code to be checked: others'
cash-outs wait for no more."""

_ONE_ROUND = f"SELECT {ROUND_COLUMNS} FROM rounds r WHERE operator_id = $1 AND round_id = $2"

_HISTORY = f"""
SELECT {ROUND_COLUMNS} FROM rounds r
WHERE operator_id = $1 AND operator_player_id = $2 AND settled_at_ms IS NOT NULL
ORDER BY settled_at_ms DESC, round_id DESC LIMIT $3
"""

_HISTORY_BEFORE = f"""
SELECT {ROUND_COLUMNS} FROM rounds r
WHERE operator_id = $1 AND operator_player_id = $2 AND settled_at_ms IS NOT NULL
    AND (settled_at_ms, round_id) < ((
        SELECT b.settled_at_ms FROM rounds b
        WHERE b.operator_id = $1 AND b.round_id = $4 AND b.operator_player_id = $2), $4)
ORDER BY settled_at_ms DESC, round_id DESC LIMIT $3
"""

# A database that has gone back takes everybody for dead, whose newest beats it lacks, and has rounds as live that have ended
# and were paid. Who has not noticed yet must take none of them.
_ORPHANS = f"""
WITH whole AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM nodes WHERE node = $1 AND epoch = $2 AND (heartbeat_at_ms < $7) IS NOT TRUE)
        AND NOT EXISTS (
            SELECT FROM histories h, database_place() p
            WHERE h.restored_at_ms IS NULL AND (h.cut_at_ms IS NOT NULL
                OR h.system_identifier <> p.system_identifier OR h.timeline <> p.timeline)) AS is_whole
), {dead_owners("SELECT owner_node, owner_epoch FROM rounds WHERE status IN ('betting', 'flying')")}, orphans AS (
    SELECT r.operator_id, r.round_id, d.flown_at_ms
    FROM (SELECT d.*, FALSE AS is_self FROM dead d UNION ALL SELECT $1::text, $2::bigint, 0, TRUE) d
    JOIN rounds r ON r.owner_node = d.node AND r.owner_epoch = d.epoch
    WHERE r.status IN ('betting', 'flying') AND (NOT d.is_self OR r.interrupted_at_ms IS NOT NULL)
        AND (r.operator_id, r.round_id) NOT IN (SELECT * FROM unnest($5::uuid[], $6::uuid[]))
        AND (SELECT is_whole FROM whole)
    ORDER BY r.created_at_ms, r.round_id LIMIT $4 FOR NO KEY UPDATE OF r SKIP LOCKED
)
UPDATE rounds r
SET owner_node = $1, owner_epoch = $2, interrupted_at_ms = coalesce(r.interrupted_at_ms, f.flown_at_ms)
FROM {few("orphans", "operator_id", "round_id", "flown_at_ms")}
WHERE r.operator_id = f.operator_id AND r.round_id = f.round_id
RETURNING {ROUND_COLUMNS}
"""

_OWN_LIVE = """
SELECT r.operator_id, r.session_id, r.round_id, s.token_digest
FROM rounds r CROSS JOIN LATERAL (
    SELECT * FROM sessions s WHERE s.operator_id = r.operator_id AND s.session_id = r.session_id OFFSET 0) s
WHERE r.owner_node = $1 AND r.owner_epoch = $2 AND r.status IN ('betting', 'flying') AND r.interrupted_at_ms IS NULL
    AND r.created_at_ms < $3
    AND NOT EXISTS (SELECT FROM session_requests q WHERE q.operator_id = r.operator_id AND q.session_id = r.session_id
                    AND q.to_node = $1 AND q.to_epoch = $2)
ORDER BY r.created_at_ms, r.round_id LIMIT $4
"""


class PostgresRounds:
    """Implements ``actors.ports.rounds.Rounds``. Every method is one crossing, but where a batch was of rows that do not open."""

    def __init__(self, database: Database, vault: Vault, aside: PutAside | None = None) -> None:
        self._database = database
        self._vault = vault
        self._aside = aside or PutAside()

    async def history(
        self, operator_id: UUID, operator_player_id: str, before: UUID | None, limit: int
    ) -> tuple[list[FinishedRound], bool]:
        """A page and whether there are more."""
        statement, *edge = (_HISTORY,) if before is None else (_HISTORY_BEFORE, before)
        rows = await self._database.run(
            lambda connection: connection.fetch(statement, operator_id, operator_player_id, limit + 1, *edge)
        )
        found: list[FinishedRound] = []
        shown = rows[:limit]
        for first in range(0, len(shown), OPENED_AT_ONCE):
            some = shown[first : first + OPENED_AT_ONCE]
            found += self._aside.opened("rounds", some, lambda row: finished_round(self._vault, row))
            await trio.lowlevel.checkpoint()
        return found, len(rows) > limit

    async def live_round(self, operator_id: UUID, round_id: UUID) -> LiveRound | None:
        """The round while it is live."""
        row = await self._database.run(lambda connection: connection.fetchrow(_ONE_ROUND, operator_id, round_id))
        return None if row is None or row["settled_at_ms"] is not None else self._live_round(row)

    async def finished_round(self, operator_id: UUID, round_id: UUID) -> FinishedRound | None:
        """The round once it has ended."""
        row = await self._database.run(lambda connection: connection.fetchrow(_ONE_ROUND, operator_id, round_id))
        if row is None or row["settled_at_ms"] is None:
            return None
        return self._aside.open("rounds", row, lambda row: finished_round(self._vault, row))

    async def take_orphans(
        self, owner: Owner, lease_ms: int, limit: int, written_ms: int | None = None
    ) -> list[LiveRound]:
        """Rounds of the dead, now ours. What was put aside before is left out, and a batch of nothing else is followed
        by the next one: however many bad rows there are, they are not in the way of the good ones."""
        aside: list[Key] = []

        async def take(connection: Connection) -> list[Row]:
            left_out = [key[0] for key in aside], [key[1] for key in aside]
            rows: list[Row] = await connection.fetch(
                _ORPHANS, owner.node, owner.epoch, lease_ms, limit, *left_out, written_ms
            )
            return rows

        while True:
            aside = self._aside.keys("rounds")
            rows = await self._database.run(take)
            found = [live for live in map(self._live_round, rows) if live is not None]
            if found or len(rows) < limit or self._aside.keys("rounds") == aside:
                return sorted(found, key=lambda live: (live.created_at_ms, live.round_id))

    async def own_live_rounds(self, owner: Owner, before_ms: int, limit: int) -> list[RoundKey]:
        """What this node should be playing."""
        rows = await self._database.run(
            lambda connection: connection.fetch(_OWN_LIVE, owner.node, owner.epoch, before_ms, limit)
        )
        return [RoundKey(**row) for row in rows]

    def _live_round(self, row: Row) -> LiveRound | None:
        return self._aside.open("rounds", row, lambda row: live_round(self._vault, row))
