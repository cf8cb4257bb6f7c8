"""Supervision: an actor that fails is logged, takes nobody with it, and is handled by its named policy."""

import logging
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

import trio

from actors.actor import Actor

log = logging.getLogger("getaway.supervisor")

RESTART_FIRST_MS = 50
RESTART_MAX_MS = 5_000


class Policy(Enum):
    """What happens when an actor fails.

    ``TEMPORARY``: it stays down; its state is stored, and the next who needs it starts a new one.
    ``RESTART``: it runs again after a backoff (50 ms doubling to 5 s); its mailbox survives, its waiters are told.
    """

    TEMPORARY = "temporary"
    RESTART = "restart"


class Supervisor:
    """Owns the tasks of its actors. ``nursery`` decides when they are cancelled: its place is the shutdown order."""

    def __init__(self, nursery: trio.Nursery, on_failure: Callable[[str], None]) -> None:
        self._nursery = nursery
        self._on_failure = on_failure

    def start(self, actor: Actor[Any], policy: Policy, on_end: Callable[[bool], Awaitable[None]] | None = None) -> None:
        """Run ``actor`` under ``policy``; ``on_end(failed)`` is awaited after its last life."""
        self._nursery.start_soon(self._watch, actor, policy, on_end, name=actor.name)

    def run_beside(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        """Run a short piece of work of an actor, so that the actor need not wait for it. It fails as an actor does."""
        self._nursery.start_soon(self._run, work, name, name=name)

    async def _watch(self, actor: Actor[Any], policy: Policy, on_end: Callable[[bool], Awaitable[None]] | None) -> None:
        if policy is Policy.RESTART:
            await self._run_again_and_again(actor)
            return
        failed = await self._run(actor.live, actor.name)
        if on_end is not None:
            await self._run(lambda: on_end(failed), actor.name)

    async def _run_again_and_again(self, actor: Actor[Any]) -> None:
        wait_ms = RESTART_FIRST_MS
        while True:
            began_at = trio.current_time()
            failed = await self._run(actor.run, actor.name)
            actor.release_waiters()
            if not failed:
                return
            if trio.current_time() - began_at > RESTART_MAX_MS / 1000:
                wait_ms = RESTART_FIRST_MS
            await trio.sleep(wait_ms / 1000)
            wait_ms = min(wait_ms * 2, RESTART_MAX_MS)

    async def _run(self, work: Callable[[], Awaitable[None]], name: str) -> bool:
        try:
            await work()
        except Exception:
            log.exception("an actor failed", extra={"actor": name.partition(":")[0]})
            self._on_failure(name.partition(":")[0])
            return True
        return False
