"""Our own actors fail: at a call of a port, before or after its effect, or while they wait for a message."""

import sys
from collections.abc import Iterator
from uuid import UUID

import outcome
import trio

PORTS = ("ledger", "ledger", "gateway", "entropy", "observer", "end", "end", "framed")
"""Some are listed more than once: what is called from more places is tried more often."""
CALLS_MAX = {"ledger": 40, "gateway": 4, "entropy": 6, "observer": 12, "end": 3, "framed": 6}
"""``end`` is the observer told of a round's end: after the commit, before its player knows."""

TIMERS_FAIL = 0.2
"""How often it is the timers, which nobody sends anything."""


class InjectedError(Exception):
    """A defect of ours, as nobody has thought of it."""


class Failures:
    """Of one life of a node: what is to fail next, and what fails it."""

    def __init__(self, life) -> None:
        self._life = life
        self._port: str | None = None
        self._calls_left = 0
        self._comes_after = False
        self.dropped: set[UUID] = set()
        """Sessions that were being handed over when something failed: the hand-over may have ended half-way, with the
        flight left to whoever opens the session next, or to the sweep."""

    def plan(self, rng) -> None:
        """The n-th call of a port from now raises."""
        self._port = rng.choice(PORTS)
        self._calls_left = rng.randint(1, CALLS_MAX[self._port])
        self._comes_after = rng.random() < 0.5

    def forget(self) -> None:
        self._port = None

    def before(self, port: str) -> bool:
        """Raise, if this call is to fail before its effect; whether it is to fail after it."""
        if self._life.dead:
            return False
        if port == self._port:
            self._calls_left -= 1
        is_planned = port == self._port and self._calls_left <= 0
        if is_planned:
            self._port = None
        elif self._life.world.faults.of_actor():
            self._comes_after = not self._comes_after
        else:
            return False
        if self._comes_after and port in {"ledger", "gateway"}:
            return True
        self.strike(port)
        return False

    def strike(self, where: str) -> None:
        self._life.world.faults.count(f"an actor fails at {where}")
        self._life.world.trace.note(f"{self._life.label} fails at {where}")
        if self._life.node is not None:
            self.dropped |= self._life.node.lobby._departures._ends.keys()
        raise InjectedError(where)

    def strike_one_who_waits(self, rng) -> None:
        """One of the actors that wait for a message raises instead, or the timers do."""
        waiting: dict[str, list] = {}
        for actor in self._actors():
            if actor._reader is not None:
                waiting.setdefault(actor.kind, []).append(actor)
        if waiting and rng.random() < TIMERS_FAIL:
            self._strike_timers()
        elif waiting:
            actor = rng.choice(waiting[rng.choice(sorted(waiting))])
            self._life.world.faults.count(f"a waiting {actor.kind} fails")
            self._life.world.trace.note(f"{self._life.label} {actor.name} fails while it waits")
            if actor.kind == "round":
                self._life.world.audit.lost_ms[actor.placed.round_id] = self._life.clock.now_ms()
            reader, actor._reader = actor._reader, None
            trio.lowlevel.reschedule(reader, outcome.Error(InjectedError(actor.kind)))

    def _strike_timers(self) -> None:
        """The next wake finds a call that raises before all others."""

        def fail() -> None:
            raise InjectedError("timers")

        self._life.world.faults.count("timers fail")
        self._life.world.trace.note(f"{self._life.label} timers fail")
        self._life.node.services.timers.timer(fail).set(trio.current_time())

    def _actors(self) -> Iterator:
        node = self._life.node
        if node is not None:
            yield node.services.ledger
            yield from node.lobby._rounds._actors.values()
            yield from node.lobby._sessions._actors.values()
            yield from node.pool._wallets.values()


def is_injected() -> bool:
    """Whether the exception that is being handled is of our making, and nothing else."""
    return _all_injected(sys.exc_info()[1])


def _all_injected(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_all_injected, error.exceptions))
    return isinstance(error, InjectedError)


class FailingPort:
    """A port whose methods, none of which waits, may fail: ``name`` is the port's. ``actor_failed`` never does: who
    reports a failure is no actor."""

    def __init__(self, port, life, name: str) -> None:
        self._port = port
        self._life = life
        self._name = name

    def __getattr__(self, method: str):
        real = getattr(self._port, method)
        if method == "actor_failed":
            return real

        def call(*arguments, **named):
            self._life.failures.before("end" if method == "round_ended" else self._name)
            return real(*arguments, **named)

        return call
