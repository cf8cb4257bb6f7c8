"""The statements by which a life of a node begins, shows that it goes on, and ends; and by which the dead are found.

A life holds a session-level advisory lock on its epoch, by the connection that its heartbeats go through. The database
gives the lock up when that connection ends, as it does at once with its process: so whoever gets the lock of a life
that is silent knows that it is over, and need not wait for its lease. A free lock alone proves nothing: a living
process may have lost its connection.
"""

import logging

from actors.facts.records import Owner
from actors.ports.nodes import Pulse
from actors.rules.lineage import Lineage, cut_reason
from server.db.driver.database import Connection, Database
from server.db.driver.heartbeat_line import Line
from server.db.stores.rows import Row

log = logging.getLogger("getaway.db")

_REGISTER = """
WITH present AS (
    INSERT INTO histories (system_identifier, timeline) SELECT p.system_identifier, p.timeline FROM database_place() p
    WHERE NOT EXISTS (SELECT FROM histories WHERE restored_at_ms IS NULL) ON CONFLICT DO NOTHING
)
INSERT INTO nodes (node, started_at_ms, heartbeat_at_ms, flown_at_ms)
SELECT $1, d.ms, d.ms, $2 FROM database_ms() AS d (ms) RETURNING epoch
"""

# What is over is not looked at once and then believed: the row itself says it again where it is changed.
_BEAT = """
WITH before AS MATERIALIZED (
    SELECT n.heartbeat_at_ms AS before_ms,
           EXISTS (SELECT FROM nodes l WHERE l.node = $1 AND l.epoch > $2) AS is_superseded,
           n.ended_at_ms IS NOT NULL OR n.heartbeat_at_ms <= database_ms() - $5 AS is_over
    FROM nodes n WHERE n.node = $1 AND n.epoch = $2
), beat AS (
    UPDATE nodes SET heartbeat_at_ms = d.ms, flown_at_ms = $3, is_synchronous = p.is_synchronous
    FROM database_ms() AS d (ms), database_place() AS p
    WHERE node = $1 AND epoch = $2 AND ended_at_ms IS NULL
        AND EXISTS (SELECT FROM before WHERE NOT is_superseded AND NOT is_over AND (before_ms < $4) IS NOT TRUE)
    RETURNING heartbeat_at_ms
)
SELECT coalesce((SELECT heartbeat_at_ms FROM beat), database_ms()) AS database_ms,
       EXISTS (SELECT FROM beat) AS is_recorded,
       (SELECT before_ms FROM before) AS before_ms,
       (SELECT is_over FROM before) IS TRUE AS is_over,
       EXISTS (SELECT FROM nodes l WHERE l.node = $1 AND l.epoch > $2) AS is_superseded,
       (SELECT max(l.ended_at_ms) FROM nodes l) AS newest_end_ms,
       h.history_id::text, h.cut_reason,
       h.system_identifier <> p.system_identifier IS TRUE OR h.timeline <> p.timeline IS TRUE AS has_moved,
       (SELECT l.is_synchronous FROM nodes l WHERE l.is_synchronous IS NOT NULL
        ORDER BY l.heartbeat_at_ms DESC LIMIT 1) IS TRUE AS was_synchronous
FROM database_place() AS p LEFT JOIN histories h ON h.restored_at_ms IS NULL
"""

# The row is locked before its lock is tried, and read again then: a beat that came meanwhile saves its life, and one
# that comes later finds it over.
_END_SILENT = """
WITH silent AS MATERIALIZED (
    SELECT n.node, n.epoch FROM nodes n
    WHERE n.ended_at_ms IS NULL AND (n.node, n.epoch) <> ($1, $2) AND n.heartbeat_at_ms <= (SELECT database_ms()) - $3
    ORDER BY n.epoch LIMIT 100 FOR NO KEY UPDATE SKIP LOCKED
), gone AS MATERIALIZED (
    SELECT s.node, s.epoch FROM silent s WHERE pg_try_advisory_xact_lock(s.epoch)
)
UPDATE nodes n SET ended_at_ms = database_ms() FROM gone g WHERE n.node = g.node AND n.epoch = g.epoch
RETURNING n.node, n.epoch
"""

_END = "UPDATE nodes SET ended_at_ms = database_ms() WHERE node = $1 AND epoch = $2 AND ended_at_ms IS NULL"

# Of a history that is cut, or over, nothing is compared any more: a person has seen to it, or has to.
_LIFE = """
SELECT (SELECT n.heartbeat_at_ms FROM nodes n WHERE n.node = $1 AND n.epoch = $2) AS recorded_ms
FROM histories h WHERE h.history_id::text = $3 AND h.restored_at_ms IS NULL AND h.cut_at_ms IS NULL
"""

_HOLD = "SELECT pg_try_advisory_lock($1)"

_NOTE_CUT = """
UPDATE histories SET cut_at_ms = database_ms(), cut_reason = $2, cut_by = $3
WHERE history_id::text = $1 AND restored_at_ms IS NULL AND cut_at_ms IS NULL
    AND NOT EXISTS (SELECT FROM histories o WHERE o.history_id::text = $4 AND o.restored_at_ms IS NOT NULL)
"""

_ADOPT_PLACE = """
UPDATE histories h SET system_identifier = p.system_identifier, timeline = p.timeline FROM database_place() AS p
WHERE h.history_id::text = $1 AND h.restored_at_ms IS NULL
"""

_COMPANY = """
SELECT EXISTS (SELECT FROM nodes n WHERE (n.node, n.epoch) <> ($1, $2)
    AND n.heartbeat_at_ms > (SELECT database_ms()) - $3 AND n.ended_at_ms IS NULL
    AND NOT EXISTS (SELECT FROM nodes l WHERE l.node = n.node AND l.epoch > n.epoch))
"""


class PostgresNodes:
    """Implements ``actors.ports.nodes.Nodes`` on top of PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register_node(self, node: str, flown_ms: int) -> Owner:
        """A new life of the node."""

        async def register(line: Line) -> Owner:
            owner = Owner(node, await line.connection.fetchval(_REGISTER, node, flown_ms))
            await _hold(line, owner)
            return owner

        return await self._database.on_line(register)

    async def heartbeat(self, owner: Owner, flown_ms: int, lease_ms: int, written_ms: int | None = None) -> Pulse:
        """A sign of life, and what the database says to it."""
        values = owner.node, owner.epoch, flown_ms, written_ms, lease_ms

        async def beat(line: Line) -> Row | None:
            await _hold(line, owner)
            return await line.connection.fetchrow(_BEAT, *values)

        row = await self._database.on_line(beat)
        assert row is not None, "there is one row, whatever is known of the life"
        return Pulse(
            database_ms=row["database_ms"],
            before_ms=row["before_ms"],
            is_recorded=row["is_recorded"],
            is_superseded=row["is_superseded"],
            is_over=row["is_over"],
            newest_end_ms=row["newest_end_ms"],
            lineage=Lineage(
                history_id=row["history_id"] or "",
                cut_reason=row["cut_reason"],
                has_moved=row["has_moved"],
                was_synchronous=row["was_synchronous"],
            ),
        )

    async def end_silent(self, owner: Owner, silent_ms: int) -> list[Owner]:
        """Lives whose process is gone."""
        values = owner.node, owner.epoch, silent_ms
        rows = await self._database.on_line(lambda line: line.connection.fetch(_END_SILENT, *values))
        return [Owner(row["node"], row["epoch"]) for row in rows]

    async def end_life(self, owner: Owner) -> None:
        await self._database.on_line(lambda line: line.connection.execute(_END, owner.node, owner.epoch))

    async def has_company(self, owner: Owner, lease_ms: int) -> bool:
        values = owner.node, owner.epoch, lease_ms
        return bool(await self._database.run(lambda connection: connection.fetchval(_COMPANY, *values)))

    async def note_cut(self, owner: Owner, history_id: str, reason: str, own_history_id: str | None = None) -> None:
        values = history_id, reason, f"{owner.node} {owner.epoch}", own_history_id
        await self._database.run(lambda connection: connection.execute(_NOTE_CUT, *values))

    async def compare(self, owner: Owner, history_id: str, beat_ms: int) -> None:
        """Note the cut if the present history is ``history_id`` and lacks the heartbeat that a life of before was answered.

        Raises ``LedgerUnavailableError``.
        """
        reason = await self._database.run(lambda connection: _lost(connection, owner, history_id, beat_ms))
        if reason is not None:
            log.error("the database's history was cut while nothing ran", extra={"reason": reason})
            await self.note_cut(owner, history_id, reason)

    async def adopt_place(self, history_id: str) -> None:
        """The present timeline is the history's."""
        await self._database.run(lambda connection: connection.execute(_ADOPT_PLACE, history_id))


async def _lost(connection: Connection, owner: Owner, history_id: str, beat_ms: int) -> str | None:
    """Why the history counts as cut, if it is the present one and lacks the beat of ``owner`` that was answered with
    ``beat_ms``; ``None`` if it has it, or is another one."""
    row = await connection.fetchrow(_LIFE, owner.node, owner.epoch, history_id)
    if row is None:
        return None
    lineage = Lineage(history_id=history_id, cut_reason=None, has_moved=False, was_synchronous=False)
    return cut_reason(lineage, recorded_ms=row["recorded_ms"], written_ms=beat_ms)


async def _hold(line: Line, owner: Owner) -> None:
    """Once a connection. Not to get it does no harm for a while: a connection of this life that has ended unseen may
    have it still, or somebody tries it just now."""
    if owner not in line.held and await line.connection.fetchval(_HOLD, owner.epoch):
        line.held.add(owner)
