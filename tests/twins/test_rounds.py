"""The life of a round: each transition applied, repeated, and refused where it does not belong."""

from dataclasses import replace

import pytest

from actors.facts import ends
from actors.facts.records import CallKind, CallStatus, Owner, RoundStatus
from actors.facts.transitions import Applied, Rejected, Started
from actors.rules import fairness
from tests.helpers import books
from tests.helpers.books import NOON_MS

WIN_ACKNOWLEDGED = {
    "bet": (CallStatus.ACKNOWLEDGED, 1, None),
    "win": (CallStatus.ACKNOWLEDGED, 3, None),
}


BY_RULE = "refused by its rules, not by the schema, which is there for the faults of these"


async def end_of(world, live):
    finished = await world.ledger.finished_round(live.operator_id, live.round_id)
    assert (finished is None) is (await world.ledger.live_round(live.operator_id, live.round_id) is not None)
    return finished


# Placing a bet.


async def test_a_bet_is_stored_with_its_call_and_the_next_promise(world, owner):
    created = await world.owned(owner)
    live = books.new_round(created, client_seed="chosen-by-the-player", auto_cashout_hundredths=250)
    assert await world.commit(books.place(owner, live)) == Applied()
    assert await world.ledger.live_round(live.operator_id, live.round_id) == live
    assert await world.call_states(live) == {"bet": (CallStatus.PENDING, 0, None)}
    opened = await books.opened(world.ledger, created, owner, nonce=2)
    following = books.seed(created.session_id, 2)
    assert opened.session.next == books.Commitment(following, fairness.commitment(following), "chosen-by-the-player", 2)
    assert opened.live_round == live
    assert opened.outbox == ()


async def test_a_repeated_bet_is_applied_once(world, owner):
    created = await world.owned(owner)
    live = await world.bet(owner, created)
    assert await world.commit(books.place(owner, live)) == Applied()
    assert (await books.opened(world.ledger, created, owner)).session.next.nonce == 2


async def test_a_second_bet_waits_for_the_end_of_the_first(world, owner, caplog):
    created = await world.owned(owner)
    first = await world.bet(owner, created)
    second = books.new_round(created, 2)
    assert await world.commit(books.place(owner, second)) == Rejected()
    assert await world.commit(books.start(owner, first)) == Started(first.created_at_ms + 10)
    assert await world.commit(books.place(owner, second)) == Rejected()
    assert await world.commit(books.crash(owner, books.flying(first))) == Applied()
    assert await world.commit(books.place(owner, second)) == Applied()
    assert caplog.records == [], BY_RULE


@pytest.mark.parametrize("parked", [False, True])
async def test_a_bet_waits_for_a_pending_win_but_not_for_a_parked_one(world, owner, parked, caplog):
    created = await world.owned(owner)
    live = await world.fly(owner, created)
    await world.commit(books.cash_out(owner, live))
    await world.commit(books.postpone(live, attempts=4, parked=parked))
    expected = Applied() if parked else Rejected()
    assert await world.commit(books.place(owner, books.new_round(created, 2))) == expected
    assert caplog.records == [], BY_RULE


async def test_a_bet_waits_for_a_pending_refund(world, owner, caplog):
    created = await world.owned(owner)
    live = await world.bet(owner, created)
    await world.commit(books.void(owner, live, CallStatus.UNKNOWN))
    second = books.place(owner, books.new_round(created, 2))
    assert await world.commit(second) == Rejected()
    assert await world.commit(books.acknowledge(live, CallKind.REFUND)) == Applied()
    assert await world.commit(second) == Applied()
    assert caplog.records == [], BY_RULE


@pytest.mark.logs_errors("a transition was refused by the schema", sometimes=True)
@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": 2},
        {"server_seed": "ab" * 32},
        {"operator_player_id": "somebody-else"},
        {"currency": "EUR"},
        {"created_at_ms": NOON_MS + books.HOUR_MS},
        {"amount_minor": 0},
        {"auto_cashout_hundredths": 100},
        {"session_id": books.identifier("no such session")},
        {"operator_id": books.identifier("no such operator")},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_a_bet_that_is_not_the_promised_one_changes_nothing(world, owner, wrong):
    created = await world.owned(owner)
    before = await books.opened(world.ledger, created, owner)
    if wrong.get("amount_minor") == 0:
        bet = books.place(owner, books.new_round(created))
        bet = replace(bet, round=replace(bet.round, amount_minor=0), call=replace(bet.call, amount_minor=0))
    else:
        bet = books.place(owner, books.new_round(created, **wrong))
    assert await world.commit(bet) == Rejected()
    assert await world.ledger.live_round(created.operator_id, bet.round.round_id) is None
    assert await books.opened(world.ledger, created, owner) == before


async def test_the_last_millisecond_of_a_session_still_takes_a_bet(world, owner):
    created = await world.owned(owner)
    live = books.new_round(created, created_at_ms=created.expires_at_ms - 1)
    assert await world.commit(books.place(owner, live)) == Applied()


async def test_only_the_owner_places_bets(world, owner, other, caplog):
    created = await world.owned(owner)
    live = books.new_round(created)
    for stranger in (other, Owner(owner.node, owner.epoch + 100), Owner("node-c", owner.epoch)):
        assert await world.commit(books.place(stranger, live)) == Rejected()
    assert await world.commit(books.place(owner, live)) == Applied()
    assert await world.commit(books.place(other, live)) == Rejected(), "not a repetition: another owner's"
    assert caplog.records == [], BY_RULE


async def test_nobody_bets_in_a_session_that_nobody_has_opened(world, owner):
    created = await world.launched()
    assert await world.commit(books.place(owner, books.new_round(created))) == Rejected()


# Starting.


async def test_a_start_sets_the_clock_the_bet_and_the_balance(world, owner):
    created = await world.owned(owner)
    live = await world.bet(owner, created)
    start = books.start(owner, live, balance_minor=18_765, attempts=2)
    assert await world.commit(start) == Started(start.started_at_ms)
    assert await world.ledger.live_round(live.operator_id, live.round_id) == books.flying(live)
    assert await world.call_states(live) == {"bet": (CallStatus.ACKNOWLEDGED, 2, None)}
    assert (await books.opened(world.ledger, created, owner)).session.balance_minor == 18_765, (
        "more than at the launch: the player has paid in"
    )


async def test_a_repeated_start_answers_the_first_one(world, owner):
    live = await world.fly(owner, await world.owned(owner))
    again = books.start(owner, live, at_ms=live.started_at_ms + 77, balance_minor=1)
    assert await world.commit(again) == Started(live.started_at_ms)
    assert await world.ledger.live_round(live.operator_id, live.round_id) == live


@pytest.mark.logs_errors("a transition was refused by the schema", sometimes=True)
async def test_a_start_is_refused_without_a_bet_and_after_the_end(world, owner, other):
    created = await world.owned(owner)
    live = books.new_round(created)
    assert await world.commit(books.start(owner, live)) == Rejected()
    await world.commit(books.place(owner, live))
    assert await world.commit(books.start(other, live)) == Rejected()
    assert await world.commit(books.start(owner, live, balance_minor=-1)) == Rejected()
    assert await world.commit(books.void(owner, live)) == Applied()
    assert await world.commit(books.start(owner, live)) == Rejected()
    assert await world.commit(books.place(owner, live)) == Rejected(), "the bet is over, it is not repeated"


# The ends.


async def test_a_cash_out_owes_a_win_until_it_is_acknowledged(world, owner):
    created = await world.owned(owner)
    live = await world.fly(owner, created)
    settle = books.cash_out(owner, live, 175)
    assert await world.commit(settle) == Applied()
    assert await world.ledger.outbox_of(live.operator_id, live.session_id) == [settle.call]
    assert (await books.opened(world.ledger, created, owner)).outbox == (settle.call,)
    assert await world.commit(books.acknowledge(live, attempts=3, balance_minor=10_075)) == Applied()
    assert await world.ledger.outbox_of(live.operator_id, live.session_id) == []
    assert await world.call_states(live) == WIN_ACKNOWLEDGED
    opened = await books.opened(world.ledger, created, owner)
    assert (opened.session.balance_minor, opened.live_round) == (10_075, None)
    finished = await end_of(world, live)
    assert (
        finished
        == ends.settled(
            live, owner, books.Settlement(settle.finished.result, 175, 175), settle.finished.settled_at_ms
        ).finished
    )


async def test_a_crash_owes_nothing(world, owner):
    live = await world.fly(owner, await world.owned(owner))
    settle = books.crash(owner, live)
    assert await world.commit(settle) == Applied()
    assert await world.ledger.outbox_of(live.operator_id, live.session_id) == []
    assert list(await world.call_states(live)) == ["bet"]
    finished = await end_of(world, live)
    assert (finished.status, finished.payout_minor, finished.server_seed) == (
        RoundStatus.SETTLED,
        0,
        live.commitment.server_seed,
    )


@pytest.mark.parametrize("status", [CallStatus.DECLINED, CallStatus.UNKNOWN])
async def test_a_void_round_gives_back_what_may_have_been_taken(world, owner, status):
    live = await world.bet(owner, await world.owned(owner))
    end = books.void(owner, live, status)
    assert await world.commit(end) == Applied()
    owed = [end.call] if status is CallStatus.UNKNOWN else []
    assert await world.ledger.outbox_of(live.operator_id, live.session_id) == owed
    assert (await world.call_states(live))["bet"] == (status, 1, "as told")
    finished = await end_of(world, live)
    assert (finished.status, finished.reason, finished.started_at_ms) == (RoundStatus.VOID, "declined", None)


async def test_a_refunded_round_gives_the_stake_back(world, owner):
    live = await world.fly(owner, await world.owned(owner))
    end = books.refund(owner, live)
    assert await world.commit(end) == Applied()
    assert await world.ledger.outbox_of(live.operator_id, live.session_id) == [end.call]
    assert end.call.amount_minor == live.amount_minor
    assert (await end_of(world, live)).status is RoundStatus.REFUNDED


ENDS = {
    "cash out": books.cash_out,
    "crash": books.crash,
    "refund": books.refund,
    "another cash out": lambda owner, live: books.cash_out(owner, live, 151),
}


@pytest.mark.parametrize("first", ENDS)
async def test_a_flight_ends_once_and_in_one_way(world, owner, first, caplog):
    live = await world.fly(owner, await world.owned(owner))
    end = ENDS[first](owner, live)
    assert await world.commit(end) == Applied()
    before = (await end_of(world, live), await world.call_states(live))
    assert await world.commit(end) == Applied(), "a repeated end answers as it did"
    assert await world.commit(books.changed(end, settled_at_ms=end.finished.settled_at_ms + 9)) == Applied(), (
        "whenever it was decided"
    )
    for name, other_end in ENDS.items():
        if name != first:
            assert await world.commit(other_end(owner, live)) == Rejected()
    assert await world.commit(books.void(owner, live)) == Rejected()
    assert await world.commit(books.start(owner, live)) == Rejected()
    assert (await end_of(world, live), await world.call_states(live)) == before
    assert caplog.records == [], BY_RULE


async def test_a_void_round_stays_void(world, owner, caplog):
    live = await world.bet(owner, await world.owned(owner))
    end = books.void(owner, live)
    assert await world.commit(end) == Applied()
    assert await world.commit(end) == Applied()
    flown = books.flying(live)
    rivals = (books.void(owner, live, CallStatus.UNKNOWN), books.cash_out(owner, flown), books.refund(owner, flown))
    for rival in (
        *rivals,
        books.changed(end, reason="another"),
        books.changed(books.refund(owner, flown), reason=end.finished.reason),
    ):
        assert await world.commit(rival) == Rejected()
    assert list(await world.call_states(live)) == ["bet"]
    assert caplog.records == [], BY_RULE


async def test_an_end_needs_the_right_beginning_and_the_owner(world, owner, other, caplog):
    created = await world.owned(owner)
    live = books.new_round(created)
    flown = books.flying(live)
    flights = (books.cash_out, books.crash, books.refund)
    for end in (*flights, books.void):
        assert await world.commit(end(owner, flown)) == Rejected(), "no such round"
    await world.commit(books.place(owner, live))
    for end in flights:
        assert await world.commit(end(owner, flown)) == Rejected(), "it does not fly yet"
    assert await world.commit(books.void(other, live)) == Rejected()
    await world.commit(books.start(owner, live))
    assert await world.commit(books.void(owner, live)) == Rejected(), "it flies"
    for end in flights:
        assert await world.commit(end(other, flown)) == Rejected()
        assert await world.commit(replace(end(owner, flown), operator_id=books.identifier("another"))) == Rejected()
    assert await world.ledger.live_round(live.operator_id, live.round_id) == flown
    assert caplog.records == [], BY_RULE


def _with_win(settle, **changes):
    return replace(settle, call=replace(settle.call, **changes))


REFUSED_ENDS = {
    "more than the multiplier pays": lambda end: books.changed(end, payout_minor=151),
    "above the crash point": lambda end: books.changed(
        end, outcome=replace(end.finished.outcome, crash_hundredths=149)
    ),
    "below the lowest cash-out": lambda end: books.changed(
        _with_win(end, amount_minor=100), realized_hundredths=100, payout_minor=100
    ),
    "no win": lambda end: replace(end, call=None),
    "a win of another amount": lambda end: _with_win(end, amount_minor=149),
    "a refund instead": lambda end: _with_win(end, kind=CallKind.REFUND, operator_tx_id=f"refund-{end.round_id}"),
    "another position": lambda end: _with_win(end, position=2),
    "another seed": lambda end: books.changed(end, server_seed="ab" * 32),
}


@pytest.mark.logs_errors("a transition was refused by the schema", sometimes=True)
@pytest.mark.parametrize("defect", REFUSED_ENDS)
async def test_an_end_that_does_not_add_up_is_refused_and_the_round_goes_on(world, owner, defect):
    live = await world.fly(owner, await world.owned(owner))
    settle = books.cash_out(owner, live)
    assert await world.commit(REFUSED_ENDS[defect](settle)) == Rejected()
    assert await world.ledger.live_round(live.operator_id, live.round_id) == live
    assert await world.ledger.outbox_of(live.operator_id, live.session_id) == []
    assert await world.commit(settle) == Applied()


@pytest.mark.logs_errors("a transition was refused by the schema", sometimes=True)
async def test_a_payout_above_the_largest_is_refused(world, owner):
    live = await world.fly(owner, await world.owned(owner), terms={"max_payout_minor": 149})
    assert await world.commit(books.cash_out(owner, live, 150)) == Rejected()
    assert await world.commit(books.cash_out(owner, live, 149)) == Applied()


@pytest.mark.logs_errors("a transition was refused by the schema", sometimes=True)
async def test_a_void_round_with_a_declined_bet_gives_nothing_back(world, owner):
    live = await world.bet(owner, await world.owned(owner))
    unknown = books.void(owner, live, CallStatus.UNKNOWN)
    assert await world.commit(replace(unknown, bet=replace(unknown.bet, status=CallStatus.DECLINED))) == Rejected()
    assert await world.commit(replace(unknown, call=None)) == Rejected()
    assert await world.commit(unknown) == Applied()
