import random

import pytest
import trio
import trio.testing

from actors.kit.fair_queue import CROWD, FairQueue, QueueFullError, Share, Turnstile


def called(queue, waiting):
    """Whose turn comes, one after the other."""
    names = []
    while queue.call_next():
        names += [name for name, turn in waiting.items() if turn.is_set() and name not in names]
    return names


def test_keys_take_turns():
    queue = FairQueue(100, 100)
    waiting = {name: queue.add(name[0]) for name in ("a1", "a2", "a3", "b1", "c1", "b2")}
    assert called(queue, waiting) == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert len(queue) == 0 and not queue.call_next()


def test_in_a_crowd_of_one_key_the_newest_comes_first():
    queue = FairQueue(1_000, 1_000)
    waiting = {number: queue.add("a") for number in range(CROWD + 3)}
    first, *_, last = called(queue, waiting)
    assert (first, last) == (CROWD + 2, CROWD - 1)


def test_too_many_are_refused():
    queue = FairQueue(3, 2)
    turn = queue.add("a")
    queue.add("a")
    with pytest.raises(QueueFullError):
        queue.add("a")
    queue.add("b")
    with pytest.raises(QueueFullError):
        queue.add("c")
    queue.remove("a", turn)
    queue.remove("a", turn)
    queue.add("c")
    assert len(queue) == 3


async def test_one_passes_in_each_turn_of_the_loop():
    turnstile, passed, turns, most = Turnstile(1_000, 1_000), [], 0, 0

    async def pass_through(key, number):
        await turnstile.pass_through(key)
        passed.append((key, number))

    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(pass_through, "crowd", number)
        while len(passed) < 100:
            before = len(passed)
            if turns == 5:
                nursery.start_soon(pass_through, "other", 0)
            await trio.lowlevel.checkpoint()
            most = max(most, len(passed) - before)
            turns += 1
    assert most == 1
    assert [key for key, _ in passed].index("other") < 10, "another key does not wait behind a crowd"


async def test_who_is_cancelled_holds_nobody_up():
    turnstile, share = Turnstile(100, 100), Share(1, 1, waiting_max=100, waiting_of_one_max=100)
    done = []

    async def work(number):
        await turnstile.pass_through("key")
        async with share.turn("key"):
            await trio.sleep(0.001)
            done.append(number)

    with trio.fail_after(20):
        for _ in range(30):
            async with trio.open_nursery() as nursery:
                for number in range(5):
                    nursery.start_soon(work, number)
                await trio.sleep(0.0015)
                nursery.cancel_scope.cancel()
        done.clear()
        await work(7)
    assert done == [7] and share.waiting == turnstile.waiting == 0


async def test_who_is_called_after_it_was_cancelled_passes_its_turn_on():
    turnstile, passed = Turnstile(100, 100), []

    async def pass_through(key, scope):
        with scope:
            await turnstile.pass_through(key)
            passed.append(key)

    scopes = {key: trio.CancelScope() for key in "abc"}
    with trio.fail_after(5):
        turnstile._is_turning = True  # somebody passes
        async with trio.open_nursery() as nursery:
            for key, scope in scopes.items():
                nursery.start_soon(pass_through, key, scope)
                await trio.testing.wait_all_tasks_blocked()
            scopes["a"].cancel()
            turnstile._is_turning = turnstile._queue.call_next()  # and has passed, before the cancelled one runs
    assert passed == ["b", "c"] and turnstile.waiting == 0


async def test_a_share_rests_for_no_longer_than_it_may(autojump_clock):
    """Whoever waits behind a very long piece of work does not pay for it."""
    share, began_at = Share(1, 2, waiting_max=10, waiting_of_one_max=10, rest_s_max=0.1), []

    async def work():
        async with share.turn("key"):
            began_at.append(trio.current_time())
            await trio.sleep(10)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        nursery.start_soon(work)
    assert began_at[1] - began_at[0] == pytest.approx(10.1)


async def test_a_share_works_so_much_at_once_and_rests_in_between(autojump_clock):
    share, began = Share(1, 2, waiting_max=10, waiting_of_one_max=10), []

    async def work(key):
        async with share.turn(key):
            began.append((key, trio.current_time()))
            await trio.sleep(0.01)

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for key in "aab":
            nursery.start_soon(work, key)
    # Work of 10 ms and a rest of 20 ms, twice.
    assert began[-1][1] - start == pytest.approx(0.06)
    assert trio.current_time() - start == pytest.approx(0.07)
    await work("c")
    assert trio.current_time() - start == pytest.approx(0.08), "where nobody waits nobody rests"


async def test_whoever_comes_while_others_wait_waits_too(autojump_clock):
    share, at_work, most = Share(2, 1, waiting_max=100, waiting_of_one_max=100), 0, 0

    async def work(key):
        nonlocal at_work, most
        async with share.turn(key):
            at_work += 1
            most = max(most, at_work)
            await trio.sleep(0.01)
            at_work -= 1

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(work, number % 7)
            await trio.sleep(0.004)
    assert most == 2 and share.waiting == 0


async def test_a_share_that_is_full_refuses_and_goes_on():
    share = Share(1, 0, waiting_max=1, waiting_of_one_max=1)
    gate = trio.Event()

    async def work():
        async with share.turn("a"):
            await gate.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        nursery.start_soon(work)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(QueueFullError):
            async with share.turn("b"):
                pass
        gate.set()
    async with share.turn("b"):
        pass


class Busy:
    """Somebody who has something to do in every turn of the loop, ``turns`` of them."""

    def __init__(self):
        self.turns = 0

    async def run(self, turns):
        while self.turns < turns:
            await trio.lowlevel.checkpoint()
            self.turns += 1


async def test_nobody_passes_while_others_have_something_to_do():
    turnstile, busy, seen = Turnstile(10, 10, patience_s=60), Busy(), []

    async def pass_through():
        await turnstile.pass_through("key")
        seen.append(busy.turns)
        if len(seen) == 1:  # who has work of its own now
            await busy.run(60)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pass_through)
        nursery.start_soon(pass_through)
        await busy.run(40)
    assert seen == [40, 60]


@pytest.mark.parametrize("at_once", [1, 3])
async def test_whoever_is_cancelled_the_others_pass(at_once):
    """Before they were called, after it, and while they wait for the moment."""
    chance = random.Random(at_once)
    for _ in range(200):
        turnstile, passed = Turnstile(100, 100, patience_s=0.001, at_once=at_once), []

        async def pass_through(name, scope, turnstile=turnstile, passed=passed):
            with scope:
                await turnstile.pass_through("key")
                passed.append(name)

        async with trio.open_nursery() as nursery:
            scopes = [trio.CancelScope() for _ in range(8)]
            for name, scope in enumerate(scopes):
                nursery.start_soon(pass_through, name, scope)
            for scope in chance.sample(scopes, 5):
                for _ in range(chance.randrange(4)):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
            with trio.fail_after(5):
                await turnstile.pass_through("another")
        assert turnstile.waiting == 0 and not turnstile._is_turning and turnstile._free == 0
        assert len(passed) >= 3


async def test_where_somebody_is_always_busy_patience_ends():
    turnstile, busy, passed = Turnstile(10, 10, patience_s=0.002), Busy(), []

    async def pass_through():
        await turnstile.pass_through("key")
        passed.append(trio.current_time())
        if len(passed) == 3:
            nursery.cancel_scope.cancel()

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(busy.run, float("inf"))
            began_at = trio.current_time()
            for _ in range(3):
                nursery.start_soon(pass_through)
    assert all(at - began_at >= 0.002 * number for number, at in enumerate(passed, 1))


async def test_some_pass_together_before_the_next_quiet_moment():
    turnstile, busy, seen = Turnstile(10, 10, patience_s=60, at_once=3), Busy(), []

    async def pass_through():
        await turnstile.pass_through("key")
        seen.append(busy.turns)
        if len(seen) == 1:  # who is at work while the others come
            await busy.run(60)

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(pass_through)
    assert max(seen[:3]) <= 2 and seen[3:] == [60, 60]


async def test_who_asks_again_at_once_does_not_keep_others_of_its_key_waiting():
    """Sixty connections of one address that come back before the next may pass, and an honest one of that address."""
    turnstile, passed = Turnstile(1_000, 1_000, patience_s=0.002), 0

    async def ask_for_ever():
        nonlocal passed
        while True:
            await turnstile.pass_through("shared")
            passed += 1
            await trio.sleep(0.001)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(Busy().run, float("inf"))
        for _ in range(60):
            nursery.start_soon(ask_for_ever)
        for _ in range(5):
            await trio.sleep(0.05)
            before = passed
            with trio.move_on_after(5):
                await turnstile.pass_through("shared")
            assert passed - before <= 70, "those who were there before, and nobody twice"
        nursery.cancel_scope.cancel()
