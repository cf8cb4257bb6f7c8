"""What one address may cost before it has proved to be somebody: units, of which each is about a millisecond of work.

A socket's upgrade is paid in advance and given back once its ``hello`` was accepted, so that whoever comes back with
five thousand others pays nothing in the end, and whoever opens sockets and says nothing soon waits for himself alone.
"""

from collections import deque
from collections.abc import Hashable
from typing import Final

import trio

from actors.kit.fair_queue import CROWD

ADDRESSES_MAX: Final = 20_000
"""Of those that have spent something. Overflow: the one that was not heard of for longest is forgotten, unless somebody
of it waits."""
WAITS_S_MAX: Final = 2.0
"""So long whoever came first may wait behind others of its address before the newest goes first, as in a crowd of
``FairQueue``, and the oldest after it: who asks again as soon as it is answered is always the newest, and the patient
would never have a turn."""


class _Lane:
    """Who waits for the same number of units: the oldest first, in a crowd the newest and the oldest in turns."""

    __slots__ = ("is_oldest_next", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[trio.Event] = deque()
        self.is_oldest_next = False


class _Purse:
    """One address's units, and who waits for some, in lanes that take turns: a thousand connections that ask for
    ``/livez`` do not keep those from a socket who came from the same address to play."""

    __slots__ = ("filled_at", "lanes", "units")

    def __init__(self, units: float) -> None:
        self.units = units
        self.filled_at = trio.current_time()
        self.lanes: dict[float, _Lane] = {}
        """Those in which somebody waits, by units; whose turn it is comes first."""

    def served(self, units: float) -> None:
        """One of this lane has its units."""
        lane = self.lanes.pop(units)
        lane.is_oldest_next = not lane.is_oldest_next
        self.lanes[units] = lane


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
        if not purse.lanes and purse.units > 0:
            purse.units -= units
            return
        turn = trio.Event()
        waiting = purse.lanes.setdefault(units, _Lane()).waiting
        waiting.append(turn)
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
                    at = waiting.index(turn)
                    waiting[at] = turn = trio.Event()
            purse.units -= units
            purse.served(units)
        finally:
            waiting.remove(turn)
            if not waiting:
                del purse.lanes[units]
            self._wake(purse)

    def give_back(self, group: Hashable, units: float) -> None:
        """It was worth it: whoever waits may go on."""
        purse = self._purse(group)
        purse.units = min(self._burst, purse.units + units)
        self._wake(purse)

    def _next(self, purse: _Purse) -> trio.Event:
        """Whose turn it is: see ``WAITS_S_MAX``."""
        lane = next(iter(purse.lanes.values()))
        is_newest = len(lane.waiting) > self._crowd and not lane.is_oldest_next
        return lane.waiting[-1 if is_newest else 0]

    def _wake(self, purse: _Purse) -> None:
        if purse.lanes:
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
            if purse.lanes:
                self._purses[oldest] = purse

    def _filled(self, purse: _Purse) -> float:
        """Fill it up to now; the seconds until there is a unit in it."""
        now = trio.current_time()
        purse.units = min(self._burst, purse.units + (now - purse.filled_at) * self._per_second)
        purse.filled_at = now
        return (1 - purse.units) / self._per_second if purse.units <= 0 else 0.0
