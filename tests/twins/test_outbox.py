"""Claims: each due call goes to one node at a time, within each operator's quota, a session's calls in order."""

from dataclasses import replace

import trio

from actors.facts.records import CallStatus, OutboxCount
from actors.facts.transitions import Applied, Rejected
from tests.helpers import books
from tests.helpers.books import LEASE_MS, NOON_MS

CLAIM_MS = 20_000
LATER_MS = NOON_MS + 10_000


async def won(world, owner, operator, name=1, at_ms=500):
    """A session's first round, won ``at_ms`` after noon."""
    live = await world.fly(owner, await world.owned(owner, name, operator=operator))
    settle = books.cash_out(owner, live, at_ms=NOON_MS + at_ms)
    await world.commit(settle)
    return live, settle.call


async def claim(world, owner, *operators, quota=10, now_ms=LATER_MS):
    quotas = {operator.operator_id: quota for operator in operators}
    return await world.ledger.claim_calls(owner, quotas, now_ms, CLAIM_MS)


async def test_a_due_call_is_claimed_once(world, owner, other):
    operator = await world.add_operator()
    _live, win = await won(world, owner, operator)
    assert await claim(world, owner, operator) == [replace(win, next_attempt_at_ms=LATER_MS + CLAIM_MS)]
    assert await claim(world, owner, operator) == []
    assert await claim(world, other, operator) == []


async def test_a_claim_that_has_ended_is_anybodys(world, owner, other):
    operator = await world.add_operator()
    await won(world, owner, operator)
    await claim(world, owner, operator)
    assert await claim(world, other, operator, now_ms=LATER_MS + CLAIM_MS - 1) == []
    assert len(await claim(world, other, operator, now_ms=LATER_MS + CLAIM_MS)) == 1


async def test_a_call_is_not_claimed_before_it_is_due(world, owner):
    operator = await world.add_operator()
    _live, win = await won(world, owner, operator)
    assert await claim(world, owner, operator, now_ms=win.next_attempt_at_ms - 1) == []
    assert len(await claim(world, owner, operator, now_ms=win.next_attempt_at_ms)) == 1


async def test_bets_acknowledged_and_parked_calls_are_not_claimed(world, owner):
    operator = await world.add_operator()
    await world.bet(owner, await world.owned(owner, "bets", operator=operator))
    paid, _ = await won(world, owner, operator, "paid")
    parked, _ = await won(world, owner, operator, "parked")
    await world.commit(books.acknowledge(paid))
    await world.commit(books.postpone(parked, parked=True))
    assert await claim(world, owner, operator) == []


async def test_each_operator_has_its_quota_and_the_longest_due_go_first(world, owner):
    many, few, unasked = [await world.add_operator() for _ in range(3)]
    wins = [(await won(world, owner, many, f"many-{at}", at))[1] for at in (900, 100, 500, 300)]
    single = (await won(world, owner, few, "few", 700))[1]
    await won(world, owner, unasked, "unasked", 50)
    claimed = await world.ledger.claim_calls(owner, {many.operator_id: 2, few.operator_id: 2}, LATER_MS, CLAIM_MS)
    expected = [wins[1], wins[3], single]
    assert [call.operator_tx_id for call in claimed] == [
        call.operator_tx_id for call in sorted(expected, key=lambda call: (call.created_at_ms, call.operator_tx_id))
    ]


async def test_of_a_session_the_first_pending_call_goes_alone(world, owner):
    operator = await world.add_operator()
    created = await world.owned(owner, operator=operator)
    rounds = []
    for nonce in (1, 2):
        live = await world.fly(owner, created, nonce)
        await world.commit(books.cash_out(owner, live))
        rounds.append(live)
        # A parked call that a person takes up again is the only way to two pending ones of a session.
        if nonce == 1:
            await world.commit(books.postpone(live, parked=True))
    await world.take_up(rounds[0])
    first, second = [f"win-{live.round_id}" for live in rounds]
    assert [call.operator_tx_id for call in await claim(world, owner, operator)] == [first]
    assert await claim(world, owner, operator) == [], "the second one waits for the first one's end"
    await world.commit(books.acknowledge(rounds[0]))
    assert [call.operator_tx_id for call in await claim(world, owner, operator)] == [second]


async def test_a_call_that_is_taken_up_waits_for_one_of_its_session_that_is_being_sent(world, owner, other):
    operator = await world.add_operator()
    created = await world.owned(owner, operator=operator)
    first = await world.fly(owner, created, 1)
    await world.commit(books.cash_out(owner, first))
    await world.commit(books.postpone(first, parked=True))
    second = await world.fly(owner, created, 2)
    await world.commit(books.cash_out(owner, second))
    (sending,) = await claim(world, owner, operator)
    assert sending.round_id == second.round_id
    await world.take_up(first)
    assert await claim(world, other, operator) == []
    await world.commit(books.acknowledge(second))
    (next_one,) = await claim(world, other, operator)
    assert next_one.round_id == first.round_id


async def test_an_end_claims_what_it_owes_unless_another_call_of_its_session_waits(world, owner):
    operator = await world.add_operator()
    created = await world.owned(owner, operator=operator)

    async def end(nonce, *, taken_up=None):
        live = await world.fly(owner, created, nonce)
        if taken_up is not None:
            await world.take_up(taken_up)
        settle = books.cash_out(owner, live)
        until_ms = settle.call.created_at_ms + CLAIM_MS
        answer = await world.commit(replace(settle, call=replace(settle.call, next_attempt_at_ms=until_ms)))
        return live, settle.call, answer

    first, win, answer = await end(1)
    until_ms = win.created_at_ms + CLAIM_MS
    assert answer == Applied(is_claimed=True)
    assert await claim(world, owner, operator, now_ms=until_ms - 1) == []
    await world.commit(books.postpone(first, owner=owner, parked=True))
    _second, next_win, answer = await end(2, taken_up=first)
    assert answer == Applied(is_claimed=False)
    waiting = await world.ledger.outbox_of(created.operator_id, created.session_id)
    assert [call.operator_tx_id for call in waiting] == [win.operator_tx_id, next_win.operator_tx_id]
    assert waiting[1].next_attempt_at_ms == next_win.created_at_ms, "claimed by nobody, and due"


async def test_only_the_claimer_may_postpone_and_anybody_may_acknowledge(world, owner, other):
    operator = await world.add_operator()
    live, _ = await won(world, owner, operator)
    await claim(world, owner, operator)
    newer = await world.ledger.register_node(owner.node, LATER_MS)
    for stranger in (other, newer):
        assert await world.commit(books.postpone(live, owner=stranger)) == Rejected()
    assert await world.commit(books.postpone(live, owner=owner)) == Applied()
    due_ms = books.postpone(live).next_attempt_at_ms
    assert len(await claim(world, other, operator, now_ms=due_ms)) == 1, "a postponed call is claimed by nobody"
    assert await world.commit(books.postpone(live, owner=owner)) == Rejected(), "the claim is another's now"
    assert await world.commit(books.acknowledge(live)) == Applied()
    assert (await world.call_states(live))["win"] == (CallStatus.ACKNOWLEDGED, 1, None)


async def test_what_was_postponed_is_nobodys_any_more(world, owner, other):
    operator = await world.add_operator()
    late, parked = [(await won(world, owner, operator, name))[0] for name in ("late", "parked")]
    assert len(await claim(world, owner, operator)) == 2
    await world.commit(books.postpone(late, owner=owner))
    await world.commit(books.postpone(parked, owner=owner, parked=True))
    assert await world.ledger.give_up_claims(owner, [], LATER_MS + 60_000) == 0
    dead_at_ms = NOON_MS + 2 * LEASE_MS
    await world.ledger.heartbeat(other, dead_at_ms)
    assert await world.ledger.release_claims(other, LEASE_MS, dead_at_ms, 10) == 0
    due_ms = books.postpone(late).next_attempt_at_ms
    until_ms = due_ms - 1
    assert await ahead(world, other, operator, until_ms, due_ms) == {f"win-{late.round_id}"}, "as what is unclaimed"


async def test_what_the_dead_had_claimed_is_due_again(world, owner, other):
    operator = await world.add_operator()
    for name in range(3):
        await won(world, owner, operator, name)
    assert len(await claim(world, owner, operator)) == 3
    await world.ledger.heartbeat(owner, LATER_MS)
    dead_at_ms = LATER_MS + LEASE_MS
    await world.ledger.heartbeat(other, dead_at_ms)
    assert await world.ledger.release_claims(other, LEASE_MS, dead_at_ms - 1, 10) == 0, "its claimer still lives"
    assert await world.ledger.release_claims(other, LEASE_MS, dead_at_ms, 2) == 2
    assert await world.ledger.release_claims(other, LEASE_MS, dead_at_ms, 2) == 1
    assert len(await claim(world, other, operator, now_ms=dead_at_ms)) == 3
    assert await world.ledger.release_claims(other, LEASE_MS, dead_at_ms, 10) == 0, "nobody releases its own"


async def test_a_restarted_node_releases_what_it_had_claimed(world, owner):
    operator = await world.add_operator()
    await won(world, owner, operator)
    await claim(world, owner, operator)
    reborn = await world.ledger.register_node(owner.node, LATER_MS + 1)
    assert await world.ledger.release_claims(reborn, LEASE_MS, LATER_MS + 1, 10) == 1
    assert len(await claim(world, reborn, operator, now_ms=LATER_MS + 1)) == 1


async def test_of_many_claimers_at_once_each_call_has_one(world, owner):
    operator = await world.add_operator()
    wins = {(await won(world, owner, operator, name))[1].operator_tx_id for name in range(60)}
    nodes = [await world.ledger.register_node(f"claimer-{number}", LATER_MS) for number in range(4)]
    taken = []

    async def take(node):
        while batch := await claim(world, node, operator, quota=3):
            taken.extend(call.operator_tx_id for call in batch)

    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(take, node)
    # A claimer leaves what another is just changing to the next claim.
    taken += [call.operator_tx_id for call in await claim(world, owner, operator, quota=60)]
    assert sorted(taken) == sorted(wins)


async def test_of_many_that_release_at_once_none_takes_a_living_nodes_claim(world, owner):
    operator = await world.add_operator()
    for name in range(40):
        await won(world, owner, operator, name)
    await claim(world, owner, operator, quota=40)
    now_ms = LATER_MS + LEASE_MS
    nodes = [await world.ledger.register_node(f"claimer-{number}", now_ms) for number in range(4)]
    released = []
    taken = []

    async def sweep(node):
        while count := await world.ledger.release_claims(node, LEASE_MS, now_ms, 2):
            released.append(count)
            taken.extend(call.operator_tx_id for call in await claim(world, node, operator, now_ms=now_ms))

    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(sweep, node)
    taken += [call.operator_tx_id for call in await claim(world, owner, operator, quota=40, now_ms=now_ms)]
    assert (sum(released), len(taken), len(set(taken))) == (40, 40, 40)


async def test_a_node_gives_up_its_own_claims_but_for_what_it_sends(world, owner, other):
    operator = await world.add_operator()
    for name in range(3):
        await won(world, owner, operator, name)
    mine = await claim(world, owner, operator, quota=2)
    (others,) = await claim(world, other, operator)
    assert await world.ledger.give_up_claims(owner, [mine[0].operator_tx_id], LATER_MS + 1) == 1
    again = await claim(world, owner, operator, now_ms=LATER_MS + 1)
    assert [call.operator_tx_id for call in again] == [mine[1].operator_tx_id]
    assert others.operator_tx_id not in {call.operator_tx_id for call in mine + again}
    assert await world.ledger.give_up_claims(other, [others.operator_tx_id], LATER_MS + 1) == 0


async def test_a_life_of_a_node_gives_up_no_claim_of_another_one(world, owner):
    operator = await world.add_operator()
    await won(world, owner, operator)
    (claimed,) = await claim(world, owner, operator)
    newer = await world.ledger.register_node(owner.node, NOON_MS)
    assert await world.ledger.give_up_claims(newer, [], LATER_MS + 1) == 0
    assert await claim(world, newer, operator, now_ms=LATER_MS + 1) == []
    assert await world.ledger.give_up_claims(owner, [], LATER_MS + 1) == 1
    assert [call.operator_tx_id for call in await claim(world, newer, operator, now_ms=LATER_MS + 1)] == [
        claimed.operator_tx_id
    ]


async def test_what_was_created_just_now_is_not_given_up(world, owner):
    """Its round has claimed it with its end, and who gives up may not know yet that it is being sent."""
    operator = await world.add_operator()
    _live, win = await won(world, owner, operator)
    await claim(world, owner, operator)
    assert await world.ledger.give_up_claims(owner, [], win.created_at_ms) == 0
    assert await world.ledger.give_up_claims(owner, [], win.created_at_ms + 1) == 1


async def test_a_backlog_is_counted_by_operator(world, owner):
    idle, owing = await world.add_operator(), await world.add_operator()
    await world.fly(owner, await world.owned(owner, "flying", operator=idle))
    assert await world.ledger.outbox_counts() == []
    _, late = await won(world, owner, owing, "late", 900)
    _, early = await won(world, owner, owing, "early", 100)
    parked, _ = await won(world, owner, owing, "parked", 50)
    await world.commit(books.postpone(parked, parked=True))
    assert await world.ledger.outbox_counts() == [
        OutboxCount(
            operator_id=owing.operator_id,
            pending=2,
            oldest_created_at_ms=min(early.created_at_ms, late.created_at_ms),
            parked=1,
        )
    ]


async def test_an_acknowledgement_without_a_balance_leaves_it_as_it_was_and_says_that_it_is_not_certain(world, owner):
    operator = await world.add_operator()
    created = await world.owned(owner, operator=operator)
    live = await world.fly(owner, created)
    await world.commit(books.cash_out(owner, live))
    assert await world.commit(books.acknowledge(live, balance_minor=None)) == Applied()
    session = (await books.opened(world.ledger, created, owner, nonce=2)).session
    assert (session.balance_minor, session.balance_is_known) == (9_900, False)
    assert await claim(world, owner, operator) == []
    assert await world.commit(books.acknowledge(live, balance_minor=10_000)) == Applied(), "a repeated fact is no news"
    second = await world.fly(owner, created, 2)
    session = (await books.opened(world.ledger, created, owner, nonce=2)).session
    assert (session.balance_minor, session.balance_is_known) == (9_900, True), "a bet's answer always has one"
    await world.commit(books.cash_out(owner, second))
    await world.commit(books.acknowledge(second, balance_minor=9_999))
    session = (await books.opened(world.ledger, created, owner, nonce=3)).session
    assert (session.balance_minor, session.balance_is_known) == (9_999, True)


async def put_off(world, owner, operator, name, **changes):
    """A win that has failed and is due again five seconds after its round was made."""
    live, _win = await won(world, owner, operator, name)
    postponed = books.postpone(live, owner=owner)
    await world.commit(replace(postponed, **changes))
    return postponed


async def ahead(world, owner, operator, now_ms, until_ms):
    quotas = {operator.operator_id: 10}
    claimed = await world.ledger.claim_calls(owner, quotas, now_ms, CLAIM_MS, {operator.operator_id: until_ms})
    return {call.operator_tx_id for call in claimed}


async def test_what_was_put_off_is_claimed_ahead_of_its_time_if_it_is_told_so_and_not_held_back(world, owner, other):
    operator, stranger = await world.add_operator(), await world.add_operator()
    late = await put_off(world, owner, operator, "late")
    due_ms = late.next_attempt_at_ms
    held = await put_off(world, owner, operator, "held", not_before_ms=due_ms)
    much_later = await put_off(world, owner, operator, "later", next_attempt_at_ms=due_ms + 60_000)
    await put_off(world, owner, stranger, "theirs")
    assert await ahead(world, owner, operator, due_ms - 1_000, due_ms - 1) == set()
    assert await claim(world, owner, operator, stranger, now_ms=due_ms - 1) == []
    assert await ahead(world, owner, operator, due_ms - 1_000, due_ms) == {late.operator_tx_id}
    assert await ahead(world, other, operator, due_ms - 1_000, due_ms + CLAIM_MS) == set(), "claimed is claimed"
    assert await ahead(world, owner, operator, due_ms, due_ms) == {held.operator_tx_id}
    assert await ahead(world, owner, operator, due_ms, due_ms + 60_000) == {much_later.operator_tx_id}


async def test_a_hurry_that_is_over_keeps_nothing_that_is_due(world, owner):
    operator = await world.add_operator()
    late = await put_off(world, owner, operator, "late")
    due_ms = late.next_attempt_at_ms
    assert await ahead(world, owner, operator, due_ms - 1, due_ms - 2) == set()
    assert await ahead(world, owner, operator, due_ms, due_ms - 2) == {late.operator_tx_id}


async def test_since_when_a_call_is_refused_is_kept_until_it_is_not(world, owner):
    operator = await world.add_operator()
    refused = await put_off(world, owner, operator, "refused", refused_since_ms=NOON_MS + 700)
    (count,) = await world.ledger.outbox_counts()
    assert (count.pending, count.refused) == (1, 1)
    (claimed,) = await claim(world, owner, operator)
    assert claimed.refused_since_ms == NOON_MS + 700
    await world.commit(replace(refused, refused_since_ms=None))
    (count,) = await world.ledger.outbox_counts()
    assert (count.pending, count.refused) == (1, 0)
    (claimed,) = await claim(world, owner, operator)
    assert claimed.refused_since_ms is None


async def test_what_is_parked_is_not_counted_among_the_refused_that_wait(world, owner):
    operator = await world.add_operator()
    await put_off(world, owner, operator, "given up", refused_since_ms=NOON_MS, parked=True)
    await put_off(world, owner, operator, "refused", refused_since_ms=NOON_MS)
    (count,) = await world.ledger.outbox_counts()
    assert (count.pending, count.parked, count.refused) == (1, 1, 1)


async def test_a_living_life_keeps_its_claims_when_those_of_the_one_before_are_released(world, owner, other):
    operator = await world.add_operator()
    await won(world, owner, operator, "before")
    assert len(await claim(world, owner, operator)) == 1
    reborn = await world.ledger.register_node(owner.node, LATER_MS)
    await won(world, reborn, operator, "after")
    (kept,) = await claim(world, reborn, operator, now_ms=LATER_MS)
    assert await world.ledger.release_claims(other, LEASE_MS, LATER_MS + 1, 10) == 1
    (released,) = await claim(world, other, operator, now_ms=LATER_MS + 1)
    assert released.operator_tx_id != kept.operator_tx_id
