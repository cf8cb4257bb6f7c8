"""The lobby: from a socket's first frame to its session, and the end of all play when this node stops.

Who has the actors is in tables of their own: ``open_sessions``, ``live_rounds``, and ``departures`` of what leaves.
"""

import hashlib
import logging
from collections.abc import Sequence
from typing import Final

import trio

from actors.cluster.recovery import OrphanSweeper
from actors.cluster.unattended import UnattendedSweeper
from actors.facts.error_texts import TOO_MANY_SESSIONS, words
from actors.facts.frames_in import FrameError, HelloIn, parse_frame
from actors.facts.frames_out import ClientOut, ErrorOut, SessionEndedOut, encode
from actors.facts.records import FinishedRound, Operator
from actors.kit.errors import ActorError
from actors.kit.fair_queue import QueueFullError
from actors.kit.supervisor import Supervisor
from actors.play.attendance import PlayersAttendance
from actors.play.door import Door
from actors.play.leaving_sessions import Departures
from actors.play.live_rounds import LiveRounds
from actors.play.open_sessions import OpenSessions
from actors.play.round import RoundActor
from actors.play.session import SessionActor
from actors.play.session_handover import Giving
from actors.ports.ledger import LedgerUnavailableError
from actors.ports.sessions import SessionElsewhereError
from actors.ports.sink import PlayerSink
from actors.rules.limits import BetLimits
from actors.shared.messages import Attach, Interrupt
from actors.shared.operators import limits_for
from actors.shared.services import Services
from actors.wallet.pool import WalletPool

log = logging.getLogger("getaway.lobby")

ENTER_ATTEMPTS_MAX: Final = 3
"""A session that ends, or a round that must be ended, while a socket enters makes it look again, so often."""

INTERRUPT_MS_MAX: Final = 5_000
"""How long refunding the rounds that outlasted a drain may take."""


def token_digest(token: str) -> bytes:
    """What is stored of a session's token."""
    return hashlib.sha256(token.encode("ascii")).digest()


def _refusal(code: str, message: str, frame_id: str | None = None) -> ErrorOut:
    return ErrorOut(id=frame_id, code=code, message=message)


class Lobby:
    """Lets sockets in. A draining one opens nothing."""

    def __init__(self, services: Services, sessions: Supervisor, rounds: Supervisor, pool: WalletPool) -> None:
        self._services = services
        self._departures = Departures()
        self._rounds = LiveRounds(services, rounds, pool, self._departures)
        # One for all sessions: thousands of them are idle in memory.
        self.sweeper = OrphanSweeper(services, pool.wake_courier)
        self._sessions = OpenSessions(
            services,
            sessions,
            pool,
            self._rounds,
            self._departures,
            sweep=self.sweeper.sweep,
            is_draining=lambda: self.draining,
        )
        self.giving = Giving(services, self._sessions, self._rounds, self._departures)
        attendance = PlayersAttendance(self._sessions, self._rounds, self._departures, pool)
        self.unattended = UnattendedSweeper(services, attendance)
        self.draining = False
        services.operators.on_change(self._sessions.look)
        services.contact.on_change(self._sessions.look)

    @property
    def sessions_open(self) -> int:
        return len(self._sessions)

    @property
    def rounds_live(self) -> int:
        return len(self._rounds)

    @property
    def rounds_ending(self) -> int:
        """Rounds of which the end is decided, and not stored yet."""
        return sum(actor.is_ending for actor in self._rounds)

    def limits_for(self, operator: Operator, currency: str) -> BetLimits | None:
        """What the operator's players bet under; ``None`` for a currency that is not theirs."""
        return limits_for(operator, currency, self._services.settings.bet_limits)

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
            if self._sessions.sends_away() or self._services.contact.is_cut:
                return SessionEndedOut(reason="shutdown")
            session = None if self._sessions.is_taken(digest) else self._sessions.of(digest)
            if session is None:
                opened = await self._sessions.open(digest)
                if not isinstance(opened, SessionActor):
                    return opened or unauthorized
                session = opened
            if self._has_too_many(session):
                self._services.observer.mailbox_overflow("lobby")
                return _refusal("rate_limited", TOO_MANY_SESSIONS, hello.frame_id)
            door = await self._attach(digest, session, sink, hello)
            if door is not None:
                return door
        raise LedgerUnavailableError("the session ended again and again while a socket entered")

    def _has_too_many(self, session: SessionActor) -> bool:
        """Whether the player of a session that no socket shows yet has as many that are shown as it may."""
        shown_max = self._services.settings.sessions_of_player_max
        return not session.is_attended and self._sessions.shown_beside(session) >= shown_max

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
        if self._sessions.is_taken(digest):
            return None  # It is being handed over: whoever says hello now asks for it back.
        try:
            session.tell(Attach(sink, history, hello.frame_id, hello.history))
        except ActorError:
            return None
        return Door(self._services, session.session_id, session, sink)

    def begin_drain(self) -> None:
        """Refuse new bets, and end sessions as soon as they have no round."""
        self.draining = True
        self._sessions.look()

    async def drain(self) -> None:
        """Refuse new bets, let live rounds end for ``drain_ms_max``, then refund what still flies; end all sessions."""
        self.begin_drain()
        with trio.move_on_after(self._services.settings.drain_ms_max / 1000):
            await self._until_quiet()
            return
        log.warning("rounds outlasted the drain and are refunded", extra={"rounds": len(self._rounds)})
        for actor in self._rounds:
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
        while self._sessions or self._rounds or self._departures:
            await self._departures.next_end()
