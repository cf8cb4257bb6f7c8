"""The screen: the socket that shows a session, if there is one."""

from math import inf

import trio

from actors.facts.error_texts import words
from actors.facts.frames_out import ClientOut, ErrorOut, SessionEndedOut, encode
from actors.ports.sink import PlayerSink
from actors.shared.metronome import Flight


def end_socket(sink: PlayerSink, reason: str) -> None:
    """Tell a page why there is no more, and close."""
    sink.send(encode(SessionEndedOut(reason=reason)))
    sink.close()


class Screen:
    """What is shown while no socket is there is lost: the next one is told by its welcome."""

    __slots__ = ("_flight", "_sink", "alone_since")

    def __init__(self) -> None:
        self._sink: PlayerSink | None = None
        self._flight: Flight | None = None
        self.alone_since = trio.current_time()
        """When the last socket went, by trio's clock; infinite while there is one."""

    @property
    def is_attended(self) -> bool:
        """Whether a socket is there."""
        return self._sink is not None

    @property
    def is_behind(self) -> bool:
        """Whether the player's side has not taken yet all that was shown."""
        return self._sink is not None and self._sink.is_behind

    def show(self, *frames: ClientOut) -> None:
        """Send these frames, in order."""
        if self._sink is not None:
            self._sink.send(*map(encode, frames))

    def refuse(self, code: str, frame_id: str | None, message: str | None = None) -> None:
        """Answer a frame with an error; without a ``message`` in the words for its code."""
        self.show(ErrorOut(id=frame_id, code=code, message=message or words(code)))

    def follow(self, flight: Flight | None) -> None:
        """Have the metronome send this flight's ticks straight to whichever socket is there; ``None``: no flight's."""
        self._flight = flight
        self._aim()

    def seat(self, sink: PlayerSink) -> None:
        """Show everything to this socket from now on."""
        self._sink, self.alone_since = sink, inf
        self._aim()

    def leave(self, sink: PlayerSink) -> None:
        """This socket has gone, perhaps after another one took its place."""
        if self._sink is sink:
            self._sink, self.alone_since = None, trio.current_time()
            self._aim()

    def end(self, reason: str) -> None:
        """Close the socket, if there is one."""
        if self._sink is not None:
            end_socket(self._sink, reason)
            self.leave(self._sink)

    def _aim(self) -> None:
        if self._flight is not None:
            self._flight.show_to(None if self._sink is None else self._sink.outlet)
