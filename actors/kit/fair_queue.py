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
import trio.testing

CROWD: Final = 32
"""So many of one key are not a crowd yet."""
TURNSTILE_CROWD: Final = 400
"""The same where some 200 pass a second. Whoever asks again as soon as it was served is always the newest: fifty of one
address that do would let nobody else of it pass."""


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
    """Lets ``at_once`` through, and the next ones at a moment when nobody has anything to do. So a thousand who come
    together do not hold up ticks and cash-outs by a thousand times what each costs, but by a step of each who was let
    through last.

    Where no such moment comes within ``patience_s``, it goes on after it; with 0, after a turn of the event loop.
    """

    __slots__ = ("_at_once", "_free", "_is_turning", "_patience_s", "_queue")

    def __init__(self, waiting_max: int, waiting_of_one_max: int, *, patience_s: float = 0.0, at_once: int = 1) -> None:
        self._queue = FairQueue(waiting_max, waiting_of_one_max, TURNSTILE_CROWD)
        self._is_turning = False
        """Whether one waits for the moment, or was called to."""
        self._free = 0
        """How many were called to pass at once."""
        self._patience_s = patience_s
        self._at_once = at_once

    @property
    def waiting(self) -> int:
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
                    self._go_on()
                raise
            if self._free:
                self._free -= 1
                return
        self._is_turning = True
        try:
            await self._quiet_moment()
            while self._free < self._at_once - 1 and self._queue.call_next():
                self._free += 1
        finally:
            self._is_turning = self._queue.call_next()

    def _go_on(self) -> None:
        """Without the one that was called: another one waits for the moment, unless one does already."""
        if self._free:
            self._free -= 1
        else:
            self._is_turning = self._queue.call_next()

    async def _quiet_moment(self) -> None:
        if not self._patience_s:
            await trio.lowlevel.checkpoint()
            return
        with trio.move_on_after(self._patience_s):
            # Written for tests, and what is wanted here: the loop has no task to run and nothing to read or write.
            await trio.testing.wait_all_tasks_blocked()


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
