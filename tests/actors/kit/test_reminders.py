"""Calls at moments, in their order, unless they are taken back."""

import random

import trio
import trio.testing

from actors.kit.reminders import Reminders
from actors.shared.metronome import LATE_MS_MAX, Metronome
from tests.actors.shared.test_metronome import CURVE, NOON_MS, LateClock


def test_calls_are_made_once_in_the_order_of_their_moments_and_then_of_their_setting():
    chance, reminders, made = random.Random(7), Reminders(), []
    due = [(chance.randrange(50), place) for place in range(300)]
    for at_ms, place in due:
        reminders.set(at_ms, lambda at_ms=at_ms, place=place: made.append((at_ms, place)))
    for now_ms in range(60):
        reminders.make_due(now_ms)
        assert made == sorted(each for each in due if each[0] <= now_ms)
    assert not reminders and reminders.next_ms() == float("inf")


def test_what_is_taken_back_is_not_made_and_waited_for_by_nobody():
    reminders, made = Reminders(), []
    first, second = (reminders.set(at_ms, lambda at_ms=at_ms: made.append(at_ms)) for at_ms in (10, 20))
    reminders.take_back(first)
    reminders.take_back(first)
    assert reminders and reminders.next_ms() == 20
    reminders.make_due(15)
    assert made == []
    reminders.make_due(20)
    reminders.take_back(second)
    assert made == [20] and not reminders


def test_little_is_kept_of_what_is_taken_back():
    reminders, made = Reminders(), []
    kept = [reminders.set(10**6 + number, lambda number=number: made.append(number)) for number in range(20)]
    for number in range(5_000):
        reminders.take_back(reminders.set(10**7 + number, made.clear))
    assert len(reminders._heap) <= 2 * len(kept) + 65
    reminders.make_due(10**8)
    assert made == list(range(20)) and not reminders and not reminders._heap


def test_a_call_may_set_and_take_back_others():
    reminders, made = Reminders(), []
    third = reminders.set(30, lambda: made.append("third"))

    def first():
        made.append("first")
        reminders.set(5, lambda: made.append("second"))
        reminders.take_back(third)

    reminders.set(10, first)
    reminders.make_due(30)
    assert made == ["first", "second"] and not reminders


async def test_the_metronome_reminds_on_a_beat_that_is_near_and_else_in_time():
    clock = LateClock(0)
    metronome, seen, over = Metronome(clock, CURVE, 1_000, bytes), {}, trio.Event()
    assert metronome.beat_ms == 100
    dues = [NOON_MS + after_ms for after_ms in (0, 50, 94, 95, 100, 101, 194, 195, 1_000, 30_050)]
    for due_ms in dues:
        metronome.remind(due_ms, lambda due_ms=due_ms: seen.setdefault(due_ms, clock.steady_ms()))
    forgotten = metronome.remind(NOON_MS + 40, over.set)
    metronome.forget(forgotten)
    metronome.remind(NOON_MS + 30_060, over.set)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(metronome.run)
        with trio.fail_after(10):
            await over.wait()
        nursery.cancel_scope.cancel()
    late_ms = [seen[due_ms] - due_ms for due_ms in dues]
    assert late_ms == [0, 0, 0, LATE_MS_MAX, 0, 0, 0, LATE_MS_MAX, 0, 0]


async def test_a_metronome_without_flights_wakes_for_a_reminder(autojump_clock):
    clock = LateClock(3)
    metronome, called = Metronome(clock, CURVE, 100, bytes), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(metronome.run)
        await trio.testing.wait_all_tasks_blocked()
        metronome.remind(NOON_MS + 5_000, called.set)
        with trio.fail_after(10):
            await called.wait()
        assert clock.steady_ms() < NOON_MS + 5_020
        nursery.cancel_scope.cancel()
