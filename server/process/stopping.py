"""Being told to stop: SIGTERM, SIGINT or SIGHUP for an orderly end, one of the first two again for one at once.

SIGHUP says that a terminal is gone, or comes from a service manager right after its SIGTERM; a shell may send it twice.
So it is never the second word. Who was started with it ignored (``nohup``) goes on ignoring it.
"""

import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

log = logging.getLogger("getaway.server")


class StoppedAtOnceError(Exception):
    """A second signal came before the first one's drain was over."""


def stop_signals() -> list[signal.Signals]:
    """The signals that tell this process to stop."""
    is_hang_up_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *([] if is_hang_up_ignored else [signal.SIGHUP])]


@asynccontextmanager
async def given_up_if(told: trio.Event) -> AsyncIterator[None]:
    """Around a start: whoever is ``told`` to stop does not first wait for what the start waits for."""
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            await told.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def told_to_stop(*, twice_is_at_once: bool = True) -> AsyncIterator[trio.Event]:
    """Set by the first of ``stop_signals``.

    Raises ``StoppedAtOnceError`` at a second SIGTERM or SIGINT, unless ``twice_is_at_once`` is false: then it says
    nothing new.
    """
    told = trio.Event()
    words = 0
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(*stop_signals()) as signals:

            async def watch() -> None:
                nonlocal words
                async for number in signals:
                    words += number != signal.SIGHUP
                    if words > 1 and twice_is_at_once:
                        raise StoppedAtOnceError("told twice, it did so at once; the next start ends its rounds")
                    if not told.is_set():
                        log.info("told to stop", extra={"signal": signal.Signals(number).name})
                        told.set()

            nursery.start_soon(watch)
            yield told
            nursery.cancel_scope.cancel()
