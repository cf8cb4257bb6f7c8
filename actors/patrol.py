"""The patrol: sees to it that nobody waits for an answer for ever.

By itself, because who is asked may be what hangs; and once for all, because a deadline for each wait costs more than
most answers do.
"""

from collections.abc import Callable
from typing import Never, NoReturn

import trio

from actors.actor import Actor

PATROL_MS = 1_000


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
