"""A door: what a socket's frames become, once its hello was accepted."""

import logging
from collections.abc import Callable

from actors.facts.protocol import (
    CashoutIn,
    FrameError,
    HelloIn,
    PingIn,
    error_frame,
    parse_frame,
    pong_frame,
)
from actors.facts.words import words
from actors.kit.clock import ServerClock
from actors.kit.errors import ActorError, MailboxFullError
from actors.play.session import SessionActor
from actors.ports.sink import PlayerSink
from actors.shared.messages import Detach, FromPlayer

log = logging.getLogger("getaway.lobby")

Overflowed = Callable[[str], None]
"""Counts a refused message by the kind of actor that refused it."""


class Door:
    """One socket's way into its session. No method waits."""

    __slots__ = ("_clock", "_overflowed", "_session", "_sink")

    def __init__(self, session: SessionActor, sink: PlayerSink, clock: ServerClock, overflowed: Overflowed) -> None:
        self._session = session
        self._sink = sink
        self._clock = clock
        self._overflowed = overflowed

    def deliver(self, text: bytes, received_at_ms: int) -> None:
        """Take a text frame that was received at ``received_at_ms``; what is wrong with it is answered by the sink."""
        try:
            frame = parse_frame(text)
        except FrameError as error:
            self._sink.send(error_frame(error.code, error.message, error.frame_id))
            return
        match frame:
            case PingIn():
                self._sink.send(pong_frame(frame, self._clock.shared_ms()))
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
            self._overflowed("session")
            self._sink.send(error_frame("rate_limited", words("rate_limited"), message.frame.frame_id))
        except ActorError:
            self._sink.close()

    def leave(self) -> None:
        """The socket has gone; the session goes on without it."""
        try:
            self._session.tell(Detach(self._sink))
        except ActorError:
            log.debug("a socket left a session that had ended")
