"""The lobby: from a socket's first frame to its session actor; it owns all session and round actors."""

import hashlib
import logging
from uuid import UUID

import trio

from actors.clock import ServerClock
from actors.errors import ActorError, MailboxFullError
from actors.messages import Attach, Detach, FromPlayer, RoundLost, RoundOver
from actors.operators import limits_for
from actors.ports import LedgerUnavailableError, PlayerSink, SessionElsewhereError
from actors.protocol import (
    HISTORY_WELCOME,
    CashoutIn,
    FrameError,
    HelloIn,
    PingIn,
    error_frame,
    parse_frame,
    pong_frame,
    session_ended_frame,
)
from actors.records import OpenedSession, Operator
from actors.recovery import OrphanSweeper, resolve_stored
from actors.round import RoundActor
from actors.rules.limits import BetLimits
from actors.services import Services
from actors.session import SessionActor
from actors.supervisor import Policy, Supervisor
from actors.wallet import WalletDesk
from actors.words import words

log = logging.getLogger("getaway.lobby")

ENTER_ATTEMPTS_MAX = 3
"""A session that ends, or a round that must be ended, while a socket enters makes it look again, so often."""

INTERRUPT_MS_MAX = 5_000
"""How long refunding the rounds that outlasted a drain may take."""


def token_digest(token: str) -> bytes:
    """What is stored of a session's token."""
    return hashlib.sha256(token.encode("ascii")).digest()


class Door:
    """One socket's way into its session. No method waits."""

    __slots__ = ("_clock", "_lobby", "_session", "_sink")

    def __init__(self, session: SessionActor, sink: PlayerSink, clock: ServerClock, lobby: "Lobby") -> None:
        self._session = session
        self._sink = sink
        self._clock = clock
        self._lobby = lobby

    def deliver(self, text: bytes, received_at_ms: int) -> None:
        """Take a text frame that was received at ``received_at_ms``; what is wrong with it is answered by the sink."""
        try:
            frame = parse_frame(text)
        except FrameError as error:
            self._sink.send(error_frame(error.code, error.message, error.frame_id))
            return
        match frame:
            case PingIn():
                self._sink.send(pong_frame(frame, self._clock.now_ms()))
            case CashoutIn():
                self._session.cash_out(frame, received_at_ms)
            case HelloIn():
                message = "`hello` is for the first frame; this socket has its session."
                self._sink.send(error_frame("bad_message", message, frame.frame_id))
            case _:
                self._queue(FromPlayer(frame))

    def _queue(self, message: FromPlayer) -> None:
        try:
            self._session.tell_from_player(message)
        except MailboxFullError:
            self._lobby.overflowed("session")
            self._sink.send(error_frame("rate_limited", words("rate_limited"), message.frame.frame_id))
        except ActorError:
            self._sink.close()

    def leave(self) -> None:
        """The socket has gone; the session goes on without it."""
        try:
            self._session.tell(Detach(self._sink))
        except ActorError:
            log.debug("a socket left a session that had ended")


class Lobby:
    """Finds or opens sessions. A full house is refused (``sessions_max``); a draining one opens nothing."""

    def __init__(self, services: Services, sessions: Supervisor, rounds: Supervisor, desk: WalletDesk) -> None:
        self._services = services
        self._session_supervisor = sessions
        self._round_supervisor = rounds
        self._desk = desk
        self._sessions: dict[bytes, SessionActor] = {}
        self._opening: dict[bytes, trio.Event] = {}
        self._rounds: dict[UUID, RoundActor] = {}
        self._quiet = trio.Event()
        self.draining = False
        # One for all sessions: thousands of them are idle in memory.
        self._is_draining = lambda: self.draining
        self.sweeper = OrphanSweeper(services, self._deliver)
        services.operators.on_change(self._look)

    @property
    def sessions_open(self) -> int:
        """Session actors in memory."""
        return len(self._sessions)

    @property
    def rounds_live(self) -> int:
        """Round actors in memory."""
        return len(self._rounds)

    def limits_for(self, operator: Operator, currency: str) -> BetLimits | None:
        """What the operator's players bet under; ``None`` for a currency that is not theirs."""
        return limits_for(operator, currency, self._services.settings.bet_limits)

    def overflowed(self, actor: str) -> None:
        """Count a refused message."""
        self._services.observer.mailbox_overflow(actor)

    async def enter(self, hello: bytes, sink: PlayerSink) -> Door | None:
        """Judge a socket's first frame. ``None``: it was refused, told why, and its sink is closed."""
        try:
            frame = parse_frame(hello)
        except FrameError as error:
            refusal = error_frame("unauthorized", error.message, error.frame_id)
        else:
            if isinstance(frame, HelloIn):
                entered = await self._enter_or_say_why(frame, sink)
                if isinstance(entered, Door):
                    return entered
                refusal = entered
            else:
                refusal = error_frame("unauthorized", "The first frame must be `hello`.", frame.frame_id)
        sink.send(refusal)
        sink.close()
        return None

    async def _enter_or_say_why(self, hello: HelloIn, sink: PlayerSink) -> Door | bytes:
        try:
            return await self._enter(hello, sink)
        except SessionElsewhereError:
            message = "The session is open on another server. Try again in a few seconds."
        except LedgerUnavailableError:
            message = "The session can't be opened just now. Try again in a few seconds."
        return error_frame("wallet_unavailable", message, hello.frame_id)

    async def _enter(self, hello: HelloIn, sink: PlayerSink) -> Door | bytes:
        unauthorized = error_frame("unauthorized", words("unauthorized"), hello.frame_id)
        if not hello.token.isascii():
            return unauthorized
        digest = token_digest(hello.token)
        for _ in range(ENTER_ATTEMPTS_MAX):
            if self.draining:
                return session_ended_frame("shutdown")
            session = self._sessions.get(digest)
            if session is None:
                opened = await self._open(digest)
                if not isinstance(opened, SessionActor):
                    return opened or unauthorized
                session = opened
            door = await self._attach(session, sink, hello)
            if door is not None:
                return door
        raise LedgerUnavailableError("the session ended again and again while a socket entered")

    async def _attach(self, session: SessionActor, sink: PlayerSink, hello: HelloIn) -> Door | None:
        history, _ = await self._services.reads.history(
            session.record.operator_id, session.record.operator_player_id, None, HISTORY_WELCOME
        )
        try:
            session.tell(Attach(sink, history, hello.frame_id))
        except ActorError:
            return None
        return Door(session, sink, self._services.clock, self)

    async def _open(self, digest: bytes) -> SessionActor | bytes | None:
        """The session's new actor, a frame that says why there is none, or ``None`` for an unknown token.

        Only one task opens a session; others wait for it and look again.
        """
        opening = self._opening.get(digest)
        if opening is not None:
            await opening.wait()
            return self._sessions.get(digest) or await self._open(digest)
        self._opening[digest] = trio.Event()
        try:
            return await self._open_alone(digest)
        finally:
            self._opening.pop(digest).set()

    async def _open_alone(self, digest: bytes) -> SessionActor | bytes | None:
        services = self._services
        for _ in range(ENTER_ATTEMPTS_MAX):
            now_ms = services.clock.now_ms()
            opened = await services.reads.open_session(digest, services.owner, services.contact.lease_ms, now_ms)
            if opened is None:
                return None
            running = self._rounds.get(opened.session.session_id)
            if opened.live_round is not None and running is None:
                await self._end_stale_round(opened)
                continue
            return self._start_session(digest, opened, running)
        raise LedgerUnavailableError("a round of the session can't be ended yet")

    async def _end_stale_round(self, opened: OpenedSession) -> None:
        """A stored live round without an actor: its owner is dead, or an answer of the ledger was lost."""
        assert opened.live_round is not None
        await self.sweeper.sweep()
        now_ms = self._services.clock.now_ms()
        live = opened.live_round
        if await resolve_stored(self._services, live.operator_id, live.round_id, now_ms) is not None:
            self._deliver(live.operator_id)

    def _start_session(self, digest: bytes, opened: OpenedSession, running: RoundActor | None) -> SessionActor | bytes:
        services, record = self._services, opened.session
        if running is None:
            if record.expires_at_ms <= services.clock.now_ms():
                return session_ended_frame("expired")
            if not services.operators.is_active(record.operator_id):
                return session_ended_frame("operator_suspended")
        if len(self._sessions) >= services.settings.sessions_max:
            self.overflowed("lobby")
            return session_ended_frame("shutdown")
        session = SessionActor(
            services,
            self._desk,
            record,
            pending_calls=opened.pending_calls,
            start_round=self._start_round,
            run_beside=self._session_supervisor.run_beside,
            draining=self._is_draining,
        )
        if running is not None:
            session.adopt(running)
        if opened.pending_calls:
            self._deliver(record.operator_id)
        self._sessions[digest] = session

        async def on_end(_failed: bool) -> None:
            if self._sessions.get(digest) is session:
                del self._sessions[digest]
            self._note_quiet()

        self._session_supervisor.start(session, Policy.TEMPORARY, on_end)
        return session

    def _start_round(self, actor: RoundActor) -> None:
        session_id = actor.placed.session_id
        assert session_id not in self._rounds, "a session has one live round"
        self._rounds[session_id] = actor

        async def on_end(failed: bool) -> None:
            if failed:
                await self._end_failed_round(actor)
            if self._rounds.get(session_id) is actor:
                del self._rounds[session_id]
            self._note_quiet()

        self._round_supervisor.start(actor, Policy.TEMPORARY, on_end)

    async def _end_failed_round(self, actor: RoundActor) -> None:
        """A round actor is never restarted with its memory lost: its round is ended from what is stored."""
        placed = actor.placed
        now_ms = self._services.clock.now_ms()
        finished = await resolve_stored(self._services, placed.operator_id, placed.round_id, now_ms)
        pending = await self._services.reads.pending_calls(placed.operator_id, placed.session_id)
        owes_minor = sum(call.amount_minor for call in pending if call.round_id == placed.round_id)
        actor.report(RoundLost() if finished is None else RoundOver(finished, owes_minor, None))
        if owes_minor:
            self._deliver(placed.operator_id)

    def _deliver(self, operator_id: UUID) -> None:
        self._desk.deliver(operator_id)

    def _look(self) -> None:
        for session in list(self._sessions.values()):
            session.look()

    def _note_quiet(self) -> None:
        if not self._sessions and not self._rounds:
            self._quiet.set()

    async def drain(self) -> None:
        """Refuse new bets, let live rounds end for ``drain_ms_max``, then refund what still flies; end all sessions."""
        self.draining = True
        self._look()
        with trio.move_on_after(self._services.settings.drain_ms_max / 1000):
            await self._until_quiet()
            return
        log.warning("rounds outlasted the drain and are refunded", extra={"rounds": len(self._rounds)})
        for actor in list(self._rounds.values()):
            actor.interrupt()
        with trio.move_on_after(INTERRUPT_MS_MAX / 1000):
            await self._until_quiet()
            return
        log.error("rounds could not be ended; the next start ends them", extra={"rounds": len(self._rounds)})

    async def _until_quiet(self) -> None:
        while self._sessions or self._rounds:
            self._quiet = trio.Event()
            await self._quiet.wait()
