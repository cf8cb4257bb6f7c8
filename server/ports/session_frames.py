"""From a session's token to how its page is to be shown."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from actors.facts.records import PageOptions


@dataclass(frozen=True, slots=True)
class SessionFrame:
    """Whose page a session's token opens, until when (unix ms), and what the launch asked of it."""

    operator_id: UUID
    expires_at_ms: int
    page: PageOptions


class SessionFrames(Protocol):
    """From a token to the operator that may frame its page."""

    async def session_frame(self, token_digest: bytes, /) -> SessionFrame | None:
        """By the token's SHA-256; ``None``: no such token. Raises ``actors.ports.ledger.LedgerUnavailableError``."""
