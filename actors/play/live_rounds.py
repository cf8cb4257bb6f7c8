"""The live rounds of this node: their actors, and what becomes of a round whose actor fails.

A round's actor is never restarted with its memory lost: its round is ended from what is stored.
"""

from collections.abc import Iterator
from uuid import UUID

import trio

from actors.cluster.recovery import resolve_stored
from actors.facts.records import Commitment, FinishedRound, LiveRound, OpenedSession, RoundStatus
from actors.kit.supervisor import Supervisor
from actors.play.leaving_sessions import Departures
from actors.play.round import RoundActor
from actors.ports.ledger import LedgerUnavailableError
from actors.shared.messages import RoundLost, RoundOver
from actors.shared.services import REPEAT_FIRST_MS, REPEAT_MAX_MS, Services
from actors.wallet.pool import WalletPool


class LiveRounds:
    """A session has one at the most."""

    def __init__(self, services: Services, supervisor: Supervisor, pool: WalletPool, departures: Departures) -> None:
        self._services = services
        self._supervisor = supervisor
        self._pool = pool
        self._departures = departures
        self._actors: dict[UUID, RoundActor] = {}
        self._failed: dict[UUID, int] = {}
        """Rounds whose actor failed, and when, until their end is known to be stored: without memory none flies on."""

    def __len__(self) -> int:
        """How many have an actor."""
        return len(self._actors)

    def __contains__(self, session_id: object) -> bool:
        """Whether a round of the session has one."""
        return session_id in self._actors

    def __iter__(self) -> Iterator[RoundActor]:
        """All actors of rounds, as of now."""
        return iter(list(self._actors.values()))

    def of(self, session_id: UUID) -> RoundActor | None:
        """The actor of the session's round."""
        return self._actors.get(session_id)

    def place(self, live: LiveRound, after: Commitment) -> None:
        """Have an actor place this bet, behind which ``after`` is promised."""
        self._start(RoundActor(self._services, self._pool, live, next_commitment=after))

    def fly_on(self, opened: OpenedSession) -> RoundActor | None:
        """The actor of a flight that this node was given; ``None`` if nobody can fly it any more."""
        live = opened.live_round
        assert live is not None
        is_whole = live.status is RoundStatus.FLYING and live.interrupted_at_ms is None
        if not opened.owns_round or not is_whole or live.round_id in self._failed:
            return None
        assert live.started_at_ms is not None
        if live.started_at_ms + live.plan().ends_at_ms <= self._services.clock.cautious_ms():
            return None  # It has ended by itself: nothing is left to be shown or decided.
        actor = RoundActor(
            self._services,
            self._pool,
            live,
            next_commitment=opened.session.next,
            balance_minor=opened.session.balance_minor,
        )
        self._start(actor)
        return actor

    async def end_stale(self, live: LiveRound) -> None:
        """End a stored live round without an actor: its owner is dead, or an answer of the ledger was lost."""
        now_ms = self._services.clock.cautious_ms()
        if await resolve_stored(self._services, live.operator_id, live.round_id, now_ms) is not None:
            self._pool.wake_courier(live.operator_id)
        self.forget_failure(live.round_id)

    def failed_at_ms(self, round_id: UUID) -> int:
        """When its actor failed; 0 if nothing is known of it."""
        return self._failed.get(round_id, 0)

    def forget_failure(self, round_id: UUID) -> None:
        self._failed.pop(round_id, None)

    async def tell_end(
        self, operator_id: UUID, session_id: UUID, round_id: UUID, finished: FinishedRound | None
    ) -> None:
        """Tell the session of an end that no actor tells. What that put into the outbox is asked until it is known."""
        wait_ms = REPEAT_FIRST_MS
        while True:
            try:
                pending = await self._services.stores.outbox.outbox_of(operator_id, session_id)
                break
            except LedgerUnavailableError:
                await trio.sleep(wait_ms / 1000)
            except Exception:
                # Nobody else would tell the session, now that the round is not live any more.
                self._services.addresses.tell_session(session_id, RoundLost())
                raise
            wait_ms = min(wait_ms * 2, REPEAT_MAX_MS)
        outbox_minor = sum(call.amount_minor for call in pending if call.round_id == round_id)
        news = RoundLost() if finished is None else RoundOver(finished, outbox_minor, None)
        self._services.addresses.tell_session(session_id, news)
        if outbox_minor:
            self._pool.wake_courier(operator_id)

    def _start(self, actor: RoundActor) -> None:
        session_id, round_id = actor.placed.session_id, actor.placed.round_id
        addresses = self._services.addresses
        assert session_id not in self._actors, "a session has one live round"
        self._actors[session_id] = addresses.rounds[session_id, round_id] = actor

        async def on_end(failed: bool) -> None:
            try:
                if failed:
                    await self._end_failed(actor)
            finally:
                self._remember(actor)
                if self._actors.get(session_id) is actor:
                    del self._actors[session_id], addresses.rounds[session_id, round_id]
                self._departures.note_end(session_id)

        self._supervisor.start(actor, on_end)

    async def _end_failed(self, actor: RoundActor) -> None:
        placed = actor.placed
        now_ms = self._services.clock.cautious_ms()
        self._failed[placed.round_id] = now_ms
        finished = await resolve_stored(self._services, placed.operator_id, placed.round_id, now_ms)
        self.forget_failure(placed.round_id)
        if finished is not None:
            self._remember_end(actor)
        await self.tell_end(placed.operator_id, placed.session_id, placed.round_id, finished)

    def _remember(self, actor: RoundActor) -> None:
        if actor.is_over:
            self._remember_end(actor)
        elif actor.flight is not None:
            self._departures.leave(actor.placed.session_id, actor.flight)

    def _remember_end(self, actor: RoundActor) -> None:
        if actor.flight is not None:
            placed = actor.placed
            self._services.flights.end(placed.session_id, placed.round_id, actor.flight.ends_at_ms)
