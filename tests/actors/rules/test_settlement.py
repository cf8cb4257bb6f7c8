"""How flights end: cash-outs, targets, caps, crashes, interruptions."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from actors.rules.growth import GrowthCurve
from actors.rules.limits import payout_cap_hundredths
from actors.rules.money import payout_minor
from actors.rules.settlement import FlightPlan, Result, Settlement, interrupted_end

CURVE = GrowthCurve(Decimal("0.00006"))


def plan(**changes) -> FlightPlan:
    fields = {
        "curve": CURVE,
        "amount_minor": 1_000,
        "crash_hundredths": 250,
        "auto_cashout_hundredths": None,
        "max_win_multiplier": 2_000,
        "max_payout_minor": 10**9,
    }
    return FlightPlan(**(fields | changes))


plans = st.builds(
    plan,
    amount_minor=st.integers(1, 10**6),
    crash_hundredths=st.integers(100, 5_000),
    auto_cashout_hundredths=st.none() | st.integers(101, 5_000),
    max_win_multiplier=st.integers(2, 50),
    max_payout_minor=st.integers(10**7, 10**8),
)


def test_a_cash_out_pays_the_multiplier_of_its_receipt():
    assert plan().cashed_out(11_553) == Settlement(Result.CASHOUT, 200, 2_000)
    assert plan().cashed_out(11_552) == Settlement(Result.CASHOUT, 199, 1_990)


def test_a_cash_out_at_the_last_safe_millisecond_pays_and_one_later_does_not():
    crash_ms = CURVE.crashes_at_ms(250)
    assert plan().cashed_out(crash_ms - 1) == Settlement(Result.CASHOUT, 250, 2_500)
    assert plan().cashed_out(crash_ms) == Settlement(Result.CRASH, 0, 0)


def test_below_the_lowest_cash_out_nothing_is_paid():
    first_ms = CURVE.reaches_at_ms(101)
    assert plan().cashed_out(first_ms - 1) is None
    assert plan().cashed_out(first_ms) == Settlement(Result.CASHOUT, 101, 1_010)


def test_a_round_that_crashes_at_once_cannot_be_cashed_out():
    assert plan(crash_hundredths=100).cashed_out(CURVE.crashes_at_ms(100) - 1) is None
    assert plan(crash_hundredths=100).unattended() == Settlement(Result.CRASH, 0, 0)


def test_an_automatic_cash_out_at_the_crash_point_pays_exactly_its_target():
    assert plan(auto_cashout_hundredths=250).unattended() == Settlement(Result.CASHOUT, 250, 2_500)
    assert plan(auto_cashout_hundredths=251).unattended() == Settlement(Result.CRASH, 0, 0)


def test_a_target_pays_even_where_one_millisecond_jumps_over_target_and_crash_point():
    """High up the multiplier grows by more than a hundredth in a millisecond."""
    high = plan(crash_hundredths=150_000, auto_cashout_hundredths=150_000)
    assert CURVE.hundredths_at(high.ends_at_ms) > 150_000
    assert high.unattended() == Settlement(Result.CASHOUT, 150_000, 1_500_000)


def test_the_largest_multiplier_cashes_out_by_itself():
    capped = plan(crash_hundredths=500, max_win_multiplier=5)
    assert capped.unattended() == Settlement(Result.MAX_WIN, 500, 5_000)
    assert capped.ends_at_ms == CURVE.reaches_at_ms(500)


def test_the_largest_payout_cashes_out_by_itself_and_is_never_exceeded():
    capped = plan(max_payout_minor=2_004)
    assert capped.cap_hundredths == 200
    assert capped.unattended() == Settlement(Result.MAX_WIN, 200, 2_000)


@given(amount=st.integers(1, 10**9), most=st.integers(1, 10**12))
def test_the_payout_cap_is_the_last_multiplier_that_fits(amount, most):
    cap = payout_cap_hundredths(amount, most)
    assert payout_minor(amount, cap) <= most < payout_minor(amount, cap + 1)


@given(plan=plans, elapsed_ms=st.integers(-1_000, 100_000))
def test_money_is_never_created(plan, elapsed_ms):
    """Whatever the player does: no payout above stake x multiplier, above the crash point, or above the caps."""
    end = plan.cashed_out(elapsed_ms)
    if end is None:
        assert CURVE.hundredths_at(elapsed_ms) < 101
        return
    assert end.payout_minor * 100 <= plan.amount_minor * end.realized_hundredths
    assert end.realized_hundredths <= plan.crash_hundredths
    assert end.payout_minor <= plan.max_payout_minor
    assert end.realized_hundredths <= 100 * plan.max_win_multiplier
    assert (end.result is Result.CRASH) == (end.payout_minor == 0)
    if elapsed_ms < plan.ends_at_ms:
        assert end.realized_hundredths == CURVE.hundredths_at(elapsed_ms)


@given(plan=plans)
def test_waiting_never_pays_differently_from_the_unattended_end(plan):
    assert plan.cashed_out(plan.ends_at_ms) == plan.unattended()
    assert plan.cashed_out(plan.ends_at_ms + 10_000) == plan.unattended()


@given(plan=plans, alive_ms=st.integers(0, 200_000))
def test_an_interrupted_flight_is_settled_only_if_it_had_ended_while_the_node_lived(plan, alive_ms):
    end = interrupted_end(plan, 1_000, 1_000 + alive_ms)
    assert end == (plan.unattended() if alive_ms >= plan.ends_at_ms else None)


@given(plans, st.integers(0, 10**6))
def test_what_a_flight_paid_can_be_told_from_its_terms(flight, elapsed_ms):
    paid = flight.cashed_out(elapsed_ms)
    if paid is None or not paid.payout_minor:
        return
    found = flight.paying(paid.payout_minor)
    assert found.payout_minor == paid.payout_minor
    assert flight.amount_minor < 100 or found == paid


@given(plans, st.integers(1, 10**8))
def test_what_a_flight_can_not_have_paid_is_told(flight, paid_minor):
    found = flight.paying(paid_minor)
    if found is None:
        # Nobody can have cashed out for it, at no moment of the flight.
        shown = range(101, min(flight.crash_hundredths, flight.target_hundredths) + 1)
        candidates = [h for h in shown if payout_minor(flight.amount_minor, h) == paid_minor]
        assert all(flight.curve.hundredths_at(flight.curve.reaches_at_ms(h)) != h for h in candidates)
        return
    elapsed_ms = flight.curve.reaches_at_ms(found.realized_hundredths)
    assert flight.cashed_out(elapsed_ms) == found
    assert found.payout_minor == paid_minor


def test_a_payout_below_the_stake_or_above_the_crash_is_none():
    assert plan().paying(1_000) is plan().paying(2_510) is plan(crash_hundredths=100).paying(1_010) is None
    assert plan().paying(2_500) == Settlement(Result.CASHOUT, 250, 2_500)


def test_behind_its_automatic_cash_out_a_flight_pays_nothing():
    assert plan(auto_cashout_hundredths=200).paying(2_010) is None
    assert plan(auto_cashout_hundredths=200).paying(2_000) == Settlement(Result.CASHOUT, 200, 2_000)
    assert plan(auto_cashout_hundredths=300).paying(2_500) == Settlement(Result.CASHOUT, 250, 2_500)


def test_of_several_multipliers_that_pay_the_same_it_is_the_automatic_one_or_the_lowest():
    assert plan(amount_minor=10).paying(11).realized_hundredths == 110
    assert plan(amount_minor=10, auto_cashout_hundredths=115).paying(11).realized_hundredths == 115
