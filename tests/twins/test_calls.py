"""Wins and refunds: pending until they are acknowledged or parked, in the order of their rounds."""

from dataclasses import replace

import pytest

from actors.facts.records import CallKind, CallStatus
from actors.facts.transitions import Applied, Rejected
from tests.helpers import books


async def won(world, owner, name=1, nonce=1, created=None, **changes):
    created = created or await world.owned(owner, name)
    live = await world.fly(owner, created, nonce, **changes)
    settle = books.cash_out(owner, live)
    await world.commit(settle)
    return live, settle.call


async def test_an_acknowledgement_is_no_owners_business_and_may_be_repeated(world, owner):
    live, _ = await won(world, owner)
    fact = books.acknowledge(live, attempts=2, balance_minor=10_050)
    assert await world.commit(fact) == Applied()
    assert await world.commit(replace(fact, attempts=9, balance_minor=1)) == Applied()
    assert (await world.call_states(live))["win"] == (CallStatus.ACKNOWLEDGED, 2, None)


async def test_a_repeated_acknowledgement_does_not_bring_an_old_balance_back(world, owner):
    created = await world.owned(owner)
    live, _ = await won(world, owner, created=created)
    fact = books.acknowledge(live, balance_minor=10_050)
    await world.commit(fact)
    await world.fly(owner, created, 2)
    await world.commit(fact)
    assert (await books.opened(world.ledger, created, owner)).session.balance_minor == 9_900


async def test_a_postponed_call_stays_pending_with_its_next_time(world, owner):
    live, win = await won(world, owner)
    fact = books.postpone(live, attempts=2)
    for _ in range(2):
        assert await world.commit(fact) == Applied()
    assert await world.ledger.outbox_of(live.operator_id, live.session_id) == [
        replace(win, attempts=2, next_attempt_at_ms=fact.next_attempt_at_ms)
    ]
    assert (await world.call_states(live))["win"] == (CallStatus.PENDING, 2, "connection lost")
    assert await world.commit(books.acknowledge(live, attempts=3)) == Applied()
    assert (await world.call_states(live))["win"] == (CallStatus.ACKNOWLEDGED, 3, None), "no error is left behind"


async def test_a_parked_call_is_out_of_the_queue_until_an_answer_to_it_is_known(world, owner):
    live, _ = await won(world, owner)
    fact = books.postpone(live, attempts=9, parked=True)
    for _ in range(2):
        assert await world.commit(fact) == Applied()
    assert await world.ledger.outbox_of(live.operator_id, live.session_id) == []
    assert await world.commit(books.postpone(live)) == Rejected()
    assert (await world.call_states(live))["win"] == (CallStatus.PARKED, 9, "connection lost")
    assert await world.commit(books.acknowledge(live, attempts=10)) == Applied(), "a late answer is an answer"
    assert (await world.call_states(live))["win"] == (CallStatus.ACKNOWLEDGED, 10, None)


async def test_nothing_is_postponed_after_its_acknowledgement(world, owner):
    live, _ = await won(world, owner)
    await world.commit(books.acknowledge(live))
    assert await world.commit(books.postpone(live)) == Rejected()
    assert await world.commit(books.postpone(live, parked=True)) == Rejected()
    assert (await world.call_states(live))["win"] == (CallStatus.ACKNOWLEDGED, 1, None)


@pytest.mark.parametrize("name", ["operator_id", "session_id", "operator_tx_id"])
async def test_a_fact_about_another_call_changes_nothing(world, owner, name):
    created = await world.owned(owner)
    live, win = await won(world, owner, created=created)
    wrong = {name: "win-of-nobody" if name == "operator_tx_id" else books.identifier("another")}
    assert await world.commit(replace(books.acknowledge(live), **wrong)) == Rejected()
    assert await world.commit(replace(books.postpone(live), **wrong)) == Rejected()
    assert await world.ledger.outbox_of(live.operator_id, live.session_id) == [win]


async def test_a_bet_is_not_acknowledged_as_a_call_of_the_queue(world, owner):
    created = await world.owned(owner)
    live = await world.bet(owner, created)
    assert await world.commit(books.acknowledge(live, CallKind.BET)) == Rejected()
    assert await world.commit(books.postpone(live, CallKind.BET)) == Rejected()
    await world.commit(books.start(owner, live))
    assert await world.commit(books.acknowledge(live, CallKind.BET)) == Rejected()
    assert await world.call_states(live) == {"bet": (CallStatus.ACKNOWLEDGED, 1, None)}


@pytest.mark.logs_errors("a transition was refused by the schema", sometimes=True)
async def test_a_negative_balance_is_refused(world, owner):
    live, win = await won(world, owner)
    assert await world.commit(books.acknowledge(live, balance_minor=-1)) == Rejected()
    assert await world.ledger.outbox_of(live.operator_id, live.session_id) == [win]


async def test_the_calls_of_a_session_are_in_the_order_of_its_rounds(world, owner):
    created = await world.owned(owner)
    first, _ = await won(world, owner, created=created)
    # Parked and taken up again by a person is the only way to two pending calls: the order must hold all the same.
    await world.commit(books.postpone(first, parked=True))
    second, win = await won(world, owner, nonce=2, created=created)
    assert await world.ledger.outbox_of(created.operator_id, created.session_id) == [win]
    assert win.position == 5
    assert await world.ledger.outbox_of(books.identifier("another"), created.session_id) == []
    assert second.commitment.nonce == 2
