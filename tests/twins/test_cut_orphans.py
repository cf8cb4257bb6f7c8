"""A database that has gone back: who has not noticed yet ends nothing that may have ended there already."""

import pytest

from tests.helpers.books import LEASE_MS, NOON_MS

LATER_MS = NOON_MS + 2 * LEASE_MS


@pytest.fixture
async def live(world, owner):
    """A flight of a node that is dead."""
    return await world.fly(owner, await world.owned(owner))


async def taken(world, node, written_ms=None):
    await world.set_clock(LATER_MS)
    found = await world.ledger.real.take_orphans(node, LEASE_MS, 10, written_ms)
    return [each.round_id for each in found]


async def test_in_its_own_history_a_node_takes_what_the_dead_have_left(world, other, live):
    written_ms = (await world.ledger.heartbeat(other, NOON_MS + 5)).database_ms
    assert await taken(world, other, written_ms) == [live.round_id]


async def test_a_database_that_lacks_the_taker_s_newest_beat_gives_nothing(world, other, live):
    written_ms = (await world.ledger.heartbeat(other, NOON_MS + 5)).database_ms
    assert await taken(world, other, written_ms + 1) == []


async def test_one_that_does_not_know_the_taker_gives_nothing(world, other, live):
    assert await taken(world, type(other)(other.node, other.epoch + 1)) == []


async def test_nobody_takes_anything_once_somebody_has_noted_the_cut(world, owner, other, live):
    lineage = (await world.ledger.heartbeat(other, NOON_MS)).lineage
    await world.ledger.note_cut(owner, lineage.history_id, "found by another node")
    assert await taken(world, other) == []


async def test_nobody_takes_anything_at_another_place(world, other, live):
    await world.move()
    assert await taken(world, other) == []
    await world.ledger.adopt_place((await world.ledger.heartbeat(other, NOON_MS)).lineage.history_id)
    assert await taken(world, other) == [live.round_id]
