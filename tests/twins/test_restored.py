"""`getaway restored` with an operator's list: what the operator has booked is never sent again as something else."""

import pytest

from actors.facts.records import CallStatus, RoundStatus
from actors.rules.settlement import Result
from server.books.restoring import BookedCall
from tests.helpers import books
from tests.helpers.books import LEASE_MS, NOON_MS

LATER_MS = NOON_MS + 60_000


def booked(live, kind, amount_minor=None, currency="USD"):
    amount_minor = live.amount_minor if amount_minor is None else amount_minor
    ids = str(live.session_id), live.operator_player_id
    return BookedCall(1, f"{kind}-{live.round_id}", kind, amount_minor, currency, *ids)


async def restore(world, live, *rows):
    await world.set_clock(LATER_MS)
    return await world.restore(live.operator_id, [booked(live, "bet"), *rows], NOON_MS)


async def claimed(world, owner, live):
    return await world.ledger.claim_calls(owner, {live.operator_id: 10}, LATER_MS, 20_000)


@pytest.fixture(params=["betting", "flying"])
async def live(request, world, owner):
    created = await world.owned(owner)
    return await (world.bet if request.param == "betting" else world.fly)(owner, created)


async def is_over(world, owner, other, live, status):
    """The round has this end, its calls are not sent, and its player may bet again."""
    finished = await world.ledger.finished_round(live.operator_id, live.round_id)
    assert finished.status is status
    assert await claimed(world, owner, live) == []
    assert await world.ledger.take_orphans(other, LEASE_MS, LATER_MS, 10) == []
    return finished


async def test_a_live_round_whose_win_is_booked_ends_with_that_win(world, owner, other, live):
    key = live.operator_id, live.session_id
    balance_minor = await world.ledger.balance_minor(*key)
    found, not_done = await restore(world, live, booked(live, "win", 137))
    assert (len(found.ends), found.unknown, not_done) == (1, (), [])
    finished = await is_over(world, owner, other, live, RoundStatus.SETTLED)
    assert (finished.result, finished.realized_hundredths, finished.payout_minor) == (Result.CASHOUT, 137, 137)
    states = await world.call_states(live)
    assert states["bet"][0] is states["win"][0] is CallStatus.ACKNOWLEDGED
    assert states.keys() == {"bet", "win"}
    assert {attempts for _, attempts, _ in states.values()} == {1}, "the lost history has sent both"
    assert await world.ledger.balance_minor(*key) == balance_minor, "what the wallet has now nobody knows"
    started_at_ms = live.created_at_ms if live.started_at_ms is None else live.started_at_ms
    assert finished.started_at_ms == started_at_ms, "when a bet of no known answer was taken nobody knows"


async def test_a_live_round_whose_refund_is_booked_is_over_without_another(world, owner, other, live):
    found, not_done = await restore(world, live, booked(live, "refund"))
    assert (len(found.ends), found.unknown, not_done) == (1, (), [])
    status = RoundStatus.REFUNDED if live.status is RoundStatus.FLYING else RoundStatus.VOID
    await is_over(world, owner, other, live, status)
    assert (await world.call_states(live))["refund"][0] is CallStatus.ACKNOWLEDGED


@pytest.mark.parametrize(
    "rows",
    [
        lambda live: [booked(live, "win", 1_000_000)],
        lambda live: [booked(live, "win", 100)],
        lambda live: [booked(live, "win", 137, "EUR")],
        lambda live: [booked(live, "win", 137), booked(live, "refund")],
        lambda live: [booked(live, "refund", 99)],
        lambda live: [booked(live, "refund", currency="EUR")],
    ],
    ids=["too much", "no gain", "other currency", "win and refund", "part of the stake", "refund in another currency"],
)
async def test_what_the_round_can_not_have_paid_is_left_to_a_person_and_nothing_is_sent(
    world, owner, other, live, rows
):
    found, not_done = await restore(world, live, *rows(live))
    assert [end.problem is not None for end in found.ends] == [True] and not_done == []
    status = RoundStatus.REFUNDED if live.status is RoundStatus.FLYING else RoundStatus.VOID
    await is_over(world, owner, other, live, status)
    state, _attempts, last_error = (await world.call_states(live))["refund"]
    assert state is CallStatus.PARKED and "the operator has booked" in last_error


async def test_a_live_round_without_a_booked_end_is_left_to_the_nodes(world, owner, live):
    assert (await restore(world, live))[0].ends == ()
    assert await world.ledger.live_round(live.operator_id, live.round_id) == live


async def test_the_second_run_finds_nothing_to_do(world, live):
    win = booked(live, "win", 137)
    await restore(world, live, win)
    found, not_done = await restore(world, live, win)
    assert (found.ends, found.contradicted, found.unknown, not_done) == ((), (), (), [])


async def test_a_pending_refund_is_parked_if_the_win_is_booked(world, owner, other):
    live = await world.fly(owner, await world.owned(owner))
    await world.commit(books.refund(owner, live))
    found, not_done = await restore(world, live, booked(live, "win", 137))
    assert (len(found.contradicted), len(found.unknown), not_done) == (1, 1, [])
    await is_over(world, owner, other, live, RoundStatus.REFUNDED)
    assert (await world.call_states(live))["refund"][0] is CallStatus.PARKED
    found, not_done = await restore(world, live, booked(live, "win", 137))
    assert (found.contradicted, not_done) == ((), []), "what is parked is seen to: the next history may begin"


@pytest.mark.parametrize("kind", ["win", "refund"])
async def test_a_pending_win_is_parked_if_something_else_is_booked(world, owner, other, kind):
    live = await world.fly(owner, await world.owned(owner))
    await world.commit(books.cash_out(owner, live))
    found, not_done = await restore(world, live, booked(live, kind, 140 if kind == "win" else 100))
    assert (len(found.contradicted), not_done) == (1, [])
    await is_over(world, owner, other, live, RoundStatus.SETTLED)
    assert (await world.call_states(live))["win"][0] is CallStatus.PARKED


async def test_a_pending_win_that_is_booked_as_it_is_is_sent_all_the_same(world, owner):
    live = await world.fly(owner, await world.owned(owner))
    await world.commit(books.cash_out(owner, live))
    found, _ = await restore(world, live, booked(live, "win", 150))
    assert (found.contradicted, found.unknown) == ((), ())
    assert [call.amount_minor for call in await claimed(world, owner, live)] == [150]


async def test_what_is_being_sent_is_not_parked_and_is_told(world, owner):
    live = await world.fly(owner, await world.owned(owner))
    await world.commit(books.refund(owner, live))
    await claimed(world, owner, live)
    _, not_done = await restore(world, live, booked(live, "win", 137))
    assert [tx_id for tx_id, _ in not_done] == [f"refund-{live.round_id}"]
    assert (await world.call_states(live))["refund"][0] is CallStatus.PENDING


async def test_who_flies_it_on_does_not_end_it_after_that(world, owner, live):
    await restore(world, live, booked(live, "win", 137))
    late = books.void(owner, live) if live.status is RoundStatus.BETTING else books.crash(owner, live)
    await world.commit(late)
    finished = await world.ledger.finished_round(live.operator_id, live.round_id)
    assert finished.payout_minor == 137


async def test_a_live_round_that_does_not_open_is_named_and_left(world, live):
    await world.damage("rounds", live.round_id)
    found, _ = await restore(world, live, booked(live, "win", 137))
    assert found.ends == ()
    assert "does not open" in found.unknown[-1].why
