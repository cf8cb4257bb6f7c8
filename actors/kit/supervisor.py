"""Supervision: an actor or a task that fails is logged and takes nobody with it.

An actor that was started stays down then; what is to be kept running is run again.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import outcome
import trio

from actors.kit.actor import Actor

log = logging.getLogger("getaway.supervisor")

RESTART_FIRST_MS = 50
RESTART_MAX_MS = 5_000

RESTING_TASKS_MAX = 64
"""So many tasks wait for other actors when theirs have ended."""


class Task(Protocol):
    """A task without a mailbox: it reads, or it serves a table that others write."""

    @property
    def kind(self) -> str:
        """What the log calls the actor."""

    async def run(self) -> None:
        """Its life, to be begun again after a failure."""


RunBeside = Callable[[Callable[[], Awaitable[None]], str], None]
"""Runs a piece of work as a task of its own, under a kind for the log."""

_OnEnd = Callable[[bool], Awaitable[None]]
_Life = tuple[Actor[Any], _OnEnd | None]


class Supervisor:
    """Owns the tasks of its actors. ``nursery`` decides when they are cancelled: its place is the shutdown order."""

    def __init__(self, nursery: trio.Nursery, on_failure: Callable[[str], None]) -> None:
        self._nursery = nursery
        self._on_failure = on_failure
        self._resting: list[trio.lowlevel.Task] = []
        """Tasks whose actors have ended, ready for others."""

    def start(self, actor: Actor[Any], on_end: _OnEnd | None = None) -> None:
        """Run ``actor`` once; ``on_end(failed)`` is awaited then. One that fails stays down: its state is stored, and
        the next who needs it starts a new one."""
        if self._resting:
            trio.lowlevel.reschedule(self._resting.pop(), outcome.Value((actor, on_end)))
        else:
            self._nursery.start_soon(self._work, (actor, on_end))

    def keep(self, task: Task) -> None:
        """Run a task, or an actor, and should it fail run it again after a backoff (50 ms doubling to 5 s). What it
        holds survives; whoever waits for an actor's answer is told."""
        self._nursery.start_soon(self._run_again_and_again, task, name=task.kind)

    def run_beside(self, work: Callable[[], Awaitable[None]], kind: str) -> None:
        """Run a short piece of work of an actor, so that the actor need not wait for it. It fails as an actor does."""
        self._nursery.start_soon(self._run, work, kind, name=kind)

    async def _work(self, life: _Life) -> None:
        """See to one actor after the other: a task made for each takes twice as long."""
        task = trio.lowlevel.current_task()
        while True:
            task.name = life[0].kind
            await self._run_once(*life)
            if len(self._resting) >= RESTING_TASKS_MAX:
                return
            del life
            self._resting.append(task)
            life = await trio.lowlevel.wait_task_rescheduled(self._end_rest)

    def _end_rest(self, _raise_cancel: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        self._resting.clear()  # all are cancelled together
        return trio.lowlevel.Abort.SUCCEEDED

    async def _run_once(self, actor: Actor[Any], on_end: _OnEnd | None) -> None:
        failed = await self._run(actor.live, actor.kind)
        if on_end is not None:
            await self._run(lambda: on_end(failed), actor.kind)

    async def _run_again_and_again(self, task: Task) -> None:
        wait_ms = RESTART_FIRST_MS
        while True:
            began_at = trio.current_time()
            failed = await self._run(task.run, task.kind)
            if isinstance(task, Actor):
                task.release_waiters()
            if not failed:
                return
            if trio.current_time() - began_at > RESTART_MAX_MS / 1000:
                wait_ms = RESTART_FIRST_MS
            await trio.sleep(wait_ms / 1000)
            wait_ms = min(wait_ms * 2, RESTART_MAX_MS)

    async def _run(self, work: Callable[[], Awaitable[None]], kind: str) -> bool:
        try:
            await work()
        except Exception:
            log.exception("an actor failed", extra={"actor": kind})
            self._on_failure(kind)
            return True
        return False
