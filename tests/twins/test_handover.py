"""Living nodes hand sessions over: who may ask, what moves with a session, and what stays."""

from dataclasses import replace

import pytest
import trio

from actors.facts.records import CallStatus
from actors.facts.transitions import Applied, Rejected
from actors.ports.sessions import SessionElsewhereError
from tests.helpers import books
from tests.helpers.books import LEASE_MS, NOON_MS

AGE_MS_MAX = 12_000


async def asked(world, created, asker, now_ms=NOON_MS):
    await world.ledger.request_session(created.token_digest, asker, now_ms)


async def requests(world, owner, now_ms=NOON_MS):
    return await world.ledger.session_requests(owner, LEASE_MS, now_ms, AGE_MS_MAX)


async def wanted(world, owner, created, asker, now_ms=NOON_MS):
    """The request of ``asker`` for the session, as its owner reads it."""
    await asked(world, created, asker, now_ms)
    (request,) = await requests(world, owner, now_ms)
    return request


async def move(world, owner, request, now_ms=NOON_MS):
    return await world.ledger.move_session(owner, request, LEASE_MS, now_ms)


async def test_an_idle_session_moves(world, owner, other):
    created = await world.owned(owner)
    request = await wanted(world, owner, created, other)
    assert (request.operator_id, request.session_id) == (created.operator_id, created.session_id)
    assert (request.token_digest, request.asker, request.asked_at_ms) == (created.token_digest, other, NOON_MS)
    assert await move(world, owner, request) is True
    assert await move(world, owner, request) is True, "the answer may have been lost"
    with pytest.raises(SessionElsewhereError):
        await books.opened(world.ledger, created, owner)
    opened = await books.opened(world.ledger, created, other)
    assert (opened.live_round, opened.owns_round) == (None, False)
    live = books.new_round(created)
    assert await world.commit(books.place(owner, live)) == Rejected()
    assert await world.commit(books.place(other, live)) == Applied()


async def test_a_flight_moves_with_its_session_and_stays_the_same(world, owner, other):
    created = await world.owned(owner)
    live = await world.fly(owner, created)
    assert await move(world, owner, await wanted(world, owner, created, other)) is True
    opened = await books.opened(world.ledger, created, other)
    assert opened.live_round == live
    assert opened.owns_round is True
    assert await world.commit(books.cash_out(owner, live)) == Rejected()
    assert await world.commit(books.refund(owner, live)) == Rejected()
    assert await world.commit(books.cash_out(other, live)) == Applied()


async def test_a_bet_without_an_end_stays_where_it_was_sent(world, owner, other):
    created = await world.owned(owner)
    live = await world.bet(owner, created)
    request = await wanted(world, owner, created, other)
    assert await move(world, owner, request) is False
    assert (await books.opened(world.ledger, created, owner)).owns_round is True
    assert await world.commit(books.void(owner, live, CallStatus.UNKNOWN)) == Applied()
    assert await move(world, owner, request) is True
    calls = (await books.opened(world.ledger, created, other)).outbox
    assert [call.operator_tx_id for call in calls] == [f"refund-{live.round_id}"]


async def test_only_the_owner_gives_and_only_who_asks_gets(world, owner, other):
    created = await world.owned(owner)
    third = await world.ledger.register_node("node-c", NOON_MS)
    request = await wanted(world, owner, created, other)
    assert await move(world, third, request) is False
    assert await move(world, owner, replace(request, asker=third)) is False
    assert await requests(world, third) == []
    assert await move(world, owner, request) is True
    assert await move(world, owner, replace(request, asker=third)) is False


async def test_a_flight_is_fenced_by_the_life_of_its_owner(world, owner, other):
    created = await world.owned(owner)
    live = await world.fly(owner, created)
    request = await wanted(world, owner, created, other)
    reborn = await world.ledger.register_node(owner.node, NOON_MS)
    await books.opened(world.ledger, created, reborn)
    assert await move(world, owner, request) is False
    assert await move(world, reborn, request) is True, "the session alone: its round is of the dead"
    opened = await books.opened(world.ledger, created, other)
    assert (opened.live_round, opened.owns_round) == (live, False)
    assert [taken.round_id for taken in await world.ledger.take_orphans(other, LEASE_MS, NOON_MS, 9)] == [live.round_id]


async def test_an_interrupted_round_is_ended_by_its_taker(world, owner, other):
    created = await world.owned(owner)
    await world.fly(owner, created)
    reborn = await world.ledger.register_node(owner.node, NOON_MS)
    await books.opened(world.ledger, created, reborn)
    (taken,) = await world.ledger.take_orphans(reborn, LEASE_MS, NOON_MS, 9)
    request = await wanted(world, reborn, created, other)
    assert await move(world, reborn, request) is False
    assert await world.commit(books.refund(reborn, taken)) == Applied()
    assert await move(world, reborn, request) is True


async def test_a_dead_asker_gets_nothing(world, owner, other):
    created = await world.owned(owner)
    request = await wanted(world, owner, created, other, NOON_MS)
    now_ms = NOON_MS + LEASE_MS
    assert await requests(world, owner, now_ms) == []
    assert await move(world, owner, request, now_ms) is False
    await world.ledger.heartbeat(other, now_ms)
    assert await requests(world, owner, now_ms) == [request]
    reborn = await world.ledger.register_node(other.node, now_ms)
    assert await requests(world, owner, now_ms) == []
    assert await move(world, owner, request, now_ms) is False
    again = await wanted(world, owner, created, reborn, now_ms)
    assert await move(world, owner, again, now_ms) is True


async def test_a_request_is_withdrawn_until_it_is_granted(world, owner, other):
    created = await world.owned(owner)
    request = await wanted(world, owner, created, other)
    await world.ledger.withdraw_request(created.token_digest, other)
    assert await requests(world, owner) == []
    assert await move(world, owner, request) is False
    assert await move(world, owner, await wanted(world, owner, created, other)) is True
    await world.ledger.withdraw_request(created.token_digest, other)
    assert await requests(world, other) == [request], "it must be taken up: a flight may have come with it"
    await world.ledger.end_request(request)
    assert await requests(world, other) == []


async def test_what_was_given_is_read_however_old_and_a_wish_is_not(world, owner, other):
    first, second = await world.owned(owner, "first"), await world.owned(owner, "second")
    assert await move(world, owner, await wanted(world, owner, first, other)) is True
    await asked(world, second, other)
    now_ms = NOON_MS + AGE_MS_MAX
    await world.ledger.heartbeat(other, now_ms)
    await world.ledger.heartbeat(owner, now_ms)
    assert await requests(world, owner, now_ms) == []
    assert [each.session_id for each in await requests(world, other, now_ms)] == [first.session_id]
    late_ms = NOON_MS + 3_600_000
    await world.ledger.heartbeat(other, late_ms)
    await asked(world, await world.owned(owner, "third"), other, late_ms)
    assert [each.session_id for each in await requests(world, other, late_ms)] == [first.session_id]


async def test_two_askers_are_served_in_turn(world, owner, other):
    created = await world.owned(owner)
    third = await world.ledger.register_node("node-c", NOON_MS)
    await asked(world, created, third, NOON_MS + 2)
    await asked(world, created, other, NOON_MS + 1)
    first, second = await requests(world, owner)
    assert (first.asker, second.asker) == (other, third)
    assert await move(world, owner, first) is True
    assert await requests(world, owner) == []
    assert [each.asker for each in await requests(world, other)] == [other, third]
    assert await move(world, other, second) is True
    assert [each.asker for each in await requests(world, third)] == [third], "who gives a session has taken it up"


async def test_asking_again_makes_a_request_young(world, owner, other):
    created = await world.owned(owner)
    await asked(world, created, other)
    assert (await wanted(world, owner, created, other, NOON_MS + 7)).asked_at_ms == NOON_MS + 7
    await world.ledger.request_session(bytes(32), other, NOON_MS)
    assert len(await requests(world, owner)) == 1


async def test_a_session_goes_to_one_of_many_at_once(world, owner, other):
    created = await world.owned(owner)
    await world.fly(owner, created)
    askers = [other] + [await world.ledger.register_node(f"node-{number}", NOON_MS) for number in range(4)]
    for asker in askers:
        await asked(world, created, asker)
    found = await requests(world, owner)
    outcomes = {}

    async def give(request):
        outcomes[request.asker] = await move(world, owner, request)

    async with trio.open_nursery() as nursery:
        for request in found:
            nursery.start_soon(give, request)
    (winner,) = [asker for asker, moved in outcomes.items() if moved]
    assert (await books.opened(world.ledger, created, winner)).owns_round is True


async def test_company_is_another_living_node(world, owner):
    assert await world.ledger.has_company(owner, LEASE_MS, NOON_MS) is False
    reborn = await world.ledger.register_node(owner.node, NOON_MS)
    assert await world.ledger.has_company(reborn, LEASE_MS, NOON_MS) is False, "its own past is none"
    other = await world.ledger.register_node("node-b", NOON_MS)
    assert await world.ledger.has_company(reborn, LEASE_MS, NOON_MS) is True
    assert await world.ledger.has_company(other, LEASE_MS, NOON_MS) is True
    assert await world.ledger.has_company(reborn, LEASE_MS, NOON_MS + LEASE_MS) is False
