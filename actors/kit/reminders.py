"""Reminders: calls at moments of one clock, in milliseconds, in their order, for one task that makes them.

A deadline of trio's own takes seven times as long to set and to take back, and a cancellation to come true.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

_STALE_MAX: Final = 64


class Reminder:
    """One call that is to be made, until it has been or is taken back."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call


class Reminders:
    """Calls must not wait, and none may raise. Bounded by who sets them, one for each live round: what is taken back is
    kept for a while, but never more of it than of the others and ``_STALE_MAX``."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Reminder]] = []
        self._numbers = count()
        """For those of the same moment, in their order."""
        self._open = 0

    def __bool__(self) -> bool:
        """Whether any call is to be made."""
        return self._open > 0

    def set(self, at_ms: int, call: Callable[[], None]) -> Reminder:
        """Have ``call`` made once it is ``at_ms``."""
        reminder = Reminder(call)
        heappush(self._heap, (at_ms, next(self._numbers), reminder))
        self._open += 1
        return reminder

    def take_back(self, reminder: Reminder) -> None:
        """Harmless if the call has been made."""
        if reminder.call is not None:
            reminder.call = None
            self._open -= 1
            if len(self._heap) > 2 * self._open + _STALE_MAX:
                self._heap = [entry for entry in self._heap if entry[2].call is not None]
                heapify(self._heap)

    def next_ms(self) -> float:
        """When the next call is due; infinite if none is."""
        while self._heap and self._heap[0][2].call is None:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else float("inf")

    def make_due(self, now_ms: int) -> None:
        """Make all calls that are due."""
        while self.next_ms() <= now_ms:
            reminder = heappop(self._heap)[2]
            call = reminder.call
            self.take_back(reminder)
            if call is not None:
                call()
