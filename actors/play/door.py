"""A door: what a socket's frames become, once its hello was accepted."""

import logging
from uuid import UUID

from actors.facts.error_texts import words
from actors.facts.frames_in import CashoutIn, FrameError, HelloIn, PingIn, SessionIn, parse_frame
from actors.facts.frames_out import ErrorOut, PongOut, encode
from actors.kit.actor import Actor
from actors.kit.errors import ActorError, MailboxFullError
from actors.ports.sink import PlayerSink
from actors.shared.messages import Cashout, Detach, FromPlayer, SessionMessage
from actors.shared.services import Services

log = logging.getLogger("getaway.lobby")


class Door:
    """One socket's way to its session and its rounds. No method waits."""

    __slots__ = ("_services", "_session", "_session_id", "_sink")

    def __init__(self, services: Services, session_id: UUID, session: Actor[SessionMessage], sink: PlayerSink) -> None:
        self._services = services
        self._session_id = session_id
        self._session = session
        self._sink = sink

    def deliver(self, text: bytes, received_at_ms: int) -> None:
        """Take a text frame that was received at ``received_at_ms``; what is wrong with it is answered by the sink."""
        try:
            frame = parse_frame(text)
        except FrameError as error:
            self._refuse(error.code, error.message, error.frame_id)
            return
        match frame:
            case PingIn():
                self._sink.send(encode(PongOut.to(frame, self._services.clock.shared_ms())))
            case CashoutIn():
                self._cash_out(frame, received_at_ms)
            case HelloIn():
                message = "`hello` is for the first frame; this socket has its session."
                self._refuse("bad_message", message, frame.frame_id)
            case _:
                self._queue(FromPlayer(frame))

    def _cash_out(self, frame: CashoutIn, received_at_ms: int) -> None:
        """Straight to the round, so that nothing delays it. Where there is none, the session says what is wrong."""
        played = self._services.addresses.round_of(self._session_id, frame.round_id)
        try:
            if played is not None:
                played.tell(Cashout(frame.frame_id, received_at_ms))
                return
        except MailboxFullError:
            self._overflow("round", frame)
            return
        except ActorError:
            log.debug("a cash-out came after its round's end")
        self._queue(FromPlayer(frame))

    def _queue(self, message: FromPlayer) -> None:
        """Into the first half of the session's mailbox: the rest is for news of its round and its wallet."""
        if self._session.queued >= self._session.mailbox_max // 2:
            self._overflow("session", message.frame)
            return
        try:
            self._session.tell(message)
        except ActorError:
            self._sink.close()

    def _overflow(self, actor: str, frame: SessionIn) -> None:
        self._services.observer.mailbox_overflow(actor)
        self._refuse("rate_limited", words("rate_limited"), frame.frame_id)

    def _refuse(self, code: str, message: str, frame_id: str | None) -> None:
        self._sink.send(encode(ErrorOut(id=frame_id, code=code, message=message)))

    def leave(self) -> None:
        """The socket has gone; the session goes on without it."""
        try:
            self._session.tell(Detach(self._sink))
        except ActorError:
            log.debug("a socket left a session that had ended")
