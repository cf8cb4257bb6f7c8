"""What one address may cost before it has proved to be somebody: units, of which each is about a millisecond of work.

A socket's upgrade is paid in advance and given back once its ``hello`` was accepted, so that whoever comes back with
five thousand others pays nothing in the end, and whoever opens sockets and says nothing soon waits for himself alone.
"""

from collections import deque
from collections.abc import Hashable
from typing import Final

import trio

from actors.fair_queue import CROWD

ADDRESSES_MAX: Final = 20_000
"""Of those that have spent something. Overflow: the one that was not heard of for longest is forgotten, unless somebody
of it waits."""
WAITS_S_MAX: Final = 2.0
"""So long whoever came first may wait behind others of its address before the newest goes first, as in a crowd of
``FairQueue``. Who asks again as soon as it is answered is always the newest: the patient would never have a turn."""


class _Purse:
    """One address's units, and who waits for some, the oldest first."""

    __slots__ = ("filled_at", "units", "waiting")

    def __init__(self, units: float) -> None:
        self.units = units
        self.filled_at = trio.current_time()
        self.waiting: deque[trio.Event] = deque()


class Tolerance:
    """``burst`` units for each address, refilled with ``per_second``."""

    __slots__ = ("_burst", "_crowd", "_per_second", "_purses")

    def __init__(self, per_second: float, burst: float) -> None:
        assert per_second > 0 and burst > 0
        self._per_second = per_second
        self._crowd = max(CROWD, int(per_second * WAITS_S_MAX))
        self._burst = burst
        self._purses: dict[Hashable, _Purse] = {}

    async def spend(self, group: Hashable, units: float) -> None:
        """Take so many units, as soon as there are some. Whoever waits has a deadline of its own."""
        purse = self._purse(group)
        if not purse.waiting and purse.units > 0:
            purse.units -= units
            return
        turn = trio.Event()
        purse.waiting.append(turn)
        try:
            while True:
                if turn is self._next(purse):
                    wait_s = self._filled(purse)
                    if wait_s <= 0:
                        break
                    with trio.move_on_after(wait_s):
                        await turn.wait()
                else:
                    await turn.wait()
                if turn.is_set():
                    purse.waiting[purse.waiting.index(turn)] = turn = trio.Event()
            purse.units -= units
        finally:
            purse.waiting.remove(turn)
            self._wake(purse)

    def give_back(self, group: Hashable, units: float) -> None:
        """It was worth it: whoever waits may go on."""
        purse = self._purse(group)
        purse.units = min(self._burst, purse.units + units)
        self._wake(purse)

    def _next(self, purse: _Purse) -> trio.Event:
        """The oldest, or in a crowd the newest: see ``WAITS_S_MAX``."""
        return purse.waiting[-1] if len(purse.waiting) > self._crowd else purse.waiting[0]

    def _wake(self, purse: _Purse) -> None:
        if purse.waiting:
            self._next(purse).set()

    def _purse(self, group: Hashable) -> _Purse:
        """The address's, which is the youngest then."""
        purse = self._purses.pop(group, None)
        if purse is None:
            purse = _Purse(self._burst)
            self._forget_one()
        self._filled(purse)
        self._purses[group] = purse
        return purse

    def _forget_one(self) -> None:
        if len(self._purses) >= ADDRESSES_MAX:
            oldest = next(iter(self._purses))
            purse = self._purses.pop(oldest)
            if purse.waiting:
                self._purses[oldest] = purse

    def _filled(self, purse: _Purse) -> float:
        """Fill it up to now; the seconds until there is a unit in it."""
        now = trio.current_time()
        purse.units = min(self._burst, purse.units + (now - purse.filled_at) * self._per_second)
        purse.filled_at = now
        return (1 - purse.units) / self._per_second if purse.units <= 0 else 0.0
