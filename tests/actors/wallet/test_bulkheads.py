"""What a bulkhead remembers of the calls to one operator: places, its breaker, and who may go before whom."""

from dataclasses import replace
from uuid import uuid4

import pytest

from actors.facts.records import CallKind
from actors.kit.clock import ServerClock
from actors.ports.wallet import Acknowledged, Declined, NotSent, Unclear
from actors.shared.game_settings import GameSettings
from actors.wallet.bulkheads import Bulkhead, Bulkheads
from tests.helpers.game import LIMITS, NOON_MS, OPERATOR_ID, CountingObserver
from tests.helpers.wallet_calls import call

QUOTA = 10
PLACES = 3
FAILURES = 2
LOST = Unclear("lost")
UNREACHABLE = NotSent("no connection", is_unreachable=True)
SETTINGS = GameSettings(
    bet_limits={"USD": LIMITS}, operator_deliveries_max=PLACES, breaker_failures_max=FAILURES, breaker_open_first_ms=0
)


class StandingClock:
    """Shows what it is told."""

    def __init__(self) -> None:
        self.ms = NOON_MS

    def now_ms(self) -> int:
        return self.ms

    steady_ms = now_ms


@pytest.fixture
def clock():
    return StandingClock()


@pytest.fixture
def told():
    """The operators that are said to answer again."""
    return []


@pytest.fixture
def bulkhead(clock, told):
    return Bulkhead(OPERATOR_ID, SETTINGS, clock, CountingObserver(), told.append)


def claimed(until_ms: int = NOON_MS + 60_000):
    """A win of its own, claimed until then."""
    return replace(call(CallKind.WIN), operator_tx_id=f"win-{uuid4()}", next_attempt_at_ms=until_ms)


def fail(bulkhead, times: int = FAILURES) -> None:
    for _ in range(times):
        bulkhead.note(CallKind.BET, LOST, was_trial=False)


def is_open(bulkhead) -> bool:
    """Whether the breaker is, though a trial may be due."""
    bulkhead.has_more = False
    return not bulkhead.has_room


async def test_a_call_that_was_claimed_ahead_and_not_sent_has_its_chance_again():
    clock, settings = ServerClock(NOON_MS), GameSettings(bet_limits={"USD": LIMITS})
    bulkhead = Bulkhead(OPERATOR_ID, settings, clock, CountingObserver(), lambda _id: None)
    bulkhead.note(CallKind.WIN, Acknowledged(1), was_trial=False)
    assert bulkhead.ahead_until_ms is not None, "the wallet answers again: what waits is claimed ahead"
    sent, unsent = (
        replace(call(CallKind.WIN), operator_tx_id=f"win-{uuid4()}", next_attempt_at_ms=NOON_MS + 60_000)
        for _ in range(2)
    )
    bulkhead.note_claimed([sent, unsent], QUOTA)
    bulkhead.reserve(sent)
    assert bulkhead.was_ahead(sent) and bulkhead.was_ahead(unsent)
    bulkhead.note_claimed([], QUOTA)
    assert bulkhead.was_ahead(sent) and not bulkhead.was_ahead(unsent)
    bulkhead.release(sent)
    assert not bulkhead.was_ahead(sent)


def test_the_end_of_an_old_claim_leaves_the_new_ones_place(bulkhead):
    old = claimed()
    again = replace(old, next_attempt_at_ms=old.next_attempt_at_ms + 20_000)
    bulkhead.reserve(old)
    bulkhead.reserve(again)
    bulkhead.release(old)
    assert list(bulkhead.deliveries) == [old.operator_tx_id]
    bulkhead.release(again)
    assert not bulkhead.is_busy
    bulkhead.release(again)


def test_a_place_ends_with_its_claim_whatever_became_of_the_call(bulkhead, clock):
    for until_ms in (NOON_MS + 1, NOON_MS + 2, NOON_MS + 2):
        bulkhead.reserve(claimed(until_ms))
    for now_ms, quota in ((NOON_MS, 0), (NOON_MS + 1, 1), (NOON_MS + 2, PLACES)):
        clock.ms = now_ms
        assert bulkhead.quota == quota
    assert not bulkhead.is_busy


def test_there_is_room_for_as_many_as_there_are_places_and_behind_nobody(bulkhead):
    mine = [claimed() for _ in range(PLACES)]
    for one in mine:
        assert bulkhead.has_room
        bulkhead.reserve(one)
    assert not bulkhead.has_room and bulkhead.quota == 0
    bulkhead.release(mine[0])
    assert bulkhead.has_room and bulkhead.quota == 1
    bulkhead.has_more = True
    assert not bulkhead.has_room and bulkhead.quota == 1


def test_an_open_breaker_leaves_its_trial_to_the_courier(bulkhead, clock):
    bulkhead.reserve(claimed())
    fail(bulkhead)
    assert bulkhead.permits and bulkhead.quota == 1, "a trial is due: one call, whatever else is in flight"
    assert not bulkhead.has_room
    assert bulkhead.begin()
    bulkhead.note(CallKind.WIN, Acknowledged(5), was_trial=True)
    assert bulkhead.has_room and bulkhead.quota == PLACES - 1


def test_while_no_trial_is_due_there_is_nothing_to_claim(clock):
    slow = replace(SETTINGS, breaker_open_first_ms=1_000)
    bulkhead = Bulkhead(OPERATOR_ID, slow, clock, CountingObserver(), lambda _id: None)
    fail(bulkhead)
    bulkhead.has_more = True
    assert not bulkhead.permits and bulkhead.quota == 0 and not bulkhead.wants_more
    clock.ms += 1_000
    assert bulkhead.permits and bulkhead.quota == 1 and bulkhead.wants_more


@pytest.mark.parametrize("kind", list(CallKind))
@pytest.mark.parametrize("answer", [LOST, UNREACHABLE])
def test_what_may_be_the_wallets_failure_opens_the_breaker(bulkhead, kind, answer):
    for _ in range(FAILURES):
        assert not is_open(bulkhead)
        bulkhead.note(kind, answer, was_trial=False)
    assert is_open(bulkhead)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        *((kind, NotSent("of ours")) for kind in CallKind),
        (CallKind.WIN, Declined("404")),
        (CallKind.REFUND, Declined("404")),
    ],
)
def test_what_says_nothing_of_the_wallet_leaves_the_breaker_as_it_is(bulkhead, told, kind, answer):
    fail(bulkhead, FAILURES - 1)
    bulkhead.note(kind, answer, was_trial=False)
    assert not is_open(bulkhead) and told == []
    fail(bulkhead, 1)
    assert is_open(bulkhead), "no success was counted, and no failure"
    bulkhead.note(kind, answer, was_trial=bulkhead.begin())
    assert is_open(bulkhead)


@pytest.mark.parametrize(
    ("kind", "answer"), [(CallKind.BET, Declined("402")), *((kind, Acknowledged(5)) for kind in CallKind)]
)
def test_any_good_answer_closes_it_and_hurries_what_waits_once(bulkhead, clock, told, kind, answer):
    fail(bulkhead)
    bulkhead.note(kind, answer, was_trial=bulkhead.begin())
    assert not is_open(bulkhead)
    assert told == [OPERATOR_ID]
    assert bulkhead.ahead_until_ms == clock.ms + SETTINGS.retry_max_ms
    bulkhead.note(kind, answer, was_trial=False)
    assert told == [OPERATOR_ID], "nothing waits any more, as far as is known"
    bulkhead.note_waiting()
    bulkhead.note(kind, answer, was_trial=False)
    assert told == [OPERATOR_ID] * 2


def test_the_hurry_ends_with_the_backlog_or_with_a_failure(bulkhead):
    bulkhead.note(CallKind.BET, Acknowledged(5), was_trial=False)
    until_ms = bulkhead.ahead_until_ms
    assert until_ms is not None
    bulkhead.note_claimed([claimed()] * 2, 2)
    assert (bulkhead.has_more, bulkhead.ahead_until_ms) == (True, until_ms), "there may be more"
    bulkhead.note_claimed([claimed()], 2)
    assert (bulkhead.has_more, bulkhead.ahead_until_ms) == (False, None)
    bulkhead.note_waiting()
    bulkhead.note(CallKind.BET, Acknowledged(5), was_trial=False)
    assert bulkhead.ahead_until_ms is not None
    fail(bulkhead, 1)
    assert bulkhead.ahead_until_ms is None, "it does not answer"


def test_who_was_not_claimed_ahead_was_not(bulkhead):
    usual = claimed()
    bulkhead.reserve(usual)
    bulkhead.note_claimed([usual], QUOTA)
    assert bulkhead.ahead_until_ms is None and not bulkhead.was_ahead(usual)


def test_a_backlog_is_looked_for_again_once_half_of_the_places_are_free(bulkhead):
    first, second = claimed(), claimed()
    bulkhead.has_more = True
    for one in (first, second):
        bulkhead.reserve(one)
    assert not bulkhead.wants_more
    bulkhead.release(first)
    assert bulkhead.wants_more
    bulkhead.has_more = False
    assert not bulkhead.wants_more


def test_only_bulkheads_with_room_are_claimed_for(clock):
    bulkheads, (full, free) = Bulkheads(SETTINGS, clock, CountingObserver(), lambda _id: None), (uuid4(), uuid4())
    mine = [claimed() for _ in range(PLACES)]
    for one in mine:
        bulkheads.of(full).reserve(one)
    assert bulkheads.quotas([full, free]) == {free: PLACES}
    assert sorted(bulkheads.in_flight) == sorted(one.operator_tx_id for one in mine) and bulkheads.is_busy
    assert bulkheads.ahead_until_ms([full, free]) == {}
    bulkheads.of(free).note(CallKind.BET, Acknowledged(5), was_trial=False)
    assert list(bulkheads.ahead_until_ms([full, free])) == [free]
