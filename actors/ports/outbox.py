"""Wins and refunds on their way to wallets."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol
from uuid import UUID

from actors.facts.records import OutboxCount, Owner, WalletCall

NOT_AHEAD: Final[Mapping[UUID, int]] = {}
"""Of no operator more than what is due."""


class Outbox(Protocol):
    """Wins and refunds, until the wallet has acknowledged them.

    What is due is judged by the database's clock. Every method raises ``LedgerUnavailableError``.
    """

    async def outbox_of(self, operator_id: UUID, session_id: UUID) -> list[WalletCall]:
        """A session's wins and refunds that are neither acknowledged nor parked, in order."""

    async def claim_calls(
        self,
        owner: Owner,
        quotas: Mapping[UUID, int],
        claim_ms: int,
        ahead_until_ms: Mapping[UUID, int] = NOT_AHEAD,
    ) -> list[WalletCall]:
        """Claim pending wins and refunds that are due, the longest due first, at most ``quotas`` of each operator.

        Of a session only its oldest pending call, and none while another one is claimed. A claimed call is due again
        after ``claim_ms``, which its ``next_attempt_at_ms`` says; until then nobody else gets it. Of an operator in
        ``ahead_until_ms`` (unix ms) what is due until then counts as due, too, unless it is claimed, or its
        ``not_before_ms`` is yet to come.
        """

    async def give_up_claims(self, owner: Owner, in_flight: Sequence[str], now_ms: int) -> int:
        """Make calls due that ``owner`` itself has claimed, but for the transactions ``in_flight``; how many.

        Calls that were created at ``now_ms``, of the house's time, or later stay: ``in_flight`` may not know them yet.
        """

    async def release_claims(self, owner: Owner, lease_ms: int, limit: int) -> int:
        """Make calls due that the dead had claimed, at most ``limit``; how many. See ``take_orphans`` for who is."""

    async def outbox_counts(self) -> list[OutboxCount]:
        """What is pending or parked, for each operator that has any."""
