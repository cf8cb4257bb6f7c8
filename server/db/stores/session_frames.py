"""Which session a token opens, asked for many tokens at once.

Anybody may send tokens, a thousand a second if he likes, and a good one must be answered all the same. So one statement
is under way at a time, and whoever comes meanwhile shares the next: a wrong token costs a place in an array.
"""

from typing import Final

import trio

from actors.facts.columns import made
from actors.facts.records import PageOptions
from actors.ports.ledger import LedgerUnavailableError
from server.db.driver.database import Database
from server.db.stores.bad_rows import PutAside
from server.db.stores.rows import Row, check_session, plain_uuid
from server.ports.session_frames import SessionFrame
from server.secrets.row_macs import SESSION
from server.secrets.vault import Vault

TOKENS_MAX: Final = 500
"""Tokens in one statement. More of them wait for the one after."""

_FRAMES = f"SELECT {', '.join(SESSION.columns)}, mac FROM sessions WHERE token_digest = ANY($1)"


class _Batch:
    """Tokens that are asked for together. ``found`` is ``None`` until the answer came."""

    __slots__ = ("digests", "error", "found")

    def __init__(self) -> None:
        self.digests: set[bytes] = set()
        self.found: dict[bytes, SessionFrame] | None = None
        self.error: LedgerUnavailableError | None = None


class PostgresSessionFrames:
    """Implements ``server.ports.session_frames.SessionFrames``. Who waits has a deadline of its own."""

    def __init__(self, database: Database, vault: Vault, aside: PutAside | None = None) -> None:
        self._database = database
        self._vault = vault
        self._aside = aside or PutAside()
        self._asking = trio.Lock()
        self._next = _Batch()

    async def session_frame(self, token_digest: bytes, /) -> SessionFrame | None:
        """Whose page a token opens, and how the page is to be. A session that we did not write opens none."""
        if len(self._next.digests) >= TOKENS_MAX:
            self._next = _Batch()
        batch = self._next
        batch.digests.add(token_digest)
        async with self._asking:
            if batch.found is None and batch.error is None:
                await self._ask(batch)
        if batch.error is not None:
            raise LedgerUnavailableError(str(batch.error)) from batch.error
        assert batch.found is not None
        return batch.found.get(token_digest)

    async def _ask(self, batch: _Batch) -> None:
        """Whoever is cancelled meanwhile leaves the asking to the next of the batch."""
        if self._next is batch:
            self._next = _Batch()
        digests = list(batch.digests)
        try:
            rows = await self._database.run(lambda connection: connection.fetch(_FRAMES, digests))
        except LedgerUnavailableError as error:
            batch.error = error
            return
        found = [
            (bytes(row["token_digest"]), self._aside.open("sessions", row, self._frame, is_whole=False)) for row in rows
        ]
        batch.found = {digest: frame for digest, frame in found if frame is not None}

    def _frame(self, row: Row) -> SessionFrame:
        check_session(self._vault.macs, row)
        return SessionFrame(plain_uuid(row["operator_id"]), row["expires_at_ms"], made(PageOptions, row))
