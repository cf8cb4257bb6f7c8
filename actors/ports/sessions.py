"""Sessions, as they are stored."""

from typing import Protocol
from uuid import UUID

from actors.facts.records import OpenedSession, Owner


class SessionElsewhereError(Exception):
    """Another live node owns the session."""


class Sessions(Protocol):
    """Sessions as they are stored. Every method raises ``LedgerUnavailableError``."""

    async def open_session(
        self, token_digest: bytes, owner: Owner, lease_ms: int, server_seed: str
    ) -> OpenedSession | None:
        """Take a session's ownership and read it. ``None``: no such token. An expired session is returned, too.

        A promise is never continued by somebody who did not make it: the next round's seed becomes ``server_seed``,
        whoever had the session before, and the one that nobody will play is ``discarded``. The seed must be a new one
        for each call, a repeated one, too. A bet on the old promise that is still on its way is refused from now on.

        A round of it is either live in what is read or, once settled, among its totals.

        A session owned by another node that is alive, with a heartbeat younger than ``lease_ms``, is not taken:
        raises ``SessionElsewhereError``: ``request_session`` asks for it.
        """

    async def balance_minor(self, operator_id: UUID, session_id: UUID) -> int:
        """The balance that the session's wallet told last, whoever heard it. The session exists."""
