"""The server's clock, estimated from pings: the answer that came back quickest says the most. Pure."""

from collections import deque
from typing import Final

_WINDOW_S: Final = 60.0
_SAMPLES_MAX: Final = 256


class ServerTime:
    """Maps the server's unix milliseconds to this process's monotonic clock.

    Of the last minute's pings the one with the least round trip counts: its error is at most half of that. The
    server tells whole milliseconds, rounded down, so half of one is added.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float, float]] = deque(maxlen=_SAMPLES_MAX)
        self._best: tuple[float, float] | None = None

    def heard(self, sent_at: float, arrived_at: float, server_time_ms: int) -> None:
        """One ping's answer; moments in seconds of the monotonic clock."""
        round_trip_s = arrived_at - sent_at
        offset_s = (server_time_ms + 0.5) / 1000 - (sent_at + arrived_at) / 2
        self._samples.append((arrived_at, round_trip_s, offset_s))
        while self._samples[0][0] < arrived_at - _WINDOW_S:
            self._samples.popleft()
        self._best = min((sample[1], sample[2]) for sample in self._samples)

    @property
    def is_known(self) -> bool:
        return self._best is not None

    def local(self, server_ms: int) -> float:
        """The moment of the monotonic clock, in seconds, at which the server's clock shows ``server_ms``."""
        assert self._best is not None, "ask is_known first"
        return server_ms / 1000 - self._best[1]

    @property
    def offset_s(self) -> float | None:
        """How far the server's clock is ahead of the monotonic one."""
        return None if self._best is None else self._best[1]

    @property
    def uncertainty_s(self) -> float | None:
        """Half of the least round trip."""
        return None if self._best is None else self._best[0] / 2
