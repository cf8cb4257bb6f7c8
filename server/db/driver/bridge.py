"""The bridge: trio tasks run coroutines on a uvloop event loop in a thread of its own.

asyncpg needs asyncio. A crossing costs two thread wake-ups, so callers cross once with a whole unit of work, never once
per query. Cancelling the trio side cancels the asyncio task, and with it the query.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import outcome
import trio
import uvloop

Value = TypeVar("Value")


class Bridge(AbstractContextManager["Bridge"]):
    """Owns the thread and its loop. Leave it only after everything that runs on it has ended."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="database", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def run(self, work: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """The result of ``await work()`` on the loop; raises what it raises."""
        crossing: _Crossing[Value] = _Crossing(self._loop, trio.lowlevel.current_trio_token())
        self._loop.call_soon_threadsafe(crossing.start, work)
        return await crossing.wait()


class _Crossing(Generic[Value]):
    """One unit of work on its way over and back."""

    def __init__(self, loop: asyncio.AbstractEventLoop, token: trio.lowlevel.TrioToken) -> None:
        self._loop = loop
        self._token = token
        self._waiter = trio.lowlevel.current_task()
        self._task: asyncio.Task[Value] | None = None
        self._raise_cancel: trio.lowlevel.RaiseCancelT | None = None

    # On the loop's thread.

    def start(self, work: Callable[[], Coroutine[Any, Any, Value]]) -> None:
        self._task = self._loop.create_task(work())
        self._task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[Value]") -> None:
        result: outcome.Outcome[Value] | None
        if task.cancelled():
            result = None
        else:
            error = task.exception()
            result = outcome.Value(task.result()) if error is None else outcome.Error(error)
        try:
            self._token.run_sync_soon(self._wake, result)
        except trio.RunFinishedError:
            return

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    # On trio's thread.

    def _wake(self, result: "outcome.Outcome[Value] | None") -> None:
        if result is None and self._raise_cancel is not None:
            result = outcome.capture(self._raise_cancel)
        elif result is None:
            result = outcome.Error(ConnectionAbortedError("the database work was cancelled"))
        trio.lowlevel.reschedule(self._waiter, result)

    async def wait(self) -> Value:
        def abort(raise_cancel: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            self._raise_cancel = raise_cancel
            self._loop.call_soon_threadsafe(self._cancel)
            return trio.lowlevel.Abort.FAILED

        result: Value = await trio.lowlevel.wait_task_rescheduled(abort)
        return result
