"""The circuit breaker of one operator's wallet: pure, told the time and what became of each call.

Closed, it counts failures in a row. At ``failures_max`` it opens: nothing is called until a trial is due, the first
after ``open_first_ms``, each failed trial doubling the wait up to ``open_max_ms``. Any success closes it.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Breaker:
    """Times are unix milliseconds. What counts as a failure or a success is the caller's to say."""

    failures_max: int
    open_first_ms: int
    open_max_ms: int
    is_open: bool = False
    failures: int = 0
    open_ms: int = 0
    trial_at_ms: int = 0

    def permits(self, now_ms: int) -> bool:
        """Whether a call may begin now: always while closed, one trial at a time while open."""
        return not self.is_open or now_ms >= self.trial_at_ms

    def begin(self, now_ms: int) -> bool:
        """Begin a permitted call; whether it is a trial. A trial that never ends delays the next one, no more."""
        assert self.permits(now_ms), "a call begins only when the breaker permits it"
        if self.is_open:
            self.trial_at_ms = now_ms + self.open_ms
        return self.is_open

    def note_success(self) -> bool:
        """The wallet answered; whether that closed the breaker."""
        was_open, self.is_open, self.failures = self.is_open, False, 0
        return was_open

    def note_failure(self, now_ms: int, *, was_trial: bool) -> bool:
        """A call failed; whether that opened the breaker. Calls that began before it opened change nothing."""
        if self.is_open:
            if was_trial:
                self.open_ms = min(2 * self.open_ms, self.open_max_ms)
                self.trial_at_ms = now_ms + self.open_ms
            return False
        self.failures += 1
        if self.failures < self.failures_max:
            return False
        self.is_open, self.open_ms = True, self.open_first_ms
        self.trial_at_ms = now_ms + self.open_ms
        return True
