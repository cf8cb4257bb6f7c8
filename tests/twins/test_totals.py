"""What a session's settled rounds come to, as it is read with the session."""

import pytest

from actors.facts.records import CallKind, CallStatus, SessionTotals
from tests.helpers import books
from tests.helpers.books import NOON_MS


async def totals(world, created, owner, *, after=0):
    """As read when the session has had ``after`` rounds."""
    return (await books.opened(world.ledger, created, owner, nonce=after + 1)).totals


async def won(world, owner, created, nonce, **changes):
    """A round that paid 1.50x, delivered."""
    live = await world.fly(owner, created, nonce, **changes)
    await world.commit(books.cash_out(owner, live))
    await world.commit(books.acknowledge(live))


async def test_settled_rounds_add_up(world, owner):
    created = await world.owned(owner)
    assert await totals(world, created, owner) == SessionTotals()
    await won(world, owner, created, 1)
    assert await totals(world, created, owner, after=1) == SessionTotals(1, 100, 150, 1)
    live = await world.fly(owner, created, 2, amount_minor=40)
    assert await totals(world, created, owner) == SessionTotals(1, 100, 150, 1), "a live round does not count"
    await world.commit(books.crash(owner, live))
    assert await totals(world, created, owner) == SessionTotals(2, 140, 150, 2)


@pytest.mark.parametrize("status", [CallStatus.DECLINED, CallStatus.UNKNOWN])
async def test_void_and_refunded_rounds_never_count(world, owner, status):
    created = await world.owned(owner)
    void = await world.bet(owner, created)
    await world.commit(books.void(owner, void, status))
    if status is CallStatus.UNKNOWN:
        await world.commit(books.acknowledge(void, CallKind.REFUND))
    refunded = await world.fly(owner, created, 2)
    await world.commit(books.refund(owner, refunded))
    await world.commit(books.acknowledge(refunded, CallKind.REFUND))
    assert await totals(world, created, owner, after=2) == SessionTotals()
    await won(world, owner, created, 3)
    assert await totals(world, created, owner) == SessionTotals(1, 100, 150, 3)


async def test_only_the_session_itself_counts(world, owner):
    operator = await world.add_operator()
    before = await world.owned(owner, "before", operator=operator)
    await won(world, owner, before, 1)
    mine = await world.owned(owner, "mine", operator=operator)
    beside = await world.owned(owner, "beside", operator=operator)
    await won(world, owner, beside, 1)
    await won(world, owner, mine, 1, amount_minor=20)
    assert await totals(world, mine, owner) == SessionTotals(1, 20, 30, 1)
    assert await totals(world, before, owner) == SessionTotals(1, 100, 150, 1)


async def test_a_round_counts_although_its_nodes_clock_was_behind(world, owner):
    created = await world.owned(owner)
    live = await world.fly(owner, created)
    await world.commit(books.cash_out(owner, live, at_ms=NOON_MS - 60_000))
    assert await totals(world, created, owner) == SessionTotals(1, 100, 150, 1)


async def test_large_amounts_are_exact(world, owner):
    created = await world.owned(owner)
    stake_minor = 10**15
    for nonce in (1, 2):
        await won(world, owner, created, nonce, amount_minor=stake_minor, terms={"max_payout_minor": 2 * stake_minor})
    assert await totals(world, created, owner) == SessionTotals(2, 2 * stake_minor, 3 * stake_minor, 2)


async def test_they_are_the_same_at_the_node_that_a_session_moves_to(world, owner, other):
    created = await world.owned(owner)
    await won(world, owner, created, 1)
    live = await world.fly(owner, created, 2)
    await world.ledger.request_session(created.token_digest, other, NOON_MS)
    (request,) = await world.ledger.session_requests(owner, books.LEASE_MS, NOON_MS, 12_000)
    assert await world.ledger.move_session(owner, request, books.LEASE_MS, NOON_MS) is True
    opened = await books.opened(world.ledger, created, other)
    assert (opened.live_round, opened.totals) == (live, SessionTotals(1, 100, 150, 1))
    await world.commit(books.crash(other, live))
    assert await totals(world, created, other) == SessionTotals(2, 200, 150, 2)


async def test_a_round_that_was_taken_from_a_dead_node_counts_where_it_was_settled(world, owner, other):
    created = await world.owned(owner)
    await world.fly(owner, created)
    later_ms = NOON_MS + 2 * books.LEASE_MS
    await world.ledger.heartbeat(other, later_ms)
    (orphan,) = await world.ledger.take_orphans(other, books.LEASE_MS, later_ms, 10)
    await world.commit(books.cash_out(other, orphan))
    opened = await books.opened(world.ledger, created, other, later_ms)
    assert (opened.live_round, opened.totals) == (None, SessionTotals(1, 100, 150, 1))
