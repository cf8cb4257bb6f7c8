"""Rounds, as they are stored."""

from typing import Protocol
from uuid import UUID

from actors.facts.records import FinishedRound, LiveRound, Owner, RoundKey


class Rounds(Protocol):
    """Rounds as they are stored, also those that nobody plays. Every method raises ``LedgerUnavailableError``."""

    async def live_round(self, operator_id: UUID, round_id: UUID) -> LiveRound | None:
        """A round in ``betting`` or ``flying`` as stored; ``None`` once it has ended."""

    async def finished_round(self, operator_id: UUID, round_id: UUID) -> FinishedRound | None:
        """A round that has ended, as stored."""

    async def history(
        self, operator_id: UUID, operator_player_id: str, before: UUID | None, limit: int
    ) -> tuple[list[FinishedRound], bool]:
        """A player's finished rounds, newest first, older than ``before``; and whether there are more."""

    async def own_live_rounds(self, owner: Owner, before_ms: int, limit: int) -> list[RoundKey]:
        """Live rounds of ``owner`` created before that, but for those that ``take_orphans`` tells and those of sessions
        that it was given and has not taken up. Oldest first, at most ``limit``."""

    async def take_orphans(
        self, owner: Owner, lease_ms: int, limit: int, written_ms: int | None = None
    ) -> list[LiveRound]:
        """Take live rounds whose owner is dead (a superseded epoch, a life that is over, silent for ``lease_ms``).

        None in a history that was cut, as far as the database can tell: that is noted, or it is written at another
        place, or has no beat of ``owner`` as new as ``written_ms``, the last one that was answered. Who has not noticed
        yet would end again what has ended and was paid, and take all for dead, whose newest beats are missing.

        From then on they carry ``interrupted_at_ms``: up to when their owner's flights had flown by its last heartbeat.
        A round whose taker dies, too, keeps it. What ``owner`` has taken before comes again until it has ended: the
        answer may have been lost. Oldest first, at most ``limit``.
        """
