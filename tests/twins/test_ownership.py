"""Who may write: sessions and live rounds belong to one life of one node, and pass on only from the dead."""

from dataclasses import replace

import pytest
import trio

from actors.facts.records import CallStatus, Owner
from actors.facts.transitions import Applied, Rejected, Started
from actors.ports.sessions import SessionElsewhereError
from tests.helpers import books
from tests.helpers.books import LEASE_MS, NOON_MS

SEED = "0123456789abcdef" * 4


async def open_at(world, created, owner, now_ms=NOON_MS):
    return await world.ledger.open_session(created.token_digest, owner, LEASE_MS, now_ms, books.promise(created))


async def test_no_token_no_session(world, owner):
    assert await world.ledger.open_session(bytes(32), owner, LEASE_MS, NOON_MS, SEED) is None


async def test_an_expired_session_is_returned(world, owner):
    created = await world.launched()
    opened = await open_at(world, created, owner, created.expires_at_ms + 1)
    assert opened.session.expires_at_ms == created.expires_at_ms


async def test_a_newer_life_of_a_node_has_its_sessions_at_once(world, owner):
    """The older one may not know yet that it is over."""
    created = await world.owned(owner)
    newer = await world.ledger.register_node(owner.node, NOON_MS)
    await world.ledger.heartbeat(owner, NOON_MS)
    assert await open_at(world, created, newer) is not None
    with pytest.raises(SessionElsewhereError):
        await open_at(world, created, await world.ledger.register_node("node-b", NOON_MS))


async def test_only_what_somebody_may_have_seen_is_revealed_when_a_session_is_opened(world, owner):
    created = await world.launched()
    first = await open_at(world, created, owner)
    assert first.discarded is None
    again = await world.ledger.open_session(created.token_digest, owner, LEASE_MS, NOON_MS, SEED)
    assert (again.discarded, again.session.next.server_seed) == (first.session.next, SEED)


async def test_a_living_owner_keeps_its_session(world, owner, other):
    created = await world.owned(owner)
    with pytest.raises(SessionElsewhereError):
        await open_at(world, created, other)
    assert await open_at(world, created, owner) is not None
    assert await world.commit(books.place(owner, books.new_round(created))) == Applied()


async def test_the_lease_ends_to_the_millisecond(world, owner, other):
    created = await world.owned(owner)
    with pytest.raises(SessionElsewhereError):
        await open_at(world, created, other, NOON_MS + LEASE_MS - 1)
    assert await open_at(world, created, other, NOON_MS + LEASE_MS) is not None
    live = books.new_round(created)
    assert await world.commit(books.place(owner, live)) == Rejected()
    assert await world.commit(books.place(other, live)) == Applied()


async def test_a_heartbeat_prolongs_the_lease(world, owner, other):
    created = await world.owned(owner)
    await world.ledger.heartbeat(owner, NOON_MS + LEASE_MS)
    with pytest.raises(SessionElsewhereError):
        await open_at(world, created, other, NOON_MS + 2 * LEASE_MS - 1)
    assert await open_at(world, created, other, NOON_MS + 2 * LEASE_MS) is not None


async def test_a_new_life_of_the_node_takes_over_at_once(world, owner):
    created = await world.owned(owner)
    reborn = await world.ledger.register_node(owner.node, NOON_MS)
    assert reborn.epoch > owner.epoch
    assert await open_at(world, created, reborn) is not None
    assert await world.commit(books.place(owner, books.new_round(created))) == Rejected()


async def test_of_two_nodes_at_the_same_moment_one_gets_the_session(world, owner, other):
    created = await world.launched()
    outcomes = []

    async def take(node):
        try:
            outcomes.append(await open_at(world, created, node))
        except SessionElsewhereError as error:
            outcomes.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take, owner)
        nursery.start_soon(take, other)
    assert sorted(isinstance(each, SessionElsewhereError) for each in outcomes) == [False, True]


async def test_epochs_grow_across_all_nodes(world):
    lives = [await world.ledger.register_node(name, NOON_MS) for name in ("a", "b", "a", "c")]
    epochs = [life.epoch for life in lives]
    assert epochs == sorted(set(epochs))
    assert [life.node for life in lives] == ["a", "b", "a", "c"]


async def test_only_the_newest_life_beats(world, owner):
    def pulse(at_ms, before_ms, is_superseded=False):
        return (at_ms, before_ms, is_superseded)

    async def beat(by, at_ms):
        pulse = await world.ledger.heartbeat(by, at_ms)
        assert (pulse.lineage.cut_reason, pulse.lineage.has_moved) == (None, False)
        return pulse.database_ms, pulse.before_ms, pulse.is_superseded

    assert await beat(owner, NOON_MS + 1) == pulse(NOON_MS + 1, NOON_MS)
    reborn = await world.ledger.register_node(owner.node, NOON_MS + 2)
    assert await beat(owner, NOON_MS + 3) == pulse(NOON_MS + 3, NOON_MS + 1, is_superseded=True)
    assert await beat(reborn, NOON_MS + 3) == pulse(NOON_MS + 3, NOON_MS + 2)
    assert await beat(reborn, NOON_MS + 4) == pulse(NOON_MS + 4, NOON_MS + 3)
    assert await beat(Owner("never-registered", 1), NOON_MS) == pulse(NOON_MS, None)


async def test_a_beat_is_not_recorded_over_one_that_is_older_than_the_last_answered(world, owner):
    """Its answer may get lost: the next one must find that history was cut, too."""
    written_ms = NOON_MS + 5_000
    for at_ms in (NOON_MS + 6_000, NOON_MS + 7_000):
        pulse = await world.ledger.heartbeat(owner, at_ms, written_ms)
        assert (pulse.database_ms, pulse.before_ms) == (at_ms, NOON_MS)
    assert (await world.ledger.heartbeat(owner, NOON_MS + 8_000, NOON_MS)).before_ms == NOON_MS
    assert (await world.ledger.heartbeat(owner, NOON_MS + 9_000, NOON_MS + 8_000)).before_ms == NOON_MS + 8_000


@pytest.mark.logs_errors("a transition was refused by the schema", sometimes=True)
async def test_the_client_seed_is_changed_by_the_owner_only(world, owner, other):
    created = await world.owned(owner)

    def change(by, client_seed="a-new-one"):
        return books.change_client_seed(by, created, client_seed)

    for stranger in (other, Owner(owner.node, owner.epoch + 100), Owner("node-c", owner.epoch)):
        assert await world.commit(change(stranger)) == Rejected()
    assert await world.commit(change(owner, "not a seed")) == Rejected()
    assert (await books.opened(world.ledger, created, owner)).session.next.client_seed == books.CLIENT_SEED
    for _ in range(2):
        assert await world.commit(change(owner)) == Applied()
    assert (await books.opened(world.ledger, created, owner)).session.next.client_seed == "a-new-one"


# Orphans.


async def test_the_living_have_no_orphans(world, owner, other):
    await world.fly(owner, await world.owned(owner))
    assert await world.ledger.take_orphans(other, LEASE_MS, NOON_MS + LEASE_MS - 1, 10) == []
    assert await world.ledger.take_orphans(owner, LEASE_MS, NOON_MS + LEASE_MS, 10) == [], "nobody orphans itself"


async def test_rounds_of_a_silent_node_are_taken_oldest_first(world, owner, other):
    operator = await world.add_operator()
    sessions = [await world.owned(owner, name, operator=operator) for name in range(4)]
    rounds = [
        await world.bet(owner, created, created_at_ms=NOON_MS + 10 * (4 - number))
        for number, created in enumerate(sessions)
    ]
    await world.commit(books.start(owner, rounds[0]))
    rounds[0] = books.flying(rounds[0])
    await world.commit(books.void(owner, rounds[1]))
    await world.ledger.heartbeat(owner, NOON_MS + 50)
    now_ms = NOON_MS + 50 + LEASE_MS
    await world.ledger.heartbeat(other, now_ms)
    first = await world.ledger.take_orphans(other, LEASE_MS, now_ms, 2)
    interrupted = [replace(live, interrupted_at_ms=NOON_MS + 50) for live in rounds]
    assert first == [interrupted[3], interrupted[2]]
    again = await world.ledger.take_orphans(other, LEASE_MS, now_ms, 2)
    assert again == first, "the answer may have been lost"
    for live in first:
        await world.commit(books.void(other, live, CallStatus.UNKNOWN))
    assert await world.ledger.take_orphans(other, LEASE_MS, now_ms, 2) == [interrupted[0]]
    await world.commit(books.refund(other, interrupted[0]))
    assert await world.ledger.take_orphans(other, LEASE_MS, now_ms, 2) == []


async def test_a_taken_round_is_ended_by_its_new_owner_only(world, owner):
    live = await world.fly(owner, await world.owned(owner))
    reborn = await world.ledger.register_node(owner.node, NOON_MS + 7)
    assert await world.ledger.take_orphans(reborn, LEASE_MS, NOON_MS + 7, 10) == [
        replace(live, interrupted_at_ms=NOON_MS)
    ]
    assert await world.commit(books.cash_out(owner, live)) == Rejected()
    assert await world.commit(books.start(owner, live)) == Rejected()
    assert await world.commit(books.refund(reborn, live)) == Applied()
    assert (await world.call_states(live))["refund"] == (CallStatus.PENDING, 0, None)


async def test_a_round_that_is_taken_twice_keeps_the_moment_of_its_first_interruption(world, owner):
    live = await world.fly(owner, await world.owned(owner))
    for life in (1, 2):
        reborn = await world.ledger.register_node(owner.node, NOON_MS + 60_000 * life)
        taken = await world.ledger.take_orphans(reborn, LEASE_MS, NOON_MS + 60_000 * life, 10)
        assert taken == [replace(live, interrupted_at_ms=NOON_MS)]
        assert await world.ledger.live_round(live.operator_id, live.round_id) == taken[0]


async def test_a_taken_bet_can_be_started_or_void_by_its_new_owner(world, owner):
    first = await world.bet(owner, await world.owned(owner, "first"))
    second = await world.bet(owner, await world.owned(owner, "second"))
    reborn = await world.ledger.register_node(owner.node, NOON_MS)
    assert len(await world.ledger.take_orphans(reborn, LEASE_MS, NOON_MS, 10)) == 2
    assert await world.commit(books.start(reborn, first)) == Started(first.created_at_ms + 10)
    assert await world.commit(books.void(reborn, second, CallStatus.UNKNOWN)) == Applied()


async def test_of_many_sweepers_at_once_each_round_has_one(world, owner):
    operator = await world.add_operator()
    rounds = {(await world.bet(owner, await world.owned(owner, f"{n}", operator=operator))).round_id for n in range(60)}
    now_ms = NOON_MS + LEASE_MS
    sweepers = [await world.ledger.register_node(f"sweeper-{number}", now_ms) for number in range(4)]
    taken = []

    async def sweep(node):
        while batch := await world.ledger.take_orphans(node, LEASE_MS, now_ms, 2):
            taken.extend(live.round_id for live in batch)
            for live in batch:
                assert await world.commit(books.void(node, live, CallStatus.UNKNOWN)) == Applied()

    async with trio.open_nursery() as nursery:
        for sweeper in sweepers:
            nursery.start_soon(sweep, sweeper)
    assert sorted(taken) == sorted(rounds)


async def test_a_nodes_own_live_rounds_are_told_oldest_first(world, owner, other):
    created = [await world.owned(owner, name) for name in range(5)]
    flying = await world.fly(owner, created[0], created_at_ms=NOON_MS + 3_000)
    betting = await world.bet(owner, created[1], created_at_ms=NOON_MS + 2_000)
    ended = await world.fly(owner, created[2], created_at_ms=NOON_MS + 1_000)
    await world.commit(books.crash(owner, ended))
    await world.bet(owner, created[3], created_at_ms=NOON_MS + 4_000)
    await world.fly(other, await world.owned(other, "another's"), created_at_ms=NOON_MS + 1_000)
    keys = await world.ledger.own_live_rounds(owner, NOON_MS + 4_000, 10)
    assert [(key.operator_id, key.session_id, key.round_id) for key in keys] == [
        (live.operator_id, live.session_id, live.round_id) for live in (betting, flying)
    ]
    assert keys[0].token_digest == created[1].token_digest
    newer = await world.ledger.register_node(owner.node, NOON_MS)
    assert await world.ledger.own_live_rounds(newer, NOON_MS + 4_000, 10) == [], "those of another life are its orphans"
    assert len(await world.ledger.own_live_rounds(owner, NOON_MS + 4_001, 10)) == 3
    assert await world.ledger.own_live_rounds(owner, NOON_MS + 4_001, 1) == keys[:1]


async def test_what_is_being_ended_or_arrives_is_not_among_a_nodes_own_live_rounds(world, owner, other):
    taken = await world.fly(owner, await world.owned(owner, "taken"))
    created = await world.owned(owner, "given")
    given = await world.fly(owner, created)
    await world.ledger.request_session(created.token_digest, other, NOON_MS)
    (request,) = await world.ledger.session_requests(owner, LEASE_MS, NOON_MS, LEASE_MS)
    assert await world.ledger.move_session(owner, request, LEASE_MS, NOON_MS)
    assert [key.round_id for key in await world.ledger.own_live_rounds(owner, NOON_MS + 60_000, 10)] == [taken.round_id]
    assert await world.ledger.own_live_rounds(other, NOON_MS + 60_000, 10) == []
    await world.ledger.end_request(request)
    assert [key.round_id for key in await world.ledger.own_live_rounds(other, NOON_MS + 60_000, 10)] == [given.round_id]
    late_ms = NOON_MS + 10 * LEASE_MS
    await world.ledger.heartbeat(other, late_ms)
    await world.ledger.take_orphans(other, LEASE_MS, late_ms, 10)
    assert [key.round_id for key in await world.ledger.own_live_rounds(other, NOON_MS + 60_000, 10)] == [given.round_id]


async def test_no_other_life_of_a_node_changes_what_this_one_has(world, owner, caplog):
    """Neither an older one that does not know that it is over, nor a newer one that has not taken it."""
    created = await world.owned(owner)
    lives = [Owner(owner.node, owner.epoch - 1), await world.ledger.register_node(owner.node, NOON_MS)]
    live = books.new_round(created)
    flown = books.flying(live)

    async def only_the_owner(*makes):
        for make in makes:
            for life in lives:
                assert await world.commit(make(life)) == Rejected(), make
        return await world.commit(makes[0](owner))

    assert await only_the_owner(lambda life: books.change_client_seed(life, created, books.CLIENT_SEED)) == Applied()
    assert await only_the_owner(lambda life: books.place(life, live)) == Applied()
    starting = await only_the_owner(lambda life: books.start(life, live), lambda life: books.void(life, live))
    assert starting == Started(flown.started_at_ms)
    ends = books.cash_out, books.crash, books.refund
    assert await only_the_owner(*(lambda life, end=end: end(life, flown) for end in ends)) == Applied()
    for life in lives:
        assert await world.commit(books.cash_out(life, flown)) == Rejected(), "nor is it told that it had"
    assert caplog.records == []
