"""The patrol ends what waits too long, and is counted on only while it comes by."""

import trio

from actors.kit.patrol import _TRUSTED_S, PATROL_MS, Patrol, PatrolledWaits


async def test_who_waits_too_long_is_told_at_each_round_until_it_waits_no_more(autojump_clock):
    waits, told = PatrolledWaits(), []

    def give_up() -> None:
        told.append(trio.current_time())

    overdue_at = trio.current_time() + 1
    waits.begin(give_up, overdue_at)
    waits.begin(lambda: None, overdue_at + 1_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Patrol(waits.fail_overdue).run)
        await trio.sleep(1 + 2.5 * PATROL_MS / 1000)
        waits.end(give_up)
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert len(told) == 3 and told[0] == overdue_at


async def test_a_patrol_that_comes_by_no_more_is_not_counted_on(autojump_clock):
    waits = PatrolledWaits()
    assert not waits.are_patrolled
    waits.fail_overdue()
    await trio.sleep(_TRUSTED_S - 0.001)
    assert waits.are_patrolled
    await trio.sleep(0.001)
    assert not waits.are_patrolled
