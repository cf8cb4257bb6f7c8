"""The server's clock: unix milliseconds that never step backwards, on trio's clock so that tests can move it."""

import math

import trio


class ServerClock:
    """Unix time anchored once and carried on by trio's monotonic clock, which slews with NTP but never steps."""

    def __init__(self, unix_ms: float) -> None:
        # Asked itself, the clock answers in half the time.
        self._current_time = trio.lowlevel.current_clock().current_time
        self._offset_ms = unix_ms - self._current_time() * 1000

    def now_ms(self) -> int:
        """Whole unix milliseconds, rounded down."""
        return math.floor(self._offset_ms + self._current_time() * 1000)

    def trio_time(self, unix_ms: float) -> float:
        """The same moment in trio's seconds, for deadlines."""
        return (unix_ms - self._offset_ms) / 1000

    async def sleep_until_ms(self, unix_ms: int) -> None:
        """Return at or after ``unix_ms``, never before it by ``now_ms``."""
        while True:
            await trio.sleep_until(self.trio_time(unix_ms))
            if self.now_ms() >= unix_ms:
                return
            await trio.sleep(0.0005)
