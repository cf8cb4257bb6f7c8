"""The sessions that are open on this node: opened by one task at a time, and counted by player and by operator."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final
from uuid import UUID

import trio

from actors.cluster.handover import note_return, open_or_ask, open_session
from actors.facts.error_texts import TOO_MANY_SESSIONS
from actors.facts.frames_out import ClientOut, ErrorOut, SessionEndedOut
from actors.facts.records import Commitment, OpenedSession, RoundKey
from actors.kit.supervisor import Supervisor
from actors.play.leaving_sessions import Departures
from actors.play.live_rounds import LiveRounds
from actors.play.round import RoundActor
from actors.play.session import SessionActor
from actors.ports.ledger import LedgerUnavailableError
from actors.shared.messages import Look
from actors.shared.services import Services
from actors.wallet.pool import WalletPool

OPEN_ATTEMPTS_MAX: Final = 4
"""A session is read again where a live round has no actor, and after its end."""


class OpenSessions:
    """By the digest of their token. A full house, and one of the operator's, is refused.

    ``sweep`` ends what the dead have left; ``is_draining`` tells whether this node is told to stop.
    """

    def __init__(
        self,
        services: Services,
        supervisor: Supervisor,
        pool: WalletPool,
        rounds: LiveRounds,
        departures: Departures,
        *,
        sweep: Callable[[], Awaitable[object]],
        is_draining: Callable[[], bool],
    ) -> None:
        self._services = services
        self._supervisor = supervisor
        self._pool = pool
        self._rounds = rounds
        self._departures = departures
        self._sweep = sweep
        self._is_draining = is_draining
        self._actors: dict[bytes, SessionActor] = {}
        self._opening: dict[bytes, trio.Event] = {}
        self._of_player: dict[tuple[UUID, str], set[SessionActor]] = {}
        self._of_operator: Counter[UUID] = Counter()

    def __len__(self) -> int:
        """How many have an actor."""
        return len(self._actors)

    def __contains__(self, digest: object) -> bool:
        """Whether the session has one."""
        return digest in self._actors

    def of(self, digest: bytes) -> SessionActor | None:
        return self._actors.get(digest)

    def is_taken(self, digest: bytes) -> bool:
        """Whether some task opens the session, or hands it over, just now."""
        return digest in self._opening

    def shown_beside(self, session: SessionActor) -> int:
        """How many other sessions of its player are shown by a socket."""
        mates = self._of_player.get(_player_of(session), ())
        return sum(mate.is_attended for mate in mates if mate is not session)

    def forsaken(self) -> list[RoundKey]:
        """Rounds for whose end a session waits, and that have no actor any more."""
        return [
            RoundKey(
                operator_id=session.record.operator_id,
                session_id=session.session_id,
                round_id=session.waits_for,
                token_digest=digest,
            )
            for digest, session in self._actors.items()
            if session.waits_for is not None and session.session_id not in self._rounds
        ]

    def sends_away(self) -> bool:
        """Whether players are to go to another node, and new bets are refused here."""
        return self._is_draining() or self._services.contact.sends_away

    def look(self) -> None:
        """Have all of them see what has changed."""
        for session in list(self._actors.values()):
            self._services.addresses.tell_session(session.session_id, Look())

    @asynccontextmanager
    async def alone(self, digest: bytes) -> AsyncIterator[None]:
        """While the block runs no other task opens the session, hands it over or ends what is left of it."""
        while (opening := self._opening.get(digest)) is not None:
            await opening.wait()
        self._opening[digest] = trio.Event()
        try:
            yield
        finally:
            self._opening.pop(digest).set()

    async def open(self, digest: bytes, *, asks: bool = True) -> SessionActor | ClientOut | None:
        """The session's actor, a frame that says why there is none, or ``None`` for an unknown token.

        A living node that has it is asked for it, if this one ``asks``. Raises ``LedgerUnavailableError`` and
        ``SessionElsewhereError``.
        """
        async with self.alone(digest):
            return self._actors.get(digest) or await self.open_alone(digest, asks=asks)

    async def open_alone(self, digest: bytes, *, asks: bool) -> SessionActor | ClientOut | None:
        """``open``, within ``alone``, of a session without an actor."""
        services = self._services
        shown: Commitment | None = None
        for attempt in range(OPEN_ATTEMPTS_MAX):
            asked = services.flights.moment
            if asks:
                opened = await open_or_ask(services, digest, self._is_draining)
            else:
                opened = await open_session(services, digest)
            if opened is None:
                return None
            # Of promises that this loop itself discards nobody has seen the hash.
            shown = opened.discarded if attempt == 0 else shown
            running = self._rounds.of(opened.session.session_id)
            if opened.live_round is not None and running is None and attempt:
                await note_return(services, opened)
                # There was no actor before it was read, either: no end of it was under way.
                if opened.owns_round and not services.flights.check(opened.live_round, asked):
                    continue  # It was ended while it was read.
                running = self._rounds.fly_on(opened)
                if running is None:
                    await self._sweep()
                    await self._rounds.end_stale(opened.live_round)
            if opened.live_round is None or running is not None:
                return self._start(digest, replace(opened, discarded=shown), running)
        raise LedgerUnavailableError("a round of the session can't be ended yet")

    def _start(self, digest: bytes, opened: OpenedSession, running: RoundActor | None) -> SessionActor | ClientOut:
        services, record = self._services, opened.session
        refusal = self._refusal(opened, running)
        if refusal is not None:
            return refusal
        session = SessionActor(
            services,
            self._pool,
            opened,
            running=None if running is None else running.seen,
            start_round=self._rounds.place,
            run_beside=self._supervisor.run_beside,
            draining=self.sends_away,
        )
        if opened.outbox:
            self._pool.wake_courier(record.operator_id)
        self._actors[digest] = services.addresses.sessions[record.session_id] = session
        self._of_player.setdefault(_player_of(session), set()).add(session)
        self._of_operator[record.operator_id] += 1

        async def on_end(_failed: bool) -> None:
            if self._actors.get(digest) is session:
                del self._actors[digest], services.addresses.sessions[session.session_id]
            self._forget(session)
            self._departures.note_end(session.session_id)

        self._supervisor.start(session, on_end)
        return session

    def _refusal(self, opened: OpenedSession, running: RoundActor | None) -> ClientOut | None:
        services, record = self._services, opened.session
        if running is None:
            if record.expires_at_ms <= services.clock.now_ms():
                return SessionEndedOut(reason="expired")
            if not services.operators.is_active(record.operator_id):
                return SessionEndedOut(reason="operator_suspended")
        if len(self._actors) >= services.settings.sessions_max:
            services.observer.mailbox_overflow("lobby")
            return SessionEndedOut(reason="shutdown")
        if running is None and self._is_full_for(record.operator_id):
            services.observer.mailbox_overflow("lobby")
            return ErrorOut(code="rate_limited", message=TOO_MANY_SESSIONS)
        return None

    def _is_full_for(self, operator_id: UUID) -> bool:
        settings = self._services.settings
        sessions_max = settings.sessions_of_operator_max
        if not self._services.operators.is_alone(operator_id):
            sessions_max = min(sessions_max, settings.sessions_of_operator_beside_others_max)
        return self._of_operator[operator_id] >= sessions_max

    def _forget(self, session: SessionActor) -> None:
        mates = self._of_player[_player_of(session)]
        mates.discard(session)
        if not mates:
            del self._of_player[_player_of(session)]
        self._of_operator[session.record.operator_id] -= 1


def _player_of(session: SessionActor) -> tuple[UUID, str]:
    """Whose session it is: players' names are their operator's."""
    return session.record.operator_id, session.record.operator_player_id
