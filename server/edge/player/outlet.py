"""What a player's socket writes at once or not at all: ticks, straight from the metronome."""

from collections.abc import Callable


class Outlet:
    """Implements ``actors.ports.sink.TickTarget``: the stream says when it may ``write``, the sink keeps the rest."""

    __slots__ = ("changed", "keep", "rest", "write")

    def __init__(self) -> None:
        self.write: Callable[[bytes], int] | None = None
        """See ``Transport.send_now``. Set by ``let``, which tells who has to know."""
        self.changed: Callable[[], None] | None = None
        self.rest = b""
        """What the kernel left over of a frame: it goes out before anything else."""
        self.keep: Callable[[bytes, int], None] | None = None
        """Told of each tick that was not taken whole, and how many of its bytes were."""

    @property
    def takes_ticks(self) -> bool:
        """Whether there are ticks, and the client reads them: while it does not, there is something to write first."""
        return self.changed is not None and self.write is not None

    def let(self, write: Callable[[bytes], int] | None) -> None:
        """Write by this from now on; ``None``: write nothing at once."""
        self.write = write
        if self.changed is not None:
            self.changed()

    def offer_tick(self, number: int, frame: bytes, sent: int = 0) -> None:
        """Have a tick, a whole websocket frame, kept or skipped, of which so many bytes were written."""
        if sent:
            self._leave(frame, sent)
        if self.keep is not None:
            self.keep(frame, sent)

    def _leave(self, frame: bytes, sent: int) -> None:
        """See that nothing gets between the parts of a frame."""
        self.rest = frame[sent:]
        self.let(None)
