"""Token buckets, one for each key, in bounded memory. Pure: the caller brings the time."""

import math
from collections.abc import Hashable


class RateLimits:
    """Buckets of ``burst`` tokens that refill with ``per_second``.

    A bucket is kept as one number, the moment at which it will be full again. At most ``keys_max`` are kept; the one
    that was not used for longest is forgotten, which fills it.
    """

    def __init__(self, per_second: float, burst: int, keys_max: int) -> None:
        assert per_second > 0 and burst >= 1 and keys_max >= 1
        self._token_ms = 1000 / per_second
        self._slack_ms = (burst - 1) * self._token_ms
        self._keys_max = keys_max
        self._full_at_ms: dict[Hashable, float] = {}

    def wait_ms(self, key: Hashable, now_ms: int) -> int:
        """How long until the bucket has a token, rounded up; 0: it has one now. Takes none."""
        full_at_ms = self._full_at_ms.get(key, 0.0)
        return max(0, math.ceil(full_at_ms - now_ms - self._slack_ms))

    def take(self, key: Hashable, now_ms: int) -> int:
        """Take a token and return 0, or take none and return how long to wait for one."""
        wait_ms = self.wait_ms(key, now_ms)
        if wait_ms == 0:
            full_at_ms = max(self._full_at_ms.pop(key, 0.0), float(now_ms)) + self._token_ms
            self._full_at_ms[key] = full_at_ms
            if len(self._full_at_ms) > self._keys_max:
                del self._full_at_ms[next(iter(self._full_at_ms))]
        return wait_ms
