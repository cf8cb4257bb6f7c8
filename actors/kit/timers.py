"""Timers: calls at moments of trio's clock, all made by one task.

A mailbox can be told something at a moment: a round that its flight ends, a session that something is due. Whoever only
waits for an answer uses a scope of trio's own; but one for each of these long waits would wake the process for each
alone, and costs ten times as much to set and to take back (7 us to 0.6).
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Final, NoReturn

import trio

SLACK_MS: Final = 5
"""A call may be made so late, so that many share a wake. It decides nothing: what a cash-out is worth depends on its
receipt."""
_STALE_MAX: Final = 64
_UNSET: Final = -1


class Timer:
    """One call, at a moment that may be changed or taken away. It is made once, then the timer is unset."""

    __slots__ = ("_call", "_number", "_timers", "at")

    def __init__(self, timers: "Timers", call: Callable[[], None]) -> None:
        self._timers = timers
        self._call = call
        self._number = _UNSET
        self.at = inf
        """By trio's clock; infinite while it is unset."""

    def set(self, at: float) -> None:
        """Have the call made at ``at`` by trio's clock, and at no other moment; never, if that is infinite."""
        if at == self.at:
            return
        self.clear()
        if at < inf:
            self.at = at
            self._number = self._timers.open(self, at)

    def clear(self) -> None:
        """Have it not made. Harmless if it has been."""
        if self._number != _UNSET:
            self.at, self._number = inf, _UNSET
            self._timers.close()

    def is_for(self, number: int) -> bool:
        """Whether it is set, by this number."""
        return self._number == number

    def ring(self) -> None:
        self.clear()
        self._call()


class Timers:
    """All timers of a node: not an actor but a table with a task, which may fail and be run again with nothing lost.

    Calls must not wait. One that raises ends the task, and is not made again. Bounded by who sets timers, one for each
    session and each flight: what is stale in the heap is never more than what is not and ``_STALE_MAX``.
    """

    kind: Final = "timers"

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = count()
        """For those of the same moment, in their order."""
        self._open = 0
        self._rest = trio.CancelScope()

    def __len__(self) -> int:
        return self._open

    def timer(self, call: Callable[[], None]) -> Timer:
        """A timer that is not set yet."""
        return Timer(self, call)

    async def run(self) -> NoReturn:
        """Make what is due, for ever."""
        while True:
            with trio.CancelScope(deadline=self._wakes_at()) as self._rest:
                await trio.sleep_forever()
            self._make_due()

    def open(self, timer: Timer, at: float) -> int:
        """For ``Timer``: it is set; by the number that is returned."""
        number = next(self._numbers)
        heappush(self._heap, (at, number, timer))
        self._open += 1
        wakes_at = at + SLACK_MS / 1000
        self._rest.deadline = min(self._rest.deadline, wakes_at)
        return number

    def close(self) -> None:
        """For ``Timer``: one is not set any more."""
        self._open -= 1
        if len(self._heap) > 2 * self._open + _STALE_MAX:
            self._heap = [entry for entry in self._heap if entry[2].is_for(entry[1])]
            heapify(self._heap)
            assert len(self._heap) == self._open, "each timer that is set is in the heap once"

    def _wakes_at(self) -> float:
        self._drop_stale()
        return self._heap[0][0] + SLACK_MS / 1000 if self._heap else inf

    def _drop_stale(self) -> None:
        while self._heap and not self._heap[0][2].is_for(self._heap[0][1]):
            heappop(self._heap)
        assert self._heap or not self._open, "each timer that is set is in the heap"

    def _make_due(self) -> None:
        now = trio.current_time()
        while self._heap and self._heap[0][0] <= now:
            _, number, timer = heappop(self._heap)
            if timer.is_for(number):
                timer.ring()
