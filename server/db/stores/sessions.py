import logging
from collections.abc import Sequence
from functools import partial
from uuid import UUID

import trio

from actors.facts.records import Commitment, LiveRound, OpenedSession, Owner, SessionTotals
from actors.ports.ledger import LedgerUnavailableError
from actors.ports.sessions import SessionElsewhereError
from actors.rules import fairness
from server.db.driver.database import Connection, Database
from server.db.stores.bad_rows import PutAside
from server.db.stores.outbox import OUTBOX_OF
from server.db.stores.rows import (
    ROUND_COLUMNS,
    Row,
    check_session,
    commitment,
    live_round,
    seal_seed,
    session_record,
    session_totals,
    wallet_call,
)
from server.secrets.row_macs import RowMacError
from server.secrets.vault import Vault, VaultError

log = logging.getLogger("getaway.db")

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

_BALANCE = "SELECT balance_minor FROM sessions WHERE operator_id = $1 AND session_id = $2"


class _LockedError(LedgerUnavailableError):
    """Somebody else has locked the row."""


class PostgresSessions:
    """Implements ``actors.ports.sessions.Sessions`` on top of PostgreSQL."""

    def __init__(self, database: Database, vault: Vault, aside: PutAside | None = None) -> None:
        self._database = database
        self._vault = vault
        self._aside = aside or PutAside()

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
            outbox = await connection.fetch(OUTBOX_OF, *key)
            # The session's row is locked, as by every change of it: no round of it ends between these reads.
            totals = await _totals(connection, row)
            return OpenedSession(
                session=session_record(row, promised),
                live_round=opened_round,
                outbox=tuple(self._aside.opened("transactions", outbox, partial(wallet_call, self._vault))),
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

    async def balance_minor(self, operator_id: UUID, session_id: UUID) -> int:
        """What is stored of the player's balance."""
        return int(await self._database.run(lambda connection: connection.fetchval(_BALANCE, operator_id, session_id)))

    def _discarded(self, row: Row) -> Commitment | None:
        """One that does not open is nobody's loss: it would never have been played."""
        try:
            return commitment(self._vault, row)
        except VaultError:
            log.exception("a promise that is discarded can't be read", extra={"session_id": str(row["session_id"])})
            return None

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


async def _totals(connection: Connection, session: Row) -> SessionTotals:
    """Read for a session that has had a round."""
    if session["nonce"] == 1:
        return SessionTotals()
    row = await connection.fetchrow(_TOTALS, session["operator_id"], session["session_id"])
    assert row is not None, "an aggregate has one row"
    return session_totals(row)
