"""Running worlds: each seed under trio's mock clock with a scheduler that the seed decides, too."""

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest import mock

import trio
from trio._core import _run as scheduler

from actors.wallet.bulkheads import Bulkhead
from tests.worlds.clock import SimulatedTime
from tests.worlds.world import World


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one seed showed."""

    seed: int
    digest: str
    faults: Counter[str]
    rounds: int
    flights_moved: int
    simulated_s: float


@dataclass(slots=True)
class Totals:
    """What many seeds showed."""

    seeds: int = 0
    rounds: int = 0
    flights_moved: int = 0
    simulated_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.rounds += outcome.rounds
        self.flights_moved += outcome.flights_moved
        self.simulated_s += outcome.simulated_s
        self.faults += outcome.faults


@contextmanager
def seeded_scheduler(seed: int) -> Iterator[None]:
    """Trio shuffles the tasks that are ready: let the seed decide how. These two names are trio's own hook for that."""
    before = scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r = True, random.Random(f"{seed} scheduler")
    try:
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r = before


@contextmanager
def quiet() -> Iterator[None]:
    """Without the product's log: in these worlds warnings are the rule."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def trials_told_to(world: World) -> Iterator[None]:
    """The judge hears of each trial that a breaker lets through."""
    real = Bulkhead.begin

    def begin(bulkhead: Bulkhead) -> bool:
        is_trial = real(bulkhead)
        if is_trial:
            world.audit.trials_ms[bulkhead] = bulkhead._clock.steady_ms()
        return is_trial

    with mock.patch.object(Bulkhead, "begin", begin):
        yield


def simulate(seed: int) -> Outcome:
    """One world from its beginning to its rest. Raises ``SimulationFailedError``."""
    world = World(seed)

    async def live() -> float:
        await world.run()
        return trio.current_time()

    with seeded_scheduler(seed), quiet(), trials_told_to(world):
        simulated_s = trio.run(live, clock=SimulatedTime(world.draws("clock")).clock())
    return Outcome(seed, world.trace.digest, world.faults.counts, world.rounds_ended, world.flights_moved, simulated_s)


def simulate_all(seeds: range, told: Callable[[Outcome], None] | None = None) -> Totals:
    """One seed after the other; the first failure is raised."""
    totals = Totals()
    for seed in seeds:
        outcome = simulate(seed)
        totals.add(outcome)
        if told is not None:
            told(outcome)
    return totals
