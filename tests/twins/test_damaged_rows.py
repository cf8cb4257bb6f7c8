"""One bad row is one bad row: whatever is read in batches goes on without it. On the twin as on PostgreSQL."""

import pytest

from actors.facts.records import CallStatus, RoundStatus
from tests.helpers import books
from tests.helpers.books import NOON_MS

LATER_MS = NOON_MS + 10 * books.HOUR_MS


@pytest.fixture(autouse=True)
def _told(caplog):
    """What is put aside is an error in the log, which is another test's."""
    yield
    caplog.clear()


@pytest.mark.logs_errors("a row is put aside", sometimes=True)
async def test_a_damaged_round_leaves_no_other_one_flying(world, owner):
    """It was the first of the batch, and nobody's rounds were ended any more."""
    operator = await world.add_operator()
    rounds = [await world.fly(owner, await world.owned(owner, name, operator=operator)) for name in range(4)]
    first = min(rounds, key=lambda live: (live.created_at_ms, live.round_id))
    await world.damage("rounds", first.round_id)
    other = await world.ledger.register_node("node-b", LATER_MS)
    for limit in (2, 10):
        taken = await world.ledger.take_orphans(other, books.LEASE_MS, LATER_MS, limit)
        assert first.round_id not in {live.round_id for live in taken}
    assert {live.round_id for live in taken} == {live.round_id for live in rounds} - {first.round_id}
    for live in taken:
        await world.commit(books.refund(other, live))
    assert await world.ledger.take_orphans(other, books.LEASE_MS, LATER_MS, 10) == []
    assert await world.ledger.live_round(first.operator_id, first.round_id) is None
    assert await world.ledger.finished_round(first.operator_id, first.round_id) is None


@pytest.mark.logs_errors("a row is put aside", sometimes=True)
async def test_a_damaged_call_is_parked_and_the_others_are_sent(world, owner):
    """Also the next one of its own session, which it would be before."""
    operator = await world.add_operator()
    owed = []
    for name in range(3):
        live = await world.fly(owner, await world.owned(owner, name, operator=operator))
        await world.commit(books.cash_out(owner, live))
        owed.append(live)
    bad = owed[0]
    await world.damage("transactions", f"win-{bad.round_id}")
    quotas = {operator.operator_id: 10}
    assert await world.ledger.outbox_of(bad.operator_id, bad.session_id) == []
    calls = await world.ledger.claim_calls(owner, quotas, LATER_MS, 1_000)
    assert {call.round_id for call in calls} == {live.round_id for live in owed[1:]}
    states = await world.call_states(bad)
    assert states["win"] == (CallStatus.PARKED, 0, "not sent: it is not a call that we wrote")
    assert len(await world.ledger.claim_calls(owner, quotas, LATER_MS + 2_000, 1_000)) == 2


@pytest.mark.logs_errors("a row is put aside", sometimes=True)
async def test_a_damaged_session_opens_for_nobody(world, owner):
    operator = await world.add_operator()
    bad, good = [await world.launched(name, operator=operator) for name in ("bad", "good")]
    await world.damage("sessions", bad.session_id)
    seed = books.seed(good.session_id, 1)
    assert await world.ledger.open_session(bad.token_digest, owner, books.LEASE_MS, NOON_MS, seed) is None
    opened = await world.ledger.open_session(good.token_digest, owner, books.LEASE_MS, NOON_MS, seed)
    assert opened is not None


@pytest.mark.logs_errors("a row is put aside", sometimes=True)
async def test_a_session_with_a_damaged_flight_is_not_played_on(world, owner):
    created = await world.owned(owner)
    live = await world.fly(owner, created)
    await world.damage("rounds", live.round_id)
    seed = books.seed(created.session_id, 2)
    assert await world.ledger.open_session(created.token_digest, owner, books.LEASE_MS, NOON_MS, seed) is None


@pytest.mark.logs_errors("a row is put aside", sometimes=True)
async def test_a_damaged_round_is_left_out_of_the_history(world, owner):
    created = await world.owned(owner)
    rounds = [await world.fly(owner, created, 1)]
    await world.commit(books.crash(owner, rounds[0]))
    rounds.append(await world.fly(owner, created, 2))
    await world.commit(books.crash(owner, rounds[1]))
    await world.damage("rounds", rounds[0].round_id)
    past, has_more = await world.ledger.history(created.operator_id, created.operator_player_id, None, 10)
    assert [(each.round_id, each.status) for each in past] == [(rounds[1].round_id, RoundStatus.SETTLED)]
    assert not has_more
