"""A node's clocks. All count unix milliseconds and are carried by trio's monotonic clock between two looks.

========== ====================================================================== ================================
clock      what it follows                                                        for
========== ====================================================================== ================================
steady     nothing: it began with the process and only runs                       flights, receipts, waits
house      the database's clock, told by each heartbeat                           what is stored, shown or compared
                                                                                  between nodes
wall       the machine's clock, looked at with each heartbeat                     signatures
========== ====================================================================== ================================

A flight lives on the steady clock from its start, so no correction makes it jump; its stored start is of the house's
time, which all nodes share, so that another node can fly it on or end it whatever its own machine believes.

House and wall follow what is ahead of them at once. Ahead of it they stand still until it has caught up, but for
``STAND_MS_MAX`` at most: standing for hours would make every signature stale, and what is due then would never come. A
longer step back is taken at once.
"""

import math
from collections.abc import Callable
from typing import Final

import trio

STEP_MS_MIN: Final = 20
"""A smaller difference is left alone: it is of the order of what reading a clock on a busy machine takes."""
STAND_MS_MAX: Final = 30_000
"""A tenth of what an operator lets a signature differ (contract, 300 s)."""
FLIGHT_MS_MAX: Final = 900_000
"""No flight takes as long: the curve reaches any multiplier that terms allow before it."""


class Follower:
    """A clock that is the steady one and a difference, corrected when what it follows was looked at.

    ``is_guess``: nobody has looked yet, and nothing relies on it. The first look is no step, then.
    """

    __slots__ = ("_ahead_ms", "_is_guess", "_stands_at_ms")

    def __init__(self, *, is_guess: bool) -> None:
        self._ahead_ms = 0
        self._stands_at_ms = 0
        self._is_guess = is_guess

    @property
    def ahead_ms(self) -> int:
        """How far it is ahead of the steady clock when it does not stand."""
        return self._ahead_ms

    def at(self, steady_ms: int) -> int:
        """What it shows when the steady clock shows ``steady_ms``: unix milliseconds."""
        return max(steady_ms + self._ahead_ms, self._stands_at_ms)

    def correct(self, steady_ms: int, ahead_ms: float, doubt_ms: float = 0) -> int:
        """What is followed was ``ahead_ms`` ahead of the steady clock, give or take ``doubt_ms``, at ``steady_ms``.

        The step that was taken, in milliseconds; 0 if the difference is too small, or too doubtful, for one.
        """
        step_ms = round(ahead_ms - self._ahead_ms)
        if self._is_guess:
            self._ahead_ms, self._is_guess = step_ms, False
            return 0
        if abs(step_ms) < max(STEP_MS_MIN, doubt_ms):
            return 0
        shown_ms = self.at(steady_ms)
        self._ahead_ms += step_ms
        is_far_back = shown_ms - (steady_ms + self._ahead_ms) > STAND_MS_MAX
        self._stands_at_ms = 0 if is_far_back else shown_ms
        return step_ms


class ServerClock:
    """See the module. ``system_ms`` reads the machine's clock; without it the wall clock is the steady one."""

    def __init__(self, unix_ms: float, system_ms: Callable[[], float] | None = None) -> None:
        # Asked itself, the clock answers in half the time.
        self._current_time = trio.lowlevel.current_clock().current_time
        self._offset_ms = unix_ms - self._current_time() * 1000
        self._system_ms = system_ms
        self._house = Follower(is_guess=True)
        self._wall = Follower(is_guess=False)
        self._steps: list[tuple[int, int]] = []
        """Steps of the house's time that concern living flights: when, by the steady clock, and how far."""

    def steady_ms(self) -> int:
        """Whole milliseconds, rounded down, of the clock that never steps: about unix time, as the process's start
        believed it to be."""
        return math.floor(self._offset_ms + self._current_time() * 1000)

    def now_ms(self) -> int:
        """The house's time, in whole unix milliseconds."""
        return self._house.at(self.steady_ms())

    def shared_ms(self) -> int:
        """The house's time now, as starts of flights are stored and shown: it may step back, and does not stand.

        Players are told it, so that what they reckon a flight's age from is of one clock.
        """
        return self.unix_of(self.steady_ms())

    def wall_ms(self) -> int:
        """The machine's time, in whole unix milliseconds: for signatures, which others judge by theirs."""
        return self._wall.at(self.steady_ms())

    @property
    def wall_ahead_ms(self) -> int:
        """How far the machine's clock is ahead of the steady one, as it was looked at last."""
        return self._wall.ahead_ms

    def unix_of(self, steady_ms: int) -> int:
        """The house's time of a moment on the steady clock, as of now. It never stands: ``steady_of`` undoes it."""
        return steady_ms + self._house.ahead_ms

    def steady_of(self, unix_ms: int) -> int:
        """Where a moment of the house's time lies on the steady clock, as of now."""
        return unix_ms - self._house.ahead_ms

    def began_ms(self, started_at_ms: int) -> int:
        """Where the stored start of a flight lies on the steady clock: by the house's time as it was then.

        Of what a step made doubtful the younger flight is taken, which has not ended before its player could see it.
        """
        began_ms = self.steady_of(started_at_ms)
        for at_ms, step_ms in reversed(self._steps):
            if began_ms < at_ms:
                began_ms = min(began_ms + step_ms, at_ms)
        return began_ms

    def cautious_ms(self) -> int:
        """Up to when flights of this process have certainly flown, in the time of their stored starts.

        A flight that began before the house's time leapt forward has not flown that long. So leaps of the last
        ``FLIGHT_MS_MAX`` are left out: what may not have ended by then is refunded, never taken for lost.
        """
        oldest_ms = self.steady_ms() - FLIGHT_MS_MAX
        return self.now_ms() - sum(step_ms for at_ms, step_ms in self._steps if at_ms > oldest_ms and step_ms > 0)

    def follow_house(self, ahead_ms: float, doubt_ms: float) -> int:
        """The database's clock is ``ahead_ms`` ahead of the steady one, give or take ``doubt_ms``: the step taken."""
        steady_ms = self.steady_ms()
        step_ms = self._house.correct(steady_ms, ahead_ms, doubt_ms)
        if step_ms:
            self._steps = [step for step in self._steps if step[0] > steady_ms - FLIGHT_MS_MAX]
            self._steps.append((steady_ms, step_ms))
        return step_ms

    def look(self) -> int:
        """Look at the machine's clock: the step taken."""
        if self._system_ms is None:
            return 0
        before = self._offset_ms + self._current_time() * 1000
        system_ms = self._system_ms()
        after = self._offset_ms + self._current_time() * 1000
        return self._wall.correct(math.floor(after), system_ms - (before + after) / 2, after - before)

    def trio_time(self, steady_ms: float) -> float:
        """A moment of the steady clock in trio's seconds, for deadlines."""
        return (steady_ms - self._offset_ms) / 1000

    def time_reached(self, steady_ms: int) -> float:
        """When, by trio's clock, the steady one is sure to show ``steady_ms``: what is lost in computing with seconds
        is less than a microsecond."""
        return self.trio_time(steady_ms + 0.001)

    async def sleep_until_ms(self, steady_ms: int) -> None:
        """Return at or after ``steady_ms``, never before it by ``steady_ms()``."""
        await trio.sleep_until(self.time_reached(steady_ms))
