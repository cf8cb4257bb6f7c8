"""The ledger on PostgreSQL."""

import logging
from collections.abc import Mapping, Sequence
from uuid import UUID

import trio

from actors.facts.records import (
    Backlog,
    Commitment,
    FinishedRound,
    LiveRound,
    OpenedSession,
    Owner,
    RoundKey,
    SessionRequest,
    SessionTotals,
    WalletCall,
)
from actors.facts.transitions import Answer, Busy, Rejected, Transition
from actors.ports import NOT_AHEAD, REQUESTS_MAX, LedgerUnavailableError, Pulse, SessionElsewhereError
from actors.rules import fairness
from server.db.driver.database import REFUSALS, Connection, Database
from server.db.driver.statements import dead_owners, few
from server.db.stores import handover, lives, outbox
from server.db.stores.aside import Key, PutAside
from server.db.stores.groups import commit_at_once, commit_group, needs_one_call
from server.db.stores.rows import (
    CALL_COLUMNS,
    ROUND_COLUMNS,
    Row,
    check_session,
    commitment,
    finished_round,
    live_round,
    seal_seed,
    session_record,
    session_totals,
    wallet_call,
)
from server.secrets.row_macs import RowMacError
from server.secrets.vault import Vault, VaultError

log = logging.getLogger("getaway.db")

_NOTE_CUT = """
UPDATE histories SET cut_at_ms = database_ms(), cut_reason = $2, cut_by = $3
WHERE history_id::text = $1 AND restored_at_ms IS NULL AND cut_at_ms IS NULL
    AND NOT EXISTS (SELECT FROM histories o WHERE o.history_id::text = $4 AND o.restored_at_ms IS NOT NULL)
"""

_ADOPT_PLACE = """
UPDATE histories h SET system_identifier = p.system_identifier, timeline = p.timeline FROM database_place() AS p
WHERE h.history_id::text = $1 AND h.restored_at_ms IS NULL
"""

OPENED_AT_ONCE = 8
"""So many rounds of a history are opened in one go, each with a seed to be unsealed and a code to be checked: others'
cash-outs wait for no more."""

_ALIVE = """
SELECT EXISTS (SELECT FROM nodes WHERE node = $1 AND epoch = $2
    AND heartbeat_at_ms > (SELECT database_ms()) - $3 AND ended_at_ms IS NULL
    AND NOT EXISTS (SELECT FROM nodes n WHERE n.node = $1 AND n.epoch > $2))
"""

_SESSION = "SELECT * FROM sessions WHERE token_digest = $1 FOR NO KEY UPDATE SKIP LOCKED"
_COUNT_SESSIONS = "SELECT count(*) FROM sessions WHERE token_digest = $1"

_LOOK_AGAIN_S = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)
"""When to look again for a session that is locked: its own commits are over by then. Waiting for the lock itself would keep
a connection from all others, and who waits behind a waiter has a timeout of his own after that one's."""

_OPEN_SESSION = """
UPDATE sessions SET owner_node = $3, owner_epoch = $4, server_seed_hash = $5, server_seed_sealed = $6
WHERE operator_id = $1 AND session_id = $2
"""

# Only the newest can be live, and its order leads to the one index that holds a session's rounds together.
_LIVE_OF_SESSION = f"""
SELECT {ROUND_COLUMNS}, r.owner_node = $3 AND r.owner_epoch = $4 AS is_own
FROM (SELECT * FROM rounds WHERE operator_id = $1 AND session_id = $2 ORDER BY nonce DESC LIMIT 1) r
WHERE status IN ('betting', 'flying')
"""

# By the session's own rounds, the key of their nonces. Times would not do: those of a launch and of a round's end may be
# of two clocks.
_TOTALS = """
SELECT count(*) AS rounds, sum(amount_minor) AS staked_minor, sum(payout_minor) AS paid_minor, max(nonce) AS last_nonce
FROM rounds WHERE operator_id = $1 AND session_id = $2 AND status = 'settled'
"""

_PENDING = f"""
SELECT {CALL_COLUMNS} FROM transactions
WHERE operator_id = $1 AND session_id = $2 AND status = 'pending' AND kind <> 'bet' ORDER BY position
"""

_BALANCE = "SELECT balance_minor FROM sessions WHERE operator_id = $1 AND session_id = $2"

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


class _LockedError(LedgerUnavailableError):
    """Somebody else has locked the row."""


class PostgresLedger:
    """Implements ``actors.ports.Ledger``. Every method is one crossing, but where a batch was of rows that do not open."""

    def __init__(self, database: Database, vault: Vault, aside: PutAside | None = None) -> None:
        self._database = database
        self._vault = vault
        self._aside = aside or PutAside()

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer | Busy]:
        """All transitions in one transaction; see the port.

        Should the database refuse one of them outright, a defect, each is committed by itself, so that it stands alone.
        The log names what refused it and none of the values: they tell of players and of seeds.
        """
        try:
            return await self._commit(transitions)
        except REFUSALS as error:
            refusal = {
                "sqlstate": error.sqlstate,
                "table": error.table_name,
                "constraint": error.constraint_name,
                "kinds": sorted({type(transition).__name__ for transition in transitions}),
            }
        if len(transitions) == 1:
            log.error("a transition was refused by the schema", extra=refusal)
            return [Rejected()]
        log.error("a group was refused and is committed one by one", extra=refusal)
        answers: list[Answer | Busy] = []
        for transition in transitions:
            answers += await self.commit([transition])
        return answers

    async def _commit(self, transitions: Sequence[Transition]) -> list[Answer | Busy]:
        if not transitions:
            return []
        if needs_one_call(transitions):
            return await commit_at_once(self._database, self._vault, transitions)
        return await self._database.in_transaction(
            lambda connection: commit_group(connection, self._vault, transitions)
        )

    async def register_node(self, node: str, flown_ms: int) -> Owner:
        """A new life of the node."""
        return await self._database.on_line(lambda line: lives.register(line, node, flown_ms))

    async def heartbeat(self, owner: Owner, flown_ms: int, lease_ms: int, written_ms: int | None = None) -> Pulse:
        """A sign of life, and what the database says to it."""
        return await self._database.on_line(lambda line: lives.beat(line, owner, flown_ms, lease_ms, written_ms))

    async def end_silent(self, owner: Owner, silent_ms: int) -> list[Owner]:
        """Lives whose process is gone."""
        return await self._database.on_line(lambda line: lives.end_silent(line, owner, silent_ms))

    async def end_life(self, owner: Owner) -> None:
        """Its last word."""
        await self._database.on_line(lambda line: lives.end(line, owner))

    async def note_cut(self, owner: Owner, history_id: str, reason: str, own_history_id: str | None = None) -> None:
        """Bets stop everywhere."""
        values = history_id, reason, f"{owner.node} {owner.epoch}", own_history_id
        await self._database.run(lambda connection: connection.execute(_NOTE_CUT, *values))

    async def compare(self, owner: Owner, history_id: str, beat_ms: int) -> None:
        """Note the cut if the present history is ``history_id`` and lacks the heartbeat that a life of before was answered.

        Raises ``LedgerUnavailableError``.
        """
        reason = await self._database.run(lambda connection: lives.lost(connection, owner, history_id, beat_ms))
        if reason is not None:
            log.error("the database's history was cut while nothing ran", extra={"reason": reason})
            await self.note_cut(owner, history_id, reason)

    async def adopt_place(self, history_id: str) -> None:
        """The present timeline is the history's."""
        await self._database.run(lambda connection: connection.execute(_ADOPT_PLACE, history_id))

    async def open_session(
        self, token_digest: bytes, owner: Owner, lease_ms: int, server_seed: str
    ) -> OpenedSession | None:
        """Take the session, unless another living node has it, and promise a new seed in the same transaction."""

        async def open_it(connection: Connection) -> OpenedSession | None:
            rows = await connection.fetch(_SESSION, token_digest)
            row = self._only_ours(rows)
            if row is None:
                if await connection.fetchval(_COUNT_SESSIONS, token_digest) > len(rows):
                    raise _LockedError("the session is locked")
                return None
            key = (row["operator_id"], row["session_id"])
            live = await connection.fetchrow(_LIVE_OF_SESSION, *key, owner.node, owner.epoch)
            opened_round = None if live is None else self._live_round(live)
            if not self._can_promise(row, live) or (live is not None and opened_round is None):
                return None
            holder = None if row["owner_node"] is None else Owner(row["owner_node"], row["owner_epoch"])
            if holder not in {None, owner}:
                assert holder is not None
                if await connection.fetchval(_ALIVE, holder.node, holder.epoch, lease_ms):
                    raise SessionElsewhereError("another node has the session")
            promised = Commitment(server_seed, fairness.commitment(server_seed), row["client_seed"], row["nonce"])
            sealed = seal_seed(self._vault, server_seed, row["session_id"], row["nonce"])
            await connection.execute(_OPEN_SESSION, *key, owner.node, owner.epoch, promised.server_seed_hash, sealed)
            pending = await connection.fetch(_PENDING, *key)
            # The session's row is locked, as by every change of it: no round of it ends between these reads.
            totals = await _totals(connection, row)
            return OpenedSession(
                session=session_record(row, promised),
                live_round=opened_round,
                pending_calls=tuple(self._calls(pending)),
                owns_round=live is not None and live["is_own"],
                totals=totals,
                discarded=None if holder is None else self._discarded(row),
            )

        for wait_s in _LOOK_AGAIN_S:
            try:
                return await self._database.in_transaction(open_it)
            except _LockedError:
                await trio.sleep(wait_s)
        return await self._database.in_transaction(open_it)

    def _discarded(self, row: Row) -> Commitment | None:
        """One that does not open is nobody's loss: it would never have been played."""
        try:
            return commitment(self._vault, row)
        except VaultError:
            log.exception("a promise that is discarded can't be read", extra={"session_id": str(row["session_id"])})
            return None

    async def request_session(self, token_digest: bytes, asker: Owner) -> None:
        """Ask the owner for a session."""
        await self._database.run(lambda connection: handover.request_session(connection, token_digest, asker))

    async def withdraw_request(self, token_digest: bytes, asker: Owner) -> None:
        """Ask no more."""
        await self._database.run(lambda connection: handover.withdraw_request(connection, token_digest, asker))

    async def end_request(self, request: SessionRequest) -> None:
        """What was asked for is here and at work."""
        await self._database.run(lambda connection: handover.end_request(connection, request))

    async def session_requests(self, owner: Owner, lease_ms: int, age_ms_max: int) -> list[SessionRequest]:
        """What others ask of this node, and what it was given."""
        return await self._database.run(
            lambda connection: handover.session_requests(connection, owner, lease_ms, age_ms_max, REQUESTS_MAX)
        )

    async def move_session(self, owner: Owner, request: SessionRequest, lease_ms: int) -> bool:
        """Give a session and its flight away."""
        return await self._database.run(lambda connection: handover.move_session(connection, owner, request, lease_ms))

    async def has_company(self, owner: Owner, lease_ms: int) -> bool:
        """Whether another node lives."""
        return await self._database.run(lambda connection: handover.has_company(connection, owner, lease_ms))

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

    async def pending_calls(self, operator_id: UUID, session_id: UUID) -> list[WalletCall]:
        """What the session is owed, in order."""
        rows = await self._database.run(lambda connection: connection.fetch(_PENDING, operator_id, session_id))
        return self._calls(rows)

    async def balance_minor(self, operator_id: UUID, session_id: UUID) -> int:
        """What is stored of the player's balance."""
        return int(await self._database.run(lambda connection: connection.fetchval(_BALANCE, operator_id, session_id)))

    async def claim_due_calls(
        self,
        owner: Owner,
        quotas: Mapping[UUID, int],
        claim_ms: int,
        ahead_until_ms: Mapping[UUID, int] = NOT_AHEAD,
    ) -> list[WalletCall]:
        """What is due, claimed. What does not open is parked for a person, and so in nobody's way."""
        rows = await self._database.run(
            lambda connection: outbox.claim_due_calls(connection, owner, quotas, claim_ms, ahead_until_ms)
        )
        calls = self._calls(rows)
        if len(calls) < len(rows):
            refused = [(row["operator_id"], row["operator_tx_id"]) for row in rows]
            refused = [key for key in refused if key not in {(call.operator_id, call.operator_tx_id) for call in calls}]
            await self._database.run(lambda connection: outbox.park_refused(connection, owner, refused))
        return calls

    async def give_up_claims(self, owner: Owner, in_flight: Sequence[str], now_ms: int) -> int:
        """What this node had claimed and does not send is due again."""
        return await self._database.run(lambda connection: outbox.give_up_claims(connection, owner, in_flight, now_ms))

    async def release_claims(self, owner: Owner, lease_ms: int, limit: int) -> int:
        """What the dead had claimed is due again."""
        return await self._database.run(lambda connection: outbox.release_claims(connection, owner, lease_ms, limit))

    async def backlogs(self) -> list[Backlog]:
        """What is pending or parked, by operator."""
        return await self._database.run(outbox.read_backlogs)

    def _only_ours(self, sessions: Sequence[Row]) -> Row | None:
        """The session that we wrote, among all that a token opens: somebody may have made others for the same token."""

        def is_ours(row: Row) -> Row:
            check_session(self._vault.macs, row)
            return row

        found = [self._aside.open("sessions", row, is_ours, is_whole=False) for row in sessions]
        return next((row for row in found if row is not None), None)

    def _can_promise(self, session: Row, live: Row | None) -> bool:
        """Whether what the session promises is for a round to come: it is about to be revealed."""

        def can_promise(row: Row) -> bool:
            if live is not None and live["nonce"] >= row["nonce"]:
                raise RowMacError("it promises a round that has been placed already")
            return True

        return self._aside.open("sessions", session, can_promise) is not None

    def _live_round(self, row: Row) -> LiveRound | None:
        return self._aside.open("rounds", row, lambda row: live_round(self._vault, row))

    def _calls(self, rows: Sequence[Row]) -> list[WalletCall]:
        return self._aside.opened("transactions", rows, lambda row: wallet_call(self._vault, row))


async def _totals(connection: Connection, session: Row) -> SessionTotals:
    """Read for a session that has had a round."""
    if session["nonce"] == 1:
        return SessionTotals()
    row = await connection.fetchrow(_TOTALS, session["operator_id"], session["session_id"])
    assert row is not None, "an aggregate has one row"
    return session_totals(row)
