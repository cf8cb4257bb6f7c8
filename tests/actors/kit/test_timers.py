"""Calls at moments, in their order, unless they are taken away."""

import random

import pytest
import trio
from trio.testing import MockClock

from actors.kit.supervisor import RESTART_FIRST_MS, Supervisor
from actors.kit.timers import SLACK_MS, Timers

SLACK_S = SLACK_MS / 1000


@pytest.fixture
async def timers(nursery: trio.Nursery) -> Timers:
    """They run, and are run again should they fail."""
    timers = Timers()
    Supervisor(nursery, lambda kind: None).keep(timers)
    return timers


async def test_calls_are_made_once_late_by_the_slack_at_most_and_in_the_order_of_their_moments(
    autojump_clock: MockClock, timers: Timers
) -> None:
    chance, made = random.Random(7), []
    moments = [chance.randrange(300) / 100 for _ in range(300)]
    for place, at in enumerate(moments):
        timers.timer(lambda at=at, place=place: made.append((at, place, trio.current_time()))).set(at)
    await trio.sleep(5)
    assert [each[:2] for each in made] == sorted((at, place) for place, at in enumerate(moments))
    assert all(at <= made_at <= at + SLACK_S + 1e-9 for at, _, made_at in made)
    assert len(timers) == 0


async def test_calls_that_are_near_each_other_share_a_wake(autojump_clock: MockClock, timers: Timers) -> None:
    made = []
    for at in (1.0, 1.0 + SLACK_S / 2, 1.0 + SLACK_S, 1.0 + 2.5 * SLACK_S):
        timers.timer(lambda: made.append(trio.current_time())).set(at)
    await trio.sleep(2)
    assert len(set(made)) == 2 and made[0] == made[1] == made[2]


async def test_a_moment_may_be_changed_and_taken_away(autojump_clock: MockClock, timers: Timers) -> None:
    made = []
    timer = timers.timer(lambda: made.append(trio.current_time()))
    timer.set(5)
    timer.set(2)
    await trio.sleep_until(3)
    assert made == [2 + SLACK_S] and timer.at == float("inf"), "made once"
    timer.set(4)
    timer.set(6)
    await trio.sleep_until(5)
    assert len(made) == 1 and timer.at == 6
    timer.clear()
    timer.clear()
    await trio.sleep_until(7)
    timer.set(8)
    timer.set(float("inf"))
    await trio.sleep_until(9)
    assert len(made) == 1 and len(timers) == 0


async def test_one_for_a_moment_that_has_passed_is_made_at_once(autojump_clock: MockClock, timers: Timers) -> None:
    await trio.sleep(10)
    made = trio.Event()
    timers.timer(made.set).set(1)
    with trio.fail_after(0.001):
        await made.wait()


async def test_little_is_kept_of_what_is_taken_away(autojump_clock: MockClock, timers: Timers) -> None:
    made: list[int] = []
    for number in range(20):
        timers.timer(lambda number=number: made.append(number)).set(10 + number)
    moved = timers.timer(made.clear)
    for number in range(5_000):
        moved.set(100 + number)
    moved.clear()
    assert len(timers) == 20 and len(timers._heap) <= 2 * 20 + 65
    await trio.sleep(50)
    assert made == list(range(20)) and len(timers) == 0 and not timers._heap


async def test_a_call_may_set_and_take_away_others_and_itself(autojump_clock: MockClock, timers: Timers) -> None:
    made = []

    def first() -> None:
        made.append("first")
        timers.timer(lambda: made.append("second")).set(0.5)
        third.clear()
        if len(made) < 3:
            again.set(2)

    third = timers.timer(lambda: made.append("third"))
    third.set(1.001)
    again = timers.timer(first)
    again.set(1)
    await trio.sleep(3)
    assert made == ["first", "second", "first", "second"] and len(timers) == 0


@pytest.mark.logs_errors("an actor failed (timers, RuntimeError)")
async def test_a_call_that_raises_is_the_only_one_that_is_lost(autojump_clock: MockClock, timers: Timers) -> None:
    """Those of the same wake, those that are set while nobody runs them, and those that come later are made."""
    made = []

    def fail() -> None:
        raise RuntimeError("as told")

    def note() -> None:
        made.append(round(trio.current_time() * 1000))

    timers.timer(fail).set(1)
    timers.timer(note).set(1)
    timers.timer(note).set(2)
    await trio.sleep_until(1 + 2 * SLACK_S)
    assert made == [] and len(timers) == 2
    timers.timer(note).set(1.01)
    await trio.sleep_until(3)
    again_ms = 1_000 + SLACK_MS + RESTART_FIRST_MS
    assert made == [again_ms, again_ms, 2_000 + SLACK_MS] and len(timers) == 0
