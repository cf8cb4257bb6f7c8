"""Being told to stop: SIGTERM or SIGINT, once for an orderly end, twice for one at once."""

import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

log = logging.getLogger("getaway.server")


class StoppedAtOnceError(Exception):
    """A second signal came before the first one's drain was over."""


@asynccontextmanager
async def told_to_stop(*, twice_is_at_once: bool = True) -> AsyncIterator[trio.Event]:
    """Set by the first SIGTERM or SIGINT.

    Raises ``StoppedAtOnceError`` at a second one, unless ``twice_is_at_once`` is false: then it says nothing new.
    """
    told = trio.Event()
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:

            async def watch() -> None:
                async for number in signals:
                    if told.is_set() and twice_is_at_once:
                        raise StoppedAtOnceError("told twice, it did so at once; the next start ends its rounds")
                    if not told.is_set():
                        log.info("told to stop", extra={"signal": signal.Signals(number).name})
                        told.set()

            nursery.start_soon(watch)
            yield told
            nursery.cancel_scope.cancel()
