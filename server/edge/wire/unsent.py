"""What a port's clients were answered and do not take: bytes in this process's memory, bounded for all together."""

from typing import Protocol


class Slow(Protocol):
    """A connection that does not take what it was sent."""

    def overflow(self) -> None: ...


class Unsent:
    """The sum over all connections. Overflow: whoever has most waiting is cut, so that nobody else pays for it."""

    __slots__ = ("_bytes_max", "_waiting", "bytes_waiting")

    def __init__(self, bytes_max: int) -> None:
        assert bytes_max > 0
        self._bytes_max = bytes_max
        self._waiting: dict[Slow, int] = {}
        self.bytes_waiting = 0

    def has(self, slow: Slow) -> bool:
        """Whether anything was noted for this connection."""
        return slow in self._waiting

    def note(self, slow: Slow, count: int) -> None:
        """So many bytes wait for this connection now."""
        self.bytes_waiting += count - self._waiting.pop(slow, 0)
        if count:
            self._waiting[slow] = count
        while self.bytes_waiting > self._bytes_max:
            slowest = max(self._waiting, key=self._waiting.__getitem__)
            self.bytes_waiting -= self._waiting.pop(slowest)
            slowest.overflow()
