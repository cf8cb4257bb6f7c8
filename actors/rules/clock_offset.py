"""How far another clock is ahead of ours, from answers that each took a while.

The answer was made at some moment between its question and its arrival. So each bounds the difference from both sides,
and the narrowest bounds of several are better than any of them. (Marzullo's and Owicki's intersection of intervals,
1983, with one clock.)
"""

from typing import Final

DRIFT_MAX: Final = 0.000_5
"""How much faster one of two clocks may run: quartz differs by some 50 parts in a million, NTP slews by up to 500."""


class ClockOffset:
    """The difference as an interval, in milliseconds, which each answer narrows and time widens."""

    def __init__(self) -> None:
        self._low = self._high = 0.0
        self._at_ms: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether there was an answer."""
        return self._at_ms is not None

    @property
    def ahead_ms(self) -> float:
        """How far the other clock is ahead of ours, most likely."""
        return (self._low + self._high) / 2

    @property
    def doubt_ms(self) -> float:
        """The truth is at most so far from ``ahead_ms``."""
        return (self._high - self._low) / 2

    def learn(self, asked_ms: float, other_ms: float, answered_ms: float) -> None:
        """The other clock showed ``other_ms`` at some moment from ``asked_ms`` to ``answered_ms`` on ours.

        It tells whole milliseconds, rounded to the nearest. An answer that contradicts what is known means that one of
        the clocks has stepped: then it alone counts.
        """
        low, high = other_ms - 0.5 - answered_ms, other_ms + 0.5 - asked_ms
        if self._at_ms is not None:
            widened = (answered_ms - self._at_ms) * DRIFT_MAX
            known_low, known_high = self._low - widened, self._high + widened
            if max(low, known_low) <= min(high, known_high):
                low, high = max(low, known_low), min(high, known_high)
        self._low, self._high, self._at_ms = low, high, answered_ms
