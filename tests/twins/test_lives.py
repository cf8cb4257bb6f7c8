"""Lives of nodes: a lease that has run out is not renewed, and an end that is known is the end."""

from pathlib import Path

import pytest

from actors.facts.records import CallStatus
from actors.facts.transitions import Rejected
from actors.ports.sessions import SessionElsewhereError
from server.db.driver.database import open_database
from server.secrets.vault import Vault
from tests.helpers import books
from tests.helpers.books import LEASE_MS, NOON_MS
from tests.helpers.clocked_ledger import ClockedLedger
from tests.helpers.stores import EveryStore

AGE_MS_MAX = 12_000


@pytest.fixture
async def beside(world, place):
    """The ledger by another process's connections."""
    if place is None:
        yield world.ledger
        return
    async with open_database(place, Path(), pool_size=1) as database:
        yield ClockedLedger(EveryStore(database, Vault(bytes(32))), world.set_clock)


async def beat(world, owner, now_ms, written_ms=None):
    return await world.ledger.heartbeat(owner, now_ms, written_ms, LEASE_MS)


async def test_a_life_goes_on_for_as_long_as_its_beats_are_nearer_than_its_lease(world, owner):
    for at_ms in (NOON_MS + LEASE_MS - 1, NOON_MS + 2 * LEASE_MS - 2):
        pulse = await beat(world, owner, at_ms)
        assert (pulse.is_recorded, pulse.is_over, pulse.newest_end_ms) == (True, False, None)


async def test_a_beat_after_the_lease_finds_its_life_over_and_changes_nothing(world, owner, other):
    created = await world.owned(owner)
    live = await world.fly(owner, created, created_at_ms=NOON_MS)
    late_ms = NOON_MS + LEASE_MS
    for at_ms in (late_ms, late_ms + 1):
        pulse = await beat(world, owner, at_ms)
        assert (pulse.is_recorded, pulse.is_over, pulse.is_superseded) == (False, True, False)
        assert (pulse.database_ms, pulse.before_ms) == (at_ms, NOON_MS)
    (taken,) = await world.ledger.take_orphans(other, LEASE_MS, late_ms + 1, 10)
    assert (taken.round_id, taken.interrupted_at_ms) == (live.round_id, NOON_MS), "up to its last beat in time"


async def test_a_cut_is_seen_beside_a_lease_that_has_run_out(world, owner):
    pulse = await beat(world, owner, NOON_MS + LEASE_MS, NOON_MS + 1)
    assert (pulse.is_over, pulse.before_ms, pulse.is_recorded) == (True, NOON_MS, False)


async def test_the_last_word_gives_all_to_whoever_comes(world, owner, other):
    created = await world.owned(owner)
    live = await world.fly(owner, created)
    with pytest.raises(SessionElsewhereError):
        await books.opened(world.ledger, created, other)
    await world.ledger.end_life(owner, NOON_MS + 1)
    (taken,) = await world.ledger.take_orphans(other, LEASE_MS, NOON_MS + 1, 10)
    assert taken.round_id == live.round_id
    opened = await books.opened(world.ledger, created, other)
    assert opened.owns_round
    assert await world.commit(books.cash_out(owner, live)) == Rejected()
    pulse = await beat(world, other, NOON_MS + 2)
    assert (pulse.is_over, pulse.newest_end_ms) == (False, NOON_MS + 1)
    assert (await beat(world, owner, NOON_MS + 3)).is_over, "an end is for ever"


async def test_a_life_ends_once(world, owner, other):
    for at_ms in (NOON_MS + 1, NOON_MS + 2):
        await world.ledger.end_life(owner, at_ms)
    assert (await beat(world, other, NOON_MS + 3)).newest_end_ms == NOON_MS + 1


async def test_what_the_dead_had_claimed_is_due_again_at_once(world, owner, other):
    created = await world.owned(owner)
    live = await world.fly(owner, created)
    await world.commit(books.refund(owner, live))
    assert (await world.call_states(live))["refund"][0] is CallStatus.PENDING
    due_ms = NOON_MS + 100_000
    await world.ledger.heartbeat(owner, due_ms)
    (call,) = await world.ledger.claim_calls(owner, {live.operator_id: 9}, due_ms, 60_000)
    assert await world.ledger.release_claims(other, LEASE_MS, due_ms, 9) == 0
    await world.ledger.end_life(owner, due_ms)
    assert await world.ledger.release_claims(other, LEASE_MS, due_ms, 9) == 1
    (again,) = await world.ledger.claim_calls(other, {live.operator_id: 9}, due_ms, 60_000)
    assert again.operator_tx_id == call.operator_tx_id


async def test_nothing_is_given_to_a_life_that_is_over_and_it_is_no_company(world, owner, other):
    created = await world.owned(owner)
    assert await world.ledger.has_company(owner, LEASE_MS, NOON_MS)
    await world.ledger.request_session(created.token_digest, other, NOON_MS)
    (request,) = await world.ledger.session_requests(owner, LEASE_MS, NOON_MS, AGE_MS_MAX)
    await world.ledger.end_life(other, NOON_MS + 1)
    assert await world.ledger.session_requests(owner, LEASE_MS, NOON_MS + 1, AGE_MS_MAX) == []
    assert await world.ledger.move_session(owner, request, LEASE_MS, NOON_MS + 1) is False
    assert not await world.ledger.has_company(owner, LEASE_MS, NOON_MS + 1)
    assert await books.opened(world.ledger, created, owner) is not None, "it stays where it was"


async def test_a_process_that_is_gone_is_known_before_its_lease_ends(world, beside, owner, other):
    """Not while its beat is young: then it may have lost its connection only."""
    await beat(world, other, NOON_MS + 100)
    await world.hang_up(owner)
    assert await beside.end_silent(other, 1_500, NOON_MS + 1_499) == []
    assert await beside.end_silent(other, 1_500, NOON_MS + 1_500) == [owner]
    assert await beside.end_silent(other, 1_500, NOON_MS + 1_501) == [], "found once"
    assert (await beat(world, other, NOON_MS + 1_502)).newest_end_ms == NOON_MS + 1_500
    assert (await beat(world, owner, NOON_MS + 1_503)).is_over


async def test_a_process_that_is_silent_and_there_has_its_lease(world, beside, owner, other):
    assert await beside.end_silent(other, 1_500, NOON_MS + LEASE_MS - 1) == []
    assert (await beat(world, owner, NOON_MS + LEASE_MS - 1)).is_recorded


async def test_nobody_finds_itself_gone(world, beside, owner):
    await world.hang_up(owner)
    assert await beside.end_silent(owner, 1_500, NOON_MS + 60_000) == []


async def test_a_node_that_was_started_again_finds_its_life_before_gone(world, beside, owner):
    """Where there is one node nobody else does, and what the life before had begun would wait for its lease."""
    await world.hang_up(owner)
    again = await world.ledger.register_node(owner.node, NOON_MS + 1_000)
    assert await beside.end_silent(again, 1_500, NOON_MS + 1_500) == [owner]


async def test_a_beat_of_a_life_before_is_told_and_not_recorded(world, owner):
    """Two processes with one name: the older one must not look alive by the beats of both."""
    again = await world.ledger.register_node(owner.node, NOON_MS + 1)
    for at_ms in (NOON_MS + 2, NOON_MS + 3):
        pulse = await beat(world, owner, at_ms)
        assert (pulse.is_recorded, pulse.is_superseded, pulse.before_ms) == (False, True, NOON_MS)
    pulse = await beat(world, again, NOON_MS + 4)
    assert (pulse.is_recorded, pulse.is_superseded, pulse.before_ms) == (True, False, NOON_MS + 1)
