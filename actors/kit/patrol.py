"""The patrol: sees to it that nobody waits for an answer for ever.

By itself, because who is asked may be what hangs; and once for all, because a deadline for each wait costs more than
most answers do.
"""

import math
from collections.abc import Callable
from typing import Final, Never, NoReturn

import trio

from actors.kit.actor import Actor

PATROL_MS: Final = 250
_TRUSTED_S: Final = 5.0
"""A patrol that has not come by for so long is not counted on."""


class PatrolledWaits:
    """Waits that a patrol ends when they are overdue, by a call that must not wait.

    Whoever waits asks ``are_patrolled`` first, and takes a deadline of its own if no patrol comes by.
    """

    def __init__(self) -> None:
        self._trusted_until = -math.inf
        self._waits: dict[Callable[[], None], float] = {}

    @property
    def are_patrolled(self) -> bool:
        """Whether a patrol has come by lately."""
        return trio.current_time() < self._trusted_until

    def begin(self, give_up: Callable[[], None], overdue_at: float) -> None:
        """From ``overdue_at`` by trio's clock on, ``give_up`` is called every ``PATROL_MS`` until the wait ends."""
        self._waits[give_up] = overdue_at

    def end(self, give_up: Callable[[], None]) -> None:
        """The wait is over."""
        del self._waits[give_up]

    def fail_overdue(self) -> None:
        """For the patrol."""
        now = trio.current_time()
        self._trusted_until = now + _TRUSTED_S
        for give_up in [give_up for give_up, overdue_at in self._waits.items() if overdue_at <= now]:
            give_up()


class Patrol(Actor[Never]):
    """Calls each of ``looks``, which are ``Actor.fail_overdue`` or alike, every ``PATROL_MS``."""

    def __init__(self, *looks: Callable[[], None]) -> None:
        super().__init__("patrol", 0)
        self._looks = looks

    async def run(self) -> NoReturn:
        """Look every now and then."""
        while True:
            await trio.sleep(PATROL_MS / 1000)
            for look in self._looks:
                look()
