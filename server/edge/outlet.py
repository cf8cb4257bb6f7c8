"""What a player's socket takes at once: the one thing that a tick to it looks at.

Ticks to thousands of players cost what has to be fetched from memory for each of them, more than what is done with
it. So this is small, and apart from the stream and the sink, which keep it true.
"""

from collections.abc import Callable


class Outlet:
    """Implements ``actors.ports.TickTarget``."""

    __slots__ = ("has_taken_ticks", "keep", "rest", "write")

    def __init__(self) -> None:
        self.write: Callable[[bytes], int] | None = None
        """Takes as much of a frame as the kernel does now, see ``Transport.send_now``; ``None`` while nothing may be
        written at once."""
        self.rest = b""
        """What the kernel left over of a frame: it goes out before anything else."""
        self.keep: Callable[[bytes, int], None] | None = None
        """Told of each tick that was not taken whole, and how many of its bytes were."""
        self.has_taken_ticks = False
        """Whether there were any since somebody last took note and set this back."""

    def offer(self, frame: bytes) -> int:
        """Write a frame at once or skip it: how many bytes of it the kernel took. Never waits.

        If they are some, but not all, the caller sees to the ``rest``.
        """
        if self.write is None:
            return 0
        try:
            sent = self.write(frame)
        except OSError:
            return 0  # full, or broken: then whoever reads learns it
        if sent != len(frame):
            self._leave(frame, sent)
        return sent

    def offer_tick(self, number: int, frame: bytes) -> None:
        """Write a tick, a whole websocket frame, now, or have it kept or skipped."""
        sent = 0
        if self.write is not None:  # as in ``offer``, since each call is heard
            try:
                sent = self.write(frame)
            except OSError:
                sent = 0
            if sent == len(frame):
                self.has_taken_ticks = True
                return
            self._leave(frame, sent)
        if self.keep is not None:
            self.keep(frame, sent)

    def _leave(self, frame: bytes, sent: int) -> None:
        """See that nothing gets between the parts of a frame."""
        if sent:
            self.rest = frame[sent:]
            self.write = None
