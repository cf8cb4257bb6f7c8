"""Simulated time: it jumps to the next deadline when all tasks wait, and never stands on it exactly."""

import math
import random

import trio.testing
from trio._core import _run as scheduler

LATE_S_MAX = 0.000_02
"""Real timers fire a little late. Exactly on a deadline, rounding could make a loop find that it is not there yet."""
LOOKS_MAX = 50_000
"""Looks at the clock without time passing, after which a world counts as stuck."""


class SimulatedTime:
    """What a mock clock is made to say; reckons the jumps itself, at a fraction of the price."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._now = 0.0
        self._looks = 0

    def clock(self) -> trio.testing.MockClock:
        """Trio's own class can't be inherited from, and its scheduler insists on it."""
        clock = trio.testing.MockClock(autojump_threshold=0)
        clock.current_time = self.current_time
        clock.deadline_to_sleep_time = self.deadline_to_sleep_time
        clock._autojump = self.jump
        return clock

    def current_time(self) -> float:
        self._looks += 1
        if self._looks > LOOKS_MAX:
            raise RuntimeError(f"time stands still at {self._now}: tasks run round and round")
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return 0.0 if deadline <= self._now else 999_999_999.0

    def jump(self) -> None:
        """To the next deadline; called when nothing can run."""
        deadline = scheduler.GLOBAL_RUN_CONTEXT.runner.deadlines.next_deadline()
        if self._now < deadline < math.inf:
            self._now = deadline + self._rng.uniform(LATE_S_MAX / 2, LATE_S_MAX)
            self._looks = 0
