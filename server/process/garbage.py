"""When the interpreter looks for garbage: unreachable objects that refer to each other in a cycle.

Whatever else is not needed any more is freed at once, and nothing that happens thousands of times a second, a round, a
session or a request, leaves a cycle (tests/server/process/test_garbage.py). So there is next to nothing to be found,
but looking for it among the 200 objects of each session stops the server: a quarter of a second for 2,000 sessions.
"""

import gc
import logging
from collections.abc import Callable
from typing import Final

import trio

log = logging.getLogger("getaway.server")

YOUNG_OBJECTS_MAX: Final = 5_000
"""So many new objects are looked through at a time, in a millisecond or two, and never again by themselves."""

_NEVER: Final = 1_000_000_000

CHECK_S: Final = 5.0
COLLECT_AFTER_S: Final = 3_600.0
COLLECT_BUSY_AFTER_S: Final = 86_400.0


def calm_garbage_collector() -> None:
    """To be called once all is in place: what is there then stays, and is looked at no more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, _NEVER, _NEVER)


async def collect_garbage(rounds_live: Callable[[], int]) -> None:
    """Look through everything, for ever: an hour after the last time at a moment without live rounds, which a pause
    can't hurt, and after a day without such a moment anyway."""
    done_at = trio.current_time()
    while True:
        await trio.sleep(CHECK_S)
        age_s = trio.current_time() - done_at
        if age_s >= COLLECT_BUSY_AFTER_S or (age_s >= COLLECT_AFTER_S and not rounds_live()):
            started_at = trio.current_time()
            objects = gc.collect()
            done_at = trio.current_time()
            pause_ms = round(1000 * (done_at - started_at))
            log.info("garbage was looked for", extra={"objects": objects, "pause_ms": pause_ms})
