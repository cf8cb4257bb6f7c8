"""Whose task an actor has is nobody's concern but the supervisor's."""

import weakref
from collections.abc import Callable
from itertools import pairwise

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from actors.kit.actor import Actor, Reply
from actors.kit.errors import ActorStoppedError
from actors.kit.supervisor import RESTART_FIRST_MS, RESTART_MAX_MS, RESTING_TASKS_MAX, Supervisor


class Once(Actor[str]):
    """Lives until it is told something, and fails if it is told to."""

    def __init__(self) -> None:
        super().__init__("once", 1)
        self.task: trio.lowlevel.Task | None = None

    async def run(self) -> None:
        self.task = trio.lowlevel.current_task()
        if await self.receive() == "fail":
            raise RuntimeError("as told")


async def one_after_the_other(supervisor: Supervisor, words: list[str]) -> list[Once]:
    actors = []
    for word in words:
        actors.append(Once())
        supervisor.start(actors[-1])
        actors[-1].tell(word)
        await wait_all_tasks_blocked()
    return actors


@pytest.mark.logs_errors("an actor failed (once, RuntimeError)")
async def test_a_task_whose_actor_has_ended_or_failed_serves_another(nursery: trio.Nursery) -> None:
    failures: list[str] = []
    actors = await one_after_the_other(Supervisor(nursery, failures.append), ["end", "fail", "end"])
    assert all(actor.is_stopped for actor in actors)
    assert len({actor.task for actor in actors}) == 1
    assert failures == ["once"]
    assert actors[0].task is not None and actors[0].task.name == "once"


async def test_each_living_actor_has_a_task_of_its_own_and_few_rest(nursery: trio.Nursery) -> None:
    supervisor = Supervisor(nursery, lambda kind: None)
    count = RESTING_TASKS_MAX + 10
    actors = [Once() for _ in range(count)]
    for actor in actors:
        supervisor.start(actor)
    await wait_all_tasks_blocked()
    assert len({actor.task for actor in actors}) == count == len(nursery.child_tasks)
    for actor in actors:
        actor.tell("end")
    await wait_all_tasks_blocked()
    assert len(nursery.child_tasks) == RESTING_TASKS_MAX


@pytest.mark.logs_errors("an actor failed (once, RuntimeError)")
async def test_what_ends_an_actor_is_awaited_with_whether_it_failed(nursery: trio.Nursery) -> None:
    ends: list[bool] = []

    async def on_end(failed: bool) -> None:
        await trio.lowlevel.checkpoint()
        ends.append(failed)

    supervisor = Supervisor(nursery, lambda kind: None)
    for word in ("end", "fail", "end"):
        actor = Once()
        supervisor.start(actor, on_end)
        actor.tell(word)
        await wait_all_tasks_blocked()
    assert ends == [False, True, False]


async def test_an_actor_that_has_ended_is_not_kept(nursery: trio.Nursery) -> None:
    actor = Once()
    Supervisor(nursery, lambda kind: None).start(actor)
    actor.tell("end")
    await wait_all_tasks_blocked()
    remembered = weakref.ref(actor)
    del actor
    assert remembered() is None


@pytest.mark.parametrize("resting", [0, 1, 3])
async def test_who_is_started_while_all_are_cancelled_is_cancelled(resting: int) -> None:
    async with trio.open_nursery() as nursery:
        supervisor = Supervisor(nursery, lambda kind: None)
        started = [Once() for _ in range(resting)]
        for actor in started:
            supervisor.start(actor)
        for actor in started:
            actor.tell("end")
        await wait_all_tasks_blocked()
        before, after = Once(), Once()
        supervisor.start(before)
        nursery.cancel_scope.cancel()
        supervisor.start(after)
    assert before.is_stopped and after.is_stopped


class Restless(Actor[None]):
    """Notes when each of its lives begins, and fails after so many seconds of it."""

    def __init__(self, lives_s: list[float]) -> None:
        super().__init__("restless", 1)
        self.lives_s = lives_s
        self.began_at: list[float] = []

    async def run(self) -> None:
        self.began_at.append(trio.current_time())
        if self.lives_s:
            await trio.sleep(self.lives_s.pop(0))
            raise RuntimeError("as told")


@pytest.mark.logs_errors("an actor failed (restless, RuntimeError)")
async def test_pauses_between_lives_double_and_begin_anew_after_a_long_one(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    actor = Restless([0.0] * 9 + [RESTART_MAX_MS / 1000 + 0.001, 0.0])
    Supervisor(nursery, lambda kind: None).keep(actor)
    await trio.sleep(60)
    pauses_ms = [round(1000 * (after - before)) for before, after in pairwise(actor.began_at)]
    doubling = [min(RESTART_FIRST_MS * 2**count, RESTART_MAX_MS) for count in range(9)]
    assert pauses_ms == [*doubling, RESTART_MAX_MS + 1 + RESTART_FIRST_MS, 2 * RESTART_FIRST_MS]


class Hasty(Actor[Reply[None]]):
    """Takes a question, waits a second and fails."""

    def __init__(self) -> None:
        super().__init__("hasty", 1)

    async def run(self) -> None:
        await self.receive()
        await trio.sleep(1)
        raise RuntimeError("as told")


@pytest.mark.logs_errors("an actor failed (hasty, RuntimeError)")
@pytest.mark.parametrize("run", [Supervisor.start, Supervisor.keep])
async def test_who_waits_for_an_actor_that_fails_is_told_at_once_whether_it_runs_again_or_not(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery, run: Callable[[Supervisor, Hasty], None]
) -> None:
    actor = Hasty()
    run(Supervisor(nursery, lambda kind: None), actor)
    with trio.fail_after(1.001), pytest.raises(ActorStoppedError):
        await actor.ask(lambda reply: reply, 60_000)
    nursery.cancel_scope.cancel()
