"""The statements by which one living node asks another for a session, and gets it."""

from actors.facts.records import Owner, SessionRequest
from actors.ports.handovers import REQUESTS_MAX
from server.db.driver.database import Database

FORGOTTEN_AFTER_MS = 60_000
"""A request this old is of nobody who still waits."""

_SESSION_OF_Q = """CROSS JOIN LATERAL (
    SELECT * FROM sessions s WHERE s.operator_id = q.operator_id AND s.session_id = q.session_id OFFSET 0) s"""
"""The session of a request ``q`` as ``s``, found by its key: the planner, who can't know how short the list is, must
not read all sessions instead."""

_REQUEST = f"""
WITH forgotten AS (
    DELETE FROM session_requests WHERE (operator_id, session_id, to_node, to_epoch) IN (
        SELECT q.operator_id, q.session_id, q.to_node, q.to_epoch
        FROM session_requests q {_SESSION_OF_Q}
        -- What a node was given and has not taken up yet must stay, or nobody would end its flight.
        WHERE q.asked_at_ms < (SELECT database_ms()) - $4 AND (q.to_node, q.to_epoch) <> ($2, $3)
            AND ((s.owner_node, s.owner_epoch) IS DISTINCT FROM (q.to_node, q.to_epoch)
                OR EXISTS (SELECT FROM nodes l WHERE l.node = q.to_node AND l.epoch > q.to_epoch))
        ORDER BY q.asked_at_ms LIMIT 100 FOR UPDATE OF q SKIP LOCKED)
)
INSERT INTO session_requests (operator_id, session_id, to_node, to_epoch, asked_at_ms)
SELECT s.operator_id, s.session_id, $2, $3, database_ms() FROM sessions s WHERE s.token_digest = $1
ON CONFLICT (operator_id, session_id, to_node, to_epoch) DO UPDATE SET asked_at_ms = excluded.asked_at_ms
"""

# The lock waits for a move that is under way: what that has given must not be withdrawn any more.
_WITHDRAW = """
WITH held AS MATERIALIZED (SELECT s.* FROM sessions s WHERE s.token_digest = $1 FOR SHARE)
DELETE FROM session_requests q USING held h
WHERE q.operator_id = h.operator_id AND q.session_id = h.session_id AND q.to_node = $2 AND q.to_epoch = $3
    AND (h.owner_node, h.owner_epoch) IS DISTINCT FROM ($2, $3)
"""

_TAKEN_UP = """
DELETE FROM session_requests WHERE operator_id = $1 AND session_id = $2 AND to_node = $3 AND to_epoch = $4
"""

# Every node of several asks this again and again: it reads the requests there are, usually none, and each one's session
# by its key. With none a round trip over a local socket takes 0.08 ms and touches three pages in memory.
_REQUESTS = f"""
SELECT q.operator_id, q.session_id, s.token_digest, q.to_node, q.to_epoch, q.asked_at_ms
FROM session_requests q {_SESSION_OF_Q}
LEFT JOIN nodes n ON n.node = q.to_node AND n.epoch = q.to_epoch
WHERE s.owner_node = $1 AND s.owner_epoch = $2
    AND ((q.to_node, q.to_epoch) = ($1, $2) OR q.asked_at_ms > (SELECT database_ms()) - $4
        AND n.heartbeat_at_ms > (SELECT database_ms()) - $3 AND n.ended_at_ms IS NULL
        AND NOT EXISTS (SELECT FROM nodes l WHERE l.node = q.to_node AND l.epoch > q.to_epoch))
ORDER BY q.asked_at_ms, q.session_id LIMIT $5
"""

_MOVE = "SELECT move_session_4($1, $2, $3, $4, $5, $6, $7)"


class PostgresHandOvers:
    """Implements ``actors.ports.handovers.HandOvers`` on top of PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def request_session(self, token_digest: bytes, asker: Owner) -> None:
        """Ask the owner for a session."""
        values = token_digest, asker.node, asker.epoch, FORGOTTEN_AFTER_MS
        await self._database.run(lambda connection: connection.execute(_REQUEST, *values))

    async def withdraw_request(self, token_digest: bytes, asker: Owner) -> None:
        values = token_digest, asker.node, asker.epoch
        await self._database.run(lambda connection: connection.execute(_WITHDRAW, *values))

    async def end_request(self, request: SessionRequest) -> None:
        """What was asked for is here and at work."""
        values = request.operator_id, request.session_id, request.asker.node, request.asker.epoch
        await self._database.run(lambda connection: connection.execute(_TAKEN_UP, *values))

    async def session_requests(self, owner: Owner, lease_ms: int, age_ms_max: int) -> list[SessionRequest]:
        """What others ask of this node, and what it was given."""
        values = owner.node, owner.epoch, lease_ms, age_ms_max, REQUESTS_MAX
        rows = await self._database.run(lambda connection: connection.fetch(_REQUESTS, *values))
        return [
            SessionRequest(
                operator_id=row["operator_id"],
                session_id=row["session_id"],
                token_digest=bytes(row["token_digest"]),
                asker=Owner(row["to_node"], row["to_epoch"]),
                asked_at_ms=row["asked_at_ms"],
            )
            for row in rows
        ]

    async def move_session(self, owner: Owner, request: SessionRequest, lease_ms: int) -> bool:
        """Give a session and its flight away."""
        key, asker = (request.operator_id, request.session_id), request.asker
        values = *key, owner.node, owner.epoch, asker.node, asker.epoch, lease_ms
        return bool(await self._database.run(lambda connection: connection.fetchval(_MOVE, *values)))
