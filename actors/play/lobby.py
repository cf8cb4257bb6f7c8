"""The lobby: from a socket's first frame to its session actor; it owns all session and round actors."""

import hashlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from uuid import UUID

import trio

from actors.cluster.handover import note_return, open_or_ask, open_session
from actors.cluster.recovery import OrphanSweeper, resolve_stored
from actors.cluster.unattended import UnattendedSweeper
from actors.facts.frames_in import FrameError, HelloIn, parse_frame
from actors.facts.frames_out import ClientOut, ErrorOut, SessionEndedOut, encode
from actors.facts.records import (
    Commitment,
    FinishedRound,
    LiveRound,
    OpenedSession,
    Operator,
    RoundKey,
    RoundStatus,
    SessionRequest,
)
from actors.facts.words import TOO_MANY_SESSIONS, words
from actors.kit.errors import ActorError
from actors.kit.fair_queue import QueueFullError
from actors.kit.supervisor import Supervisor
from actors.play.door import Door
from actors.play.round import RoundActor
from actors.play.session import SessionActor
from actors.ports.ledger import LedgerUnavailableError
from actors.ports.sessions import SessionElsewhereError
from actors.ports.sink import PlayerSink
from actors.rules.limits import BetLimits
from actors.shared.messages import Attach, HandOver, Interrupt, Leave, Look, RoundLost, RoundOver
from actors.shared.metronome import Flight
from actors.shared.operators import limits_for
from actors.shared.services import REPEAT_FIRST_MS, REPEAT_MAX_MS, Services
from actors.wallet.pool import WalletPool

log = logging.getLogger("getaway.lobby")

ENTER_ATTEMPTS_MAX = 3
"""A session that ends, or a round that must be ended, while a socket enters makes it look again, so often."""

OPEN_ATTEMPTS_MAX = 4
"""A session is read again where a live round has no actor, and after its end."""

LEAVE_AGAIN_S = 0.02
"""After which an actor whose mailbox was full is asked again to let go of its session."""

INTERRUPT_MS_MAX = 5_000
"""How long refunding the rounds that outlasted a drain may take."""


def token_digest(token: str) -> bytes:
    """What is stored of a session's token."""
    return hashlib.sha256(token.encode("ascii")).digest()


def player_of(session: SessionActor) -> tuple[UUID, str]:
    """Whose session it is: players' names are their operator's."""
    return session.record.operator_id, session.record.operator_player_id


def _refusal(code: str, message: str, frame_id: str | None = None) -> ErrorOut:
    return ErrorOut(id=frame_id, code=code, message=message)


class Lobby:
    """Finds or opens sessions. A full house is refused (``sessions_max``); a draining one opens nothing."""

    def __init__(self, services: Services, sessions: Supervisor, rounds: Supervisor, pool: WalletPool) -> None:
        self._services = services
        self._addresses = services.addresses
        self._session_supervisor = sessions
        self._round_supervisor = rounds
        self._pool = pool
        self._sessions: dict[bytes, SessionActor] = {}
        self._opening: dict[bytes, trio.Event] = {}
        self._of_player: dict[tuple[UUID, str], set[SessionActor]] = {}
        self._of_operator: Counter[UUID] = Counter()
        self._rounds: dict[UUID, RoundActor] = {}
        self._failed: dict[UUID, int] = {}
        """Rounds whose actor failed, and when, until their end is known to be stored: without memory none flies on."""
        self._left: dict[UUID, Flight] = {}
        """By session that is being handed over: the flight that its round's actor left as it is."""
        self._giving: dict[UUID, trio.Event] = {}
        """Sessions that are being handed over; each event is set when an actor of the session ends."""
        self._quiet = trio.Event()
        self.draining = False
        # One for all sessions: thousands of them are idle in memory.
        self.sweeper = OrphanSweeper(services, self._wake_courier)
        self.unattended = UnattendedSweeper(services, self)
        services.operators.on_change(self._look)
        services.contact.on_change(self._look)

    @property
    def sessions_open(self) -> int:
        """Session actors in memory."""
        return len(self._sessions)

    @property
    def rounds_live(self) -> int:
        """Round actors in memory."""
        return len(self._rounds)

    @property
    def rounds_ending(self) -> int:
        """Rounds of which the end is decided, and not stored yet."""
        return sum(actor.is_ending for actor in self._rounds.values())

    def limits_for(self, operator: Operator, currency: str) -> BetLimits | None:
        """What the operator's players bet under; ``None`` for a currency that is not theirs."""
        return limits_for(operator, currency, self._services.settings.bet_limits)

    def overflowed(self, actor: str) -> None:
        self._services.observer.mailbox_overflow(actor)

    def was_here(self, hello: bytes) -> bool:
        """Whether the session that a socket's first frame names is in memory."""
        try:
            frame = parse_frame(hello)
        except FrameError:
            return False
        return isinstance(frame, HelloIn) and frame.token.isascii() and token_digest(frame.token) in self._sessions

    async def enter(self, hello: bytes, sink: PlayerSink) -> Door | None:
        """Judge a socket's first frame. ``None``: it was refused, told why, and its sink is closed."""
        try:
            frame = parse_frame(hello)
        except FrameError as error:
            refusal: ClientOut = _refusal("unauthorized", error.message, error.frame_id)
        else:
            if isinstance(frame, HelloIn):
                entered = await self._enter_or_say_why(frame, sink)
                if isinstance(entered, Door):
                    return entered
                refusal = entered
            else:
                refusal = _refusal("unauthorized", "The first frame must be `hello`.", frame.frame_id)
        sink.send(encode(refusal))
        sink.close()
        return None

    async def _enter_or_say_why(self, hello: HelloIn, sink: PlayerSink) -> Door | ClientOut:
        try:
            return await self._enter(hello, sink)
        except SessionElsewhereError:
            message = "The session is not free yet. Try again in a few seconds."
        except LedgerUnavailableError:
            message = "The session can't be opened just now. Try again in a few seconds."
        return _refusal("wallet_unavailable", message, hello.frame_id)

    async def _enter(self, hello: HelloIn, sink: PlayerSink) -> Door | ClientOut:
        unauthorized = _refusal("unauthorized", words("unauthorized"), hello.frame_id)
        if not hello.token.isascii():
            return unauthorized
        digest = token_digest(hello.token)
        for _ in range(ENTER_ATTEMPTS_MAX):
            if self._sends_away() or self._services.contact.is_cut:
                return SessionEndedOut(reason="shutdown")
            session = None if digest in self._opening else self._sessions.get(digest)
            if session is None:
                opened = await self._open(digest)
                if not isinstance(opened, SessionActor):
                    return opened or unauthorized
                session = opened
            if self._has_too_many(session):
                self.overflowed("lobby")
                return _refusal("rate_limited", TOO_MANY_SESSIONS, hello.frame_id)
            door = await self._attach(digest, session, sink, hello)
            if door is not None:
                return door
        raise LedgerUnavailableError("the session ended again and again while a socket entered")

    def _is_full_for(self, operator_id: UUID) -> bool:
        settings = self._services.settings
        sessions_max = settings.sessions_of_operator_max
        if not self._services.operators.is_alone(operator_id):
            sessions_max = min(sessions_max, settings.sessions_of_operator_beside_others_max)
        return self._of_operator[operator_id] >= sessions_max

    def _has_too_many(self, session: SessionActor) -> bool:
        """Whether the player of a session that no socket shows yet has as many that are shown as it may."""
        mates = self._of_player.get(player_of(session), ())
        shown = sum(mate.is_attended for mate in mates if mate is not session)
        return not session.is_attended and shown >= self._services.settings.sessions_of_player_max

    async def _attach(self, digest: bytes, session: SessionActor, sink: PlayerSink, hello: HelloIn) -> Door | None:
        history: Sequence[FinishedRound] | None = None
        if hello.history:
            try:
                async with self._services.read_share.turn(session.session_id):
                    history, _ = await self._services.stores.rounds.history(
                        session.record.operator_id, session.record.operator_player_id, None, hello.history
                    )
            except QueueFullError:
                raise LedgerUnavailableError("too many sockets wait to read a history") from None
        if digest in self._opening:
            return None  # It is being handed over: whoever says hello now asks for it back.
        try:
            session.tell(Attach(sink, history, hello.frame_id, hello.history))
        except ActorError:
            return None
        return Door(self._services, session.session_id, session, sink)

    async def _open(self, digest: bytes, *, asks: bool = True) -> SessionActor | ClientOut | None:
        """The session's new actor, a frame that says why there is none, or ``None`` for an unknown token.

        Only one task opens a session, or hands it over; others wait for it and look again.
        """
        async with self._alone(digest):
            return self._sessions.get(digest) or await self._open_alone(digest, asks=asks)

    @asynccontextmanager
    async def _alone(self, digest: bytes) -> AsyncIterator[None]:
        while (opening := self._opening.get(digest)) is not None:
            await opening.wait()
        self._opening[digest] = trio.Event()
        try:
            yield
        finally:
            self._opening.pop(digest).set()

    async def _open_alone(self, digest: bytes, *, asks: bool) -> SessionActor | ClientOut | None:
        services = self._services
        shown: Commitment | None = None
        for attempt in range(OPEN_ATTEMPTS_MAX):
            asked = services.flights.moment
            if asks:
                opened = await open_or_ask(services, digest, lambda: self.draining)
            else:
                opened = await open_session(services, digest)
            if opened is None:
                return None
            # Of promises that this loop itself discards nobody has seen the hash.
            shown = opened.discarded if attempt == 0 else shown
            running = self._rounds.get(opened.session.session_id)
            if opened.live_round is not None and running is None and attempt:
                await note_return(services, opened)
                # There was no actor before it was read, either: no end of it was under way.
                if opened.owns_round and not services.flights.check(opened.live_round, asked):
                    continue  # It was ended while it was read.
                running = self._fly_on(opened)
                if running is None:
                    await self._end_stale_round(opened)
            if opened.live_round is None or running is not None:
                return self._start_session(digest, replace(opened, discarded=shown), running)
        raise LedgerUnavailableError("a round of the session can't be ended yet")

    def _fly_on(self, opened: OpenedSession) -> RoundActor | None:
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
        self._start_round(actor)
        return actor

    async def _end_stale_round(self, opened: OpenedSession) -> None:
        """A stored live round without an actor: its owner is dead, or an answer of the ledger was lost."""
        assert opened.live_round is not None
        await self.sweeper.sweep()
        now_ms = self._services.clock.cautious_ms()
        live = opened.live_round
        if await resolve_stored(self._services, live.operator_id, live.round_id, now_ms) is not None:
            self._wake_courier(live.operator_id)
        self._failed.pop(live.round_id, None)

    def _start_session(
        self, digest: bytes, opened: OpenedSession, running: RoundActor | None
    ) -> SessionActor | ClientOut:
        services, record = self._services, opened.session
        if running is None:
            if record.expires_at_ms <= services.clock.now_ms():
                return SessionEndedOut(reason="expired")
            if not services.operators.is_active(record.operator_id):
                return SessionEndedOut(reason="operator_suspended")
        if len(self._sessions) >= services.settings.sessions_max:
            self.overflowed("lobby")
            return SessionEndedOut(reason="shutdown")
        if running is None and self._is_full_for(record.operator_id):
            self.overflowed("lobby")
            return _refusal("rate_limited", TOO_MANY_SESSIONS)
        session = SessionActor(
            services,
            self._pool,
            opened,
            running=None if running is None else running.seen,
            start_round=self._place_round,
            run_beside=self._session_supervisor.run_beside,
            draining=self._sends_away,
        )
        if opened.outbox:
            self._wake_courier(record.operator_id)
        self._sessions[digest] = self._addresses.sessions[record.session_id] = session
        self._note_start(session)

        async def on_end(_failed: bool) -> None:
            if self._sessions.get(digest) is session:
                del self._sessions[digest]
                del self._addresses.sessions[session.session_id]
            self._forget(session)
            self._note_end(session.session_id)

        self._session_supervisor.start(session, on_end)
        return session

    def _note_start(self, session: SessionActor) -> None:
        self._of_player.setdefault(player_of(session), set()).add(session)
        self._of_operator[session.record.operator_id] += 1

    def _forget(self, session: SessionActor) -> None:
        mates = self._of_player[player_of(session)]
        mates.discard(session)
        if not mates:
            del self._of_player[player_of(session)]
        self._of_operator[session.record.operator_id] -= 1

    def _place_round(self, live: LiveRound, after: Commitment) -> None:
        self._start_round(RoundActor(self._services, self._pool, live, next_commitment=after))

    def _start_round(self, actor: RoundActor) -> None:
        session_id, round_id = actor.placed.session_id, actor.placed.round_id
        assert session_id not in self._rounds, "a session has one live round"
        self._rounds[session_id] = self._addresses.rounds[session_id, round_id] = actor

        async def on_end(failed: bool) -> None:
            try:
                if failed:
                    await self._end_failed_round(actor)
            finally:
                self._remember(actor)
                if self._rounds.get(session_id) is actor:
                    del self._rounds[session_id], self._addresses.rounds[session_id, round_id]
                self._note_end(session_id)

        self._round_supervisor.start(actor, on_end)

    def _remember(self, actor: RoundActor) -> None:
        placed, flight = actor.placed, actor.flight
        if flight is None:
            return
        if actor.is_over:
            self._remember_end(actor)
        elif placed.session_id in self._giving:
            self._left[placed.session_id] = flight

    def _remember_end(self, actor: RoundActor) -> None:
        if actor.flight is not None:
            placed = actor.placed
            self._services.flights.end(placed.session_id, placed.round_id, actor.flight.ends_at_ms)

    async def _end_failed_round(self, actor: RoundActor) -> None:
        """A round actor is never restarted with its memory lost: its round is ended from what is stored."""
        placed = actor.placed
        now_ms = self._services.clock.cautious_ms()
        self._failed[placed.round_id] = now_ms
        finished = await resolve_stored(self._services, placed.operator_id, placed.round_id, now_ms)
        self._failed.pop(placed.round_id, None)
        if finished is not None:
            self._remember_end(actor)
        await self._tell_end(placed.operator_id, placed.session_id, placed.round_id, finished)

    async def _tell_end(
        self,
        operator_id: UUID,
        session_id: UUID,
        round_id: UUID,
        finished: FinishedRound | None,
    ) -> None:
        """What the end has put into the outbox is asked until it is known: the session waits to be told of it."""
        wait_ms = REPEAT_FIRST_MS
        while True:
            try:
                pending = await self._services.stores.outbox.outbox_of(operator_id, session_id)
                break
            except LedgerUnavailableError:
                await trio.sleep(wait_ms / 1000)
            except Exception:
                # Nobody else would tell the session, now that the round is not live any more.
                self._addresses.tell_session(session_id, RoundLost())
                raise
            wait_ms = min(wait_ms * 2, REPEAT_MAX_MS)
        outbox_minor = sum(call.amount_minor for call in pending if call.round_id == round_id)
        news = RoundLost() if finished is None else RoundOver(finished, outbox_minor, None)
        self._addresses.tell_session(session_id, news)
        if outbox_minor:
            self._wake_courier(operator_id)

    # Rounds without an actor: see ``actors.cluster.unattended.Attendance``.

    def attends(self, session_id: UUID) -> bool:
        """Whether the session's round has an actor here, or is being given away."""
        return session_id in self._rounds or session_id in self._giving

    def forsaken(self) -> list[RoundKey]:
        """Rounds of open sessions that have no actor any more."""
        waiting = [(digest, session, session.waits_for) for digest, session in self._sessions.items()]
        return [
            RoundKey(
                operator_id=session.record.operator_id,
                session_id=session.session_id,
                round_id=round_id,
                token_digest=digest,
            )
            for digest, session, round_id in waiting
            if round_id is not None and session.session_id not in self._rounds
        ]

    def alone_with(self, token_digest: bytes) -> AbstractAsyncContextManager[None]:
        """Only one task opens a session, hands it over or ends what is left of it."""
        return self._alone(token_digest)

    def lost_at_ms(self, round_id: UUID) -> int:
        """When its actor failed, if that is known."""
        return self._failed.get(round_id, 0)

    async def note_end(self, key: RoundKey, finished: FinishedRound | None) -> None:
        """Tell the session, if it is open and still waits for the round."""
        self._failed.pop(key.round_id, None)
        session = self._sessions.get(key.token_digest)
        if session is not None and session.waits_for == key.round_id:
            await self._tell_end(key.operator_id, key.session_id, key.round_id, finished)
        else:
            self._wake_courier(key.operator_id)

    def _wake_courier(self, operator_id: UUID) -> None:
        self._pool.wake_courier(operator_id)

    def _sends_away(self) -> bool:
        return self.draining or self._services.contact.sends_away

    def _look(self) -> None:
        for session in list(self._sessions.values()):
            self._addresses.tell_session(session.session_id, Look())

    # Hand-overs: see ``actors.cluster.handover.Giver``.

    @asynccontextmanager
    async def giving(self, request: SessionRequest) -> AsyncIterator[None]:
        """Let go of the session; nobody opens it here while the block runs."""
        session_id = request.session_id
        async with self._alone(request.token_digest):
            try:
                await self._let_go(request.token_digest, session_id)
                yield
            finally:
                self._giving.pop(session_id, None)
                self._left.pop(session_id, None)
                self._note_quiet()

    async def _let_go(self, digest: bytes, session_id: UUID) -> None:
        """First the session stops, which takes no more cash-outs; behind those that it took its round is told."""
        told: list[SessionActor | RoundActor] = []
        while True:
            self._giving[session_id] = trio.Event()
            session, running = self._sessions.get(digest), self._rounds.get(session_id)
            if session is None and running is None:
                return
            try:
                if session is not None and session not in told:
                    session.tell(Leave())
                    told.append(session)
                elif session is None and running is not None and running not in told:
                    running.tell(HandOver())
                    told.append(running)
            except ActorError:
                log.debug("an actor has ended, or is too busy, when its session is to be handed over")
            with trio.move_on_after(LEAVE_AGAIN_S if session not in told and running not in told else float("inf")):
                await self._giving[session_id].wait()

    async def is_current(self, request: SessionRequest) -> bool:
        """Whether no flight that this node has ended or given away is stored as live. Usually there is none."""
        services = self._services
        for round_id in services.flights.known_in(request.session_id):
            while True:
                asked = services.flights.moment
                live = await services.stores.rounds.live_round(request.operator_id, round_id)
                if live is None or services.flights.check(live, asked):
                    break
        return True

    def has_given(self, request: SessionRequest) -> None:
        """What was given does not fly on here unless it is asked back."""
        flight = self._left.get(request.session_id)
        if flight is not None:
            self._services.flights.go(request, flight.round_id, flight.ends_at_ms)

    async def reopen(self, digest: bytes) -> None:
        """The session stays here after all."""
        await self._open_alone(digest, asks=False)

    async def take_up(self, digest: bytes) -> None:
        """Open what this node was given."""
        if digest not in self._sessions:
            await self._open(digest, asks=False)

    def _note_end(self, session_id: UUID) -> None:
        if session_id in self._giving:
            self._giving[session_id].set()
        self._note_quiet()

    def _note_quiet(self) -> None:
        if not self._sessions and not self._rounds and not self._giving:
            self._quiet.set()

    def begin_drain(self) -> None:
        """Refuse new bets, and end sessions as soon as they have no round."""
        self.draining = True
        self._look()

    async def drain(self) -> None:
        """Refuse new bets, let live rounds end for ``drain_ms_max``, then refund what still flies; end all sessions."""
        self.begin_drain()
        with trio.move_on_after(self._services.settings.drain_ms_max / 1000):
            await self._until_quiet()
            return
        log.warning("rounds outlasted the drain and are refunded", extra={"rounds": len(self._rounds)})
        for actor in list(self._rounds.values()):
            self._interrupt(actor)
        with trio.move_on_after(INTERRUPT_MS_MAX / 1000):
            await self._until_quiet()
            return
        log.error("rounds could not be ended; the next start ends them", extra={"rounds": len(self._rounds)})

    def _interrupt(self, actor: RoundActor) -> None:
        try:
            actor.tell(Interrupt())
        except ActorError:
            log.warning("a round could not be interrupted", extra={"round_id": str(actor.placed.round_id)})

    async def _until_quiet(self) -> None:
        while self._sessions or self._rounds or self._giving:
            self._quiet = trio.Event()
            await self._quiet.wait()
