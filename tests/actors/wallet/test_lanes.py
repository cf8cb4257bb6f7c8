"""What a lane remembers of the calls to one operator: places, its breaker, and who may go before whom."""

from dataclasses import replace
from uuid import uuid4

import pytest

from actors.facts.records import CallKind
from actors.kit.clock import ServerClock
from actors.ports.wallet import Acknowledged, Declined, NotSent, Unclear
from actors.shared.settings import GameSettings
from actors.wallet.lanes import Lane, Lanes
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
def lane(clock, told):
    return Lane(OPERATOR_ID, SETTINGS, clock, CountingObserver(), told.append)


def claimed(until_ms: int = NOON_MS + 60_000):
    """A win of its own, claimed until then."""
    return replace(call(CallKind.WIN), operator_tx_id=f"win-{uuid4()}", next_attempt_at_ms=until_ms)


def fail(lane, times: int = FAILURES) -> None:
    for _ in range(times):
        lane.note(CallKind.BET, LOST, was_trial=False)


def is_open(lane) -> bool:
    """Whether the breaker is, though a trial may be due."""
    lane.has_backlog = False
    return not lane.has_room


async def test_a_call_that_was_claimed_ahead_and_not_sent_has_its_chance_again():
    clock = ServerClock(NOON_MS)
    lane = Lane(OPERATOR_ID, GameSettings(bet_limits={"USD": LIMITS}), clock, CountingObserver(), lambda _id: None)
    lane.note(CallKind.WIN, Acknowledged(1), was_trial=False)
    assert lane.ahead_until_ms is not None, "the wallet answers again: what waits is claimed ahead"
    sent, unsent = (
        replace(call(CallKind.WIN), operator_tx_id=f"win-{uuid4()}", next_attempt_at_ms=NOON_MS + 60_000)
        for _ in range(2)
    )
    lane.note_claimed([sent, unsent], QUOTA)
    lane.reserve(sent)
    assert lane.was_ahead(sent) and lane.was_ahead(unsent)
    lane.note_claimed([], QUOTA)
    assert lane.was_ahead(sent) and not lane.was_ahead(unsent)
    lane.release(sent)
    assert not lane.was_ahead(sent)


def test_the_end_of_an_old_claim_leaves_the_new_ones_place(lane):
    old = claimed()
    again = replace(old, next_attempt_at_ms=old.next_attempt_at_ms + 20_000)
    lane.reserve(old)
    lane.reserve(again)
    lane.release(old)
    assert list(lane.deliveries) == [old.operator_tx_id]
    lane.release(again)
    assert not lane.is_busy
    lane.release(again)


def test_a_place_ends_with_its_claim_whatever_became_of_the_call(lane, clock):
    for until_ms in (NOON_MS + 1, NOON_MS + 2, NOON_MS + 2):
        lane.reserve(claimed(until_ms))
    for now_ms, quota in ((NOON_MS, 0), (NOON_MS + 1, 1), (NOON_MS + 2, PLACES)):
        clock.ms = now_ms
        assert lane.quota == quota
    assert not lane.is_busy


def test_there_is_room_for_as_many_as_there_are_places_and_behind_nobody(lane):
    mine = [claimed() for _ in range(PLACES)]
    for one in mine:
        assert lane.has_room
        lane.reserve(one)
    assert not lane.has_room and lane.quota == 0
    lane.release(mine[0])
    assert lane.has_room and lane.quota == 1
    lane.has_backlog = True
    assert not lane.has_room and lane.quota == 1


def test_an_open_breaker_leaves_its_trial_to_the_courier(lane, clock):
    lane.reserve(claimed())
    fail(lane)
    assert lane.permits and lane.quota == 1, "a trial is due: one call, whatever else is in flight"
    assert not lane.has_room
    assert lane.begin()
    lane.note(CallKind.WIN, Acknowledged(5), was_trial=True)
    assert lane.has_room and lane.quota == PLACES - 1


def test_while_no_trial_is_due_there_is_nothing_to_claim(clock):
    slow = replace(SETTINGS, breaker_open_first_ms=1_000)
    lane = Lane(OPERATOR_ID, slow, clock, CountingObserver(), lambda _id: None)
    fail(lane)
    lane.has_backlog = True
    assert not lane.permits and lane.quota == 0 and not lane.wants_more
    clock.ms += 1_000
    assert lane.permits and lane.quota == 1 and lane.wants_more


@pytest.mark.parametrize("kind", list(CallKind))
@pytest.mark.parametrize("answer", [LOST, UNREACHABLE])
def test_what_may_be_the_wallets_failure_opens_the_breaker(lane, kind, answer):
    for _ in range(FAILURES):
        assert not is_open(lane)
        lane.note(kind, answer, was_trial=False)
    assert is_open(lane)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        *((kind, NotSent("of ours")) for kind in CallKind),
        (CallKind.WIN, Declined("404")),
        (CallKind.REFUND, Declined("404")),
    ],
)
def test_what_says_nothing_of_the_wallet_leaves_the_breaker_as_it_is(lane, told, kind, answer):
    fail(lane, FAILURES - 1)
    lane.note(kind, answer, was_trial=False)
    assert not is_open(lane) and told == []
    fail(lane, 1)
    assert is_open(lane), "no success was counted, and no failure"
    lane.note(kind, answer, was_trial=lane.begin())
    assert is_open(lane)


@pytest.mark.parametrize(
    ("kind", "answer"), [(CallKind.BET, Declined("402")), *((kind, Acknowledged(5)) for kind in CallKind)]
)
def test_any_good_answer_closes_it_and_hurries_what_waits_once(lane, clock, told, kind, answer):
    fail(lane)
    lane.note(kind, answer, was_trial=lane.begin())
    assert not is_open(lane)
    assert told == [OPERATOR_ID]
    assert lane.ahead_until_ms == clock.ms + SETTINGS.retry_max_ms
    lane.note(kind, answer, was_trial=False)
    assert told == [OPERATOR_ID], "nothing waits any more, as far as is known"
    lane.note_waiting()
    lane.note(kind, answer, was_trial=False)
    assert told == [OPERATOR_ID] * 2


def test_the_hurry_ends_with_the_backlog_or_with_a_failure(lane):
    lane.note(CallKind.BET, Acknowledged(5), was_trial=False)
    until_ms = lane.ahead_until_ms
    assert until_ms is not None
    lane.note_claimed([claimed()] * 2, 2)
    assert (lane.has_backlog, lane.ahead_until_ms) == (True, until_ms), "there may be more"
    lane.note_claimed([claimed()], 2)
    assert (lane.has_backlog, lane.ahead_until_ms) == (False, None)
    lane.note_waiting()
    lane.note(CallKind.BET, Acknowledged(5), was_trial=False)
    assert lane.ahead_until_ms is not None
    fail(lane, 1)
    assert lane.ahead_until_ms is None, "it does not answer"


def test_who_was_not_claimed_ahead_was_not(lane):
    usual = claimed()
    lane.reserve(usual)
    lane.note_claimed([usual], QUOTA)
    assert lane.ahead_until_ms is None and not lane.was_ahead(usual)


def test_a_backlog_is_looked_for_again_once_half_of_the_places_are_free(lane):
    first, second = claimed(), claimed()
    lane.has_backlog = True
    for one in (first, second):
        lane.reserve(one)
    assert not lane.wants_more
    lane.release(first)
    assert lane.wants_more
    lane.has_backlog = False
    assert not lane.wants_more


def test_only_lanes_with_room_are_claimed_for(clock):
    lanes, (full, free) = Lanes(SETTINGS, clock, CountingObserver(), lambda _id: None), (uuid4(), uuid4())
    mine = [claimed() for _ in range(PLACES)]
    for one in mine:
        lanes.of(full).reserve(one)
    assert lanes.quotas([full, free]) == {free: PLACES}
    assert sorted(lanes.in_flight) == sorted(one.operator_tx_id for one in mine) and lanes.is_busy
    assert lanes.ahead_until_ms([full, free]) == {}
    lanes.of(free).note(CallKind.BET, Acknowledged(5), was_trial=False)
    assert list(lanes.ahead_until_ms([full, free])) == [free]
