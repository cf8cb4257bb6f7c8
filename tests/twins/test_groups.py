"""Groups: many transitions in one commit, each judged by itself, in order."""

from dataclasses import replace

import pytest
import trio

from actors.facts.records import CallKind, CallStatus
from actors.facts.transitions import Applied, Launched, Rejected, Started
from tests.helpers import books
from tests.helpers.books import LEASE_MS, NOON_MS


async def test_an_empty_group_has_no_answers(world):
    assert await world.ledger.commit([]) == []


async def test_a_group_of_all_kinds_answers_in_order(world, owner):
    operator = await world.add_operator()
    names = ("bet", "start", "crash", "win", "void", "refund", "acknowledge", "postpone", "seed")
    sessions = {name: await world.owned(owner, name, operator=operator) for name in names}
    betting = {name: await world.bet(owner, sessions[name]) for name in ("start", "void")}
    flying = {
        name: await world.fly(owner, sessions[name]) for name in ("crash", "win", "refund", "acknowledge", "postpone")
    }
    for name in ("acknowledge", "postpone"):
        await world.commit(books.cash_out(owner, flying[name]))
    created = books.new_session(operator, "new")
    group = {
        "void": books.void(owner, betting["void"]),
        "acknowledge": books.acknowledge(flying["acknowledge"]),
        "crash": books.crash(owner, flying["crash"]),
        "new": created,
        "seed": books.change_client_seed(owner, sessions["seed"], "changed"),
        "start": books.start(owner, betting["start"]),
        "nobody's": books.crash(owner, books.new_round(books.new_session(operator, "unknown"))),
        "win": books.cash_out(owner, flying["win"]),
        "postpone": books.postpone(flying["postpone"]),
        "bet": books.place(owner, books.new_round(sessions["bet"])),
        "refund": books.refund(owner, flying["refund"]),
    }
    answers = dict(zip(group, await world.ledger.commit(list(group.values())), strict=True))
    expected = dict.fromkeys(group, Applied()) | {
        "nobody's": Rejected(),
        "start": Started(betting["start"].created_at_ms + 10),
        "new": Launched(created.session_id, created.expires_at_ms, created.sealed_token, replayed=False),
    }
    assert answers == expected
    assert await world.ledger.commit(list(group.values())) == list(answers.values()), "repeated, the same answers"


async def test_many_sessions_of_many_operators_share_a_commit(world, owner):
    sessions = [await world.owned(owner) for _ in range(12)]
    rounds = [books.new_round(created) for created in sessions]
    assert await world.ledger.commit([books.place(owner, live) for live in rounds]) == [Applied()] * 12
    assert await world.ledger.commit([books.start(owner, live) for live in rounds]) == [
        Started(live.created_at_ms + 10) for live in rounds
    ]
    flights = [books.flying(live) for live in rounds]
    assert await world.ledger.commit([books.cash_out(owner, live) for live in flights]) == [Applied()] * 12
    counts = {count.operator_id: count.pending for count in await world.ledger.outbox_counts()}
    assert counts == {created.operator_id: 1 for created in sessions}


async def test_a_whole_round_in_one_group_goes_in_order(world, owner):
    created = await world.owned(owner)
    live = books.new_round(created)
    flight = books.flying(live)
    second = books.new_round(created, 2)
    group = [
        books.place(owner, live),
        books.start(owner, live),
        books.cash_out(owner, flight),
        books.acknowledge(live),
        books.place(owner, second),
    ]
    answers = await world.ledger.commit(group)
    assert answers == [Applied(), Started(flight.started_at_ms), Applied(), Applied(), Applied()]
    assert (await books.opened(world.ledger, created, owner)).live_round == second


async def test_a_group_in_the_wrong_order_is_refused_where_it_is_wrong(world, owner):
    live = await world.fly(owner, await world.owned(owner))
    group = [books.acknowledge(live), books.cash_out(owner, live), books.crash(owner, live)]
    assert await world.ledger.commit(group) == [Rejected(), Applied(), Rejected()]
    assert (await world.call_states(live))["win"] == (CallStatus.PENDING, 0, None)


async def test_of_two_bets_in_one_group_the_first_wins(world, owner):
    created = await world.owned(owner)
    first = books.new_round(created)
    rival = replace(books.new_round(created), round_id=books.identifier("rival"))
    answers = await world.ledger.commit([books.place(owner, rival), books.place(owner, first)])
    assert answers == [Applied(), Rejected()]
    assert (await books.opened(world.ledger, created, owner)).live_round == rival


async def test_a_win_and_a_refund_in_one_group_the_first_wins(world, owner):
    live = await world.fly(owner, await world.owned(owner))
    answers = await world.ledger.commit([books.refund(owner, live), books.cash_out(owner, live)])
    assert answers == [Applied(), Rejected()]
    (call,) = await world.ledger.outbox_of(live.operator_id, live.session_id)
    assert call.kind is CallKind.REFUND


@pytest.mark.logs_errors(
    "a group was refused and is committed one by one", "a transition was refused by the schema", sometimes=True
)
async def test_one_that_the_schema_refuses_does_not_disturb_the_others(world, owner):
    operator = await world.add_operator()
    flights = [await world.fly(owner, await world.owned(owner, name, operator=operator)) for name in range(3)]
    settles = [books.cash_out(owner, live) for live in flights]
    settles[1] = books.changed(settles[1], payout_minor=settles[1].finished.payout_minor + 1)
    too_large = books.start(owner, flights[0], balance_minor=2**63)
    assert await world.ledger.commit(settles) == [Applied(), Rejected(), Applied()]
    assert await world.ledger.commit([too_large, books.cash_out(owner, flights[1])]) == [Rejected(), Applied()]


async def test_concurrent_rivals_have_one_winner(world, owner):
    """Every session gets many bets, then every flight many ends, all released together."""
    operator = await world.add_operator()
    sessions = [await world.owned(owner, name, operator=operator) for name in range(4)]
    answers = {created.session_id: [] for created in sessions}

    async def commit(session_ids, group):
        for session_id, answer in zip(session_ids, await world.ledger.commit(group), strict=True):
            answers[session_id].append(answer)

    async def race(groups):
        async with trio.open_nursery() as nursery:
            for number in range(6):
                # Each group has the sessions in another order: whoever locked as told would deadlock.
                order = sessions[number % 4 :] + sessions[: number % 4]
                group = [groups(number, created) for created in (order if number % 2 else order[::-1])]
                ids = [each.session_id for each in (order if number % 2 else order[::-1])]
                nursery.start_soon(commit, ids, group)

    def rival_bet(number, created):
        return books.place(owner, replace(books.new_round(created), round_id=books.identifier(created, number)))

    await race(rival_bet)
    live = {}
    for created in sessions:
        assert sorted(type(answer).__name__ for answer in answers[created.session_id]) == ["Applied"] + ["Rejected"] * 5
        live[created.session_id] = (await books.opened(world.ledger, created, owner)).live_round
        answers[created.session_id].clear()
    await world.ledger.commit([books.start(owner, each) for each in live.values()])

    def rival_end(number, created):
        flight = books.flying(live[created.session_id])
        return books.refund(owner, flight) if number == 0 else books.cash_out(owner, flight, 150 + number)

    await race(rival_end)
    for created in sessions:
        applied = [answer for answer in answers[created.session_id] if answer == Applied()]
        assert len(applied) == 1
        assert len(await world.ledger.outbox_of(created.operator_id, created.session_id)) == 1


async def test_acknowledgements_from_two_nodes_never_wait_in_a_circle(world, owner, other):
    operator = await world.add_operator()
    flights = [await world.fly(owner, await world.owned(owner, name, operator=operator)) for name in range(10)]
    await world.ledger.commit([books.cash_out(owner, live) for live in flights])
    answers = []

    async def acknowledge(group):
        answers.extend(await world.ledger.commit([books.acknowledge(live) for live in group]))

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(acknowledge, flights)
                nursery.start_soon(acknowledge, flights[::-1])
    assert answers == [Applied()] * 60
    assert await world.ledger.take_orphans(other, LEASE_MS, NOON_MS, 10) == []
