"""A token bucket for one client."""

import trio


class Budget:
    """``burst`` tokens, refilled with ``per_second``."""

    __slots__ = ("_burst", "_filled_at", "_per_second", "_tokens")

    def __init__(self, per_second: float, burst: float) -> None:
        assert per_second > 0 and burst >= 1
        self._per_second = per_second
        self._burst = burst
        self._tokens = burst
        self._filled_at = trio.current_time()

    def take(self) -> bool:
        """Take a token, if there is one."""
        self._fill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def charge(self, tokens: int) -> float:
        """Take tokens, be there so many or not; the seconds until the debt is paid, 0 without one."""
        self._fill()
        self._tokens -= tokens
        return max(0.0, -self._tokens / self._per_second)

    def _fill(self) -> None:
        now = trio.current_time()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
