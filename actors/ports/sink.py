"""What a player's socket takes."""

from collections.abc import Callable
from typing import Protocol


class TickTarget(Protocol):
    """Where a live round's ticks go, as ``actors.node.Ports.framed`` made them."""

    write: Callable[[bytes], int] | None
    """Takes as much of a tick as can be taken at once, and tells how many bytes that was; raises ``OSError`` if it is
    none. ``None`` while something else comes first."""
    changed: Callable[[], None] | None
    """Called whenever ``write`` has changed. Set by who sends the ticks, while they come here."""

    def offer_tick(self, number: int, frame: bytes, sent: int = 0) -> None:
        """Take or skip, without waiting, tick ``number``, of which ``write`` has taken so many bytes, but not all."""


class PlayerSink(Protocol):
    """The writing side of one player's socket. Neither method waits."""

    @property
    def outlet(self) -> TickTarget:
        """Where the socket takes the ticks of the live round."""

    @property
    def is_behind(self) -> bool:
        """Whether some of what was sent has not been taken by the player's side yet."""

    def send(self, *frames: bytes) -> None:
        """Queue JSON text frames. A full queue closes the socket: frames are delivered in order or not at all."""

    def close(self) -> None:
        """Close the socket after what is queued was written."""
