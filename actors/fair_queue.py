"""Turns for work that many may ask for at once, given in a fair order and never more of it than the rest can bear.

Who asks is a key: a session, an operator, a group of addresses. Keys take turns, so that whoever asks a thousand times
waits for itself and nobody else. Of one key's requests the oldest is first, or, once there is a crowd of them, the
newest: then most of them were given up by those who sent them, and whoever comes now is served at least.
"""

from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Final

import trio

CROWD: Final = 32
"""So many of one key are not a crowd yet."""
TURNSTILE_CROWD: Final = 400
"""The same where some 200 pass a second. Whoever asks again as soon as it was served is always the newest: fifty of one
address that do would let nobody else of it pass."""
TURN_S_MAX: Final = 0.003
"""A turn of the loop in which a cash-out's next step waits no longer than this is short enough."""
REST_S_MIN: Final = 0.0005


class QueueFullError(Exception):
    """There are too many waiting, of this key or of all."""


class FairQueue:
    """Who waits. Overflow of ``waiting_max``, or of ``waiting_of_one_max`` of one key: ``QueueFullError``."""

    __slots__ = ("_count", "_crowd", "_keys", "_waiting_max", "_waiting_of_one_max")

    def __init__(self, waiting_max: int, waiting_of_one_max: int, crowd: int = CROWD) -> None:
        assert 0 < waiting_of_one_max <= waiting_max
        self._crowd = crowd
        self._keys: dict[Hashable, deque[trio.Event]] = {}
        self._waiting_max = waiting_max
        self._waiting_of_one_max = waiting_of_one_max
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, key: Hashable) -> trio.Event:
        """Wait behind those of the same key; the event is set by ``call_next``. Raises ``QueueFullError``."""
        waiting = self._keys.get(key)
        if self._count >= self._waiting_max or (waiting is not None and len(waiting) >= self._waiting_of_one_max):
            raise QueueFullError
        if waiting is None:
            waiting = self._keys[key] = deque()
        turn = trio.Event()
        waiting.append(turn)
        self._count += 1
        return turn

    def remove(self, key: Hashable, turn: trio.Event) -> None:
        """Somebody waits no more; harmless after its turn has come."""
        waiting = self._keys.get(key)
        if waiting is not None and turn in waiting:
            waiting.remove(turn)
            self._count -= 1
            if not waiting:
                del self._keys[key]

    def call_next(self) -> bool:
        """Tell the next one that its turn has come; whether there was anybody."""
        if not self._keys:
            return False
        key = next(iter(self._keys))
        waiting = self._keys.pop(key)
        turn = waiting.pop() if len(waiting) > self._crowd else waiting.popleft()
        self._count -= 1
        if waiting:
            self._keys[key] = waiting  # behind the other keys
        turn.set()
        return True


class Turnstile:
    """Lets one through in each turn of the event loop, so that a thousand who come at one moment do not hold up ticks
    and cash-outs by a thousand times what each costs.

    While the loop's turns take longer than ``TURN_S_MAX`` it rests in between, ``rest_s_max`` at the most: those who
    were let through before are at work, and everybody's next step waits for a step of each of them.
    """

    __slots__ = ("_is_turning", "_queue", "_ready_at", "_rest_s", "_rest_s_max")

    def __init__(self, waiting_max: int, waiting_of_one_max: int, *, rest_s_max: float = 0.0) -> None:
        self._queue = FairQueue(waiting_max, waiting_of_one_max, TURNSTILE_CROWD)
        self._is_turning = False
        self._rest_s = 0.0
        self._rest_s_max = rest_s_max
        self._ready_at = float("-inf")

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    async def pass_through(self, key: Hashable) -> None:
        """Return when it is this one's turn. Raises ``QueueFullError``."""
        if self._is_turning:
            turn = self._queue.add(key)
            try:
                await turn.wait()
            except trio.Cancelled:
                self._queue.remove(key, turn)
                if turn.is_set():  # it was called after it was cancelled
                    self._is_turning = self._queue.call_next()
                raise
        self._is_turning = True
        try:
            if trio.current_time() < self._ready_at:
                await trio.sleep_until(self._ready_at)
            began_at = trio.current_time()
            await trio.lowlevel.checkpoint()
            self._rest_after(began_at)
        finally:
            self._is_turning = self._queue.call_next()

    def _rest_after(self, began_at: float) -> None:
        """Longer after a turn that was too long, shorter after one that was not."""
        now = trio.current_time()
        if now - began_at > TURN_S_MAX:
            self._rest_s = min(self._rest_s * 2 + REST_S_MIN, self._rest_s_max)
        else:
            self._rest_s = self._rest_s / 2 if self._rest_s > REST_S_MIN else 0.0
        self._ready_at = now + self._rest_s


class Share:
    """Work of a kind, such as reading history, that gets a part of a process's time: ``at_once`` of it, and where
    somebody waits, a rest before the next begins, of ``rests`` times what the one before took."""

    __slots__ = ("_free", "_queue", "_rest_s", "_rest_s_max", "_rests")

    def __init__(
        self, at_once: int, rests: float, *, waiting_max: int, waiting_of_one_max: int, rest_s_max: float = 0.1
    ) -> None:
        assert at_once > 0 and rests >= 0
        self._queue = FairQueue(waiting_max, waiting_of_one_max)
        self._free = at_once
        self._rests = rests
        self._rest_s = 0.0
        """For how long whoever is called now waits before it begins."""
        self._rest_s_max = rest_s_max

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    @asynccontextmanager
    async def turn(self, key: Hashable) -> AsyncIterator[None]:
        """Do the work in the block. Raises ``QueueFullError`` before it."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(key)
        began_at = trio.current_time()
        try:
            yield
        finally:
            self._leave((trio.current_time() - began_at) * self._rests)

    async def _wait(self, key: Hashable) -> None:
        turn = self._queue.add(key)
        try:
            await turn.wait()
            await trio.sleep(self._rest_s)
        except trio.Cancelled:
            self._queue.remove(key, turn)
            if turn.is_set():  # it was called, perhaps after it was cancelled
                self._leave(self._rest_s)
            raise

    def _leave(self, rest_s: float) -> None:
        """The place is for the next one, after a rest, or free."""
        self._rest_s = min(rest_s, self._rest_s_max)
        if not self._queue.call_next():
            self._free += 1
