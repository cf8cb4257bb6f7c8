"""A ledger for many flights that don't end: the in-memory twin, found by key where the twin looks through everything.

Nothing is ever owed here and nobody dies, so there is nothing to claim, to release or to take over.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from actors.facts.records import FinishedRound, LiveRound, OpenedSession, OutboxCount, Owner, WalletCall
from actors.facts.transitions import Answer, CreateSession, PlaceBet
from actors.ports.outbox import NOT_AHEAD
from actors.rules import fairness
from tests.helpers.memory_ledger import MemoryLedger, StoredSession
from tests.helpers.memory_outbox import MemoryOutbox


class EmptyOutbox(MemoryOutbox):
    """Knows without a search that nothing is owed."""

    def pending(self, session_id: UUID) -> list[WalletCall]:
        return []


class QuietLedger(MemoryLedger):
    """The twin's rules for bets and starts, without its searches."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = EmptyOutbox()
        self._by_token: dict[bytes, StoredSession] = {}
        self._round_ids: dict[UUID, UUID] = {}

    def now_ms(self) -> int:
        """The machine's time, as that of the server beside it."""
        return time.time_ns() // 1_000_000

    def _create_session(self, new: CreateSession) -> Answer:
        answer = super()._create_session(new)
        self._by_token[new.token_digest] = self.sessions[new.session_id]
        return answer

    def _place_bet(self, bet: PlaceBet) -> Answer:
        answer = super()._place_bet(bet)
        self._round_ids[bet.round.session_id] = bet.round.round_id
        return answer

    def _live_round_of(self, session_id: UUID) -> LiveRound | None:
        round_id = self._round_ids.get(session_id)
        stored = None if round_id is None else self.rounds.get(round_id)
        return stored.live if stored is not None and stored.finished is None else None

    async def open_session(
        self, token_digest: bytes, owner: Owner, lease_ms: int, server_seed: str
    ) -> OpenedSession | None:
        await self._cross()
        session = self._by_token.get(token_digest)
        if session is None:
            return None
        session.owner = owner
        promised = replace(
            session.record.next, server_seed=server_seed, server_seed_hash=fairness.commitment(server_seed)
        )
        session.record = replace(session.record, next=promised)
        return OpenedSession(
            session=session.record, live_round=self._live_round_of(session.record.session_id), outbox=()
        )

    async def history(
        self, operator_id: UUID, operator_player_id: str, before: UUID | None, limit: int
    ) -> tuple[list[FinishedRound], bool]:
        await self._cross()
        return [], False

    async def take_orphans(
        self, owner: Owner, lease_ms: int, limit: int, written_ms: int | None = None
    ) -> list[LiveRound]:
        await self._cross()
        return []

    async def claim_calls(
        self,
        owner: Owner,
        quotas: Mapping[UUID, int],
        claim_ms: int,
        ahead_until_ms: Mapping[UUID, int] = NOT_AHEAD,
    ) -> list[WalletCall]:
        await self._cross()
        return []

    async def give_up_claims(self, owner: Owner, in_flight: Sequence[str], now_ms: int) -> int:
        await self._cross()
        return 0

    async def release_claims(self, owner: Owner, lease_ms: int, limit: int) -> int:
        await self._cross()
        return 0

    async def outbox_counts(self) -> list[OutboxCount]:
        await self._cross()
        return []
