"""Money, limits and retries."""

import json
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.facts.calls import call_body
from actors.rules.limits import BetLimits, auto_cashout_is_valid, stake_error
from actors.rules.money import RevenueShare, house_share_minor, multiplier_number, payout_minor, split_revenue
from actors.rules.retries import is_over, wait_before_attempt_ms

LIMITS = BetLimits(min_bet_minor=10, max_bet_minor=1_000, bet_step_minor=10, max_payout_minor=10**6)


@given(amount=st.integers(0, 10**12), hundredths=st.integers(0, 10**7))
def test_a_payout_is_rounded_down(amount, hundredths):
    paid = payout_minor(amount, hundredths)
    assert paid * 100 <= amount * hundredths < (paid + 1) * 100


@given(ggr=st.integers(-(10**15), 10**15), share=st.integers(0, 10_000))
def test_the_house_share_is_rounded_half_to_even(ggr, share):
    exact = Decimal(ggr) * share / 10_000
    assert house_share_minor(ggr, share) == int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


@pytest.mark.parametrize(("ggr", "house"), [(10, 2), (-10, -2), (30, 4), (-30, -4), (148_000, 22_200), (0, 0)])
def test_half_minor_units_go_to_the_even_side(ggr, house):
    assert house_share_minor(ggr, 1_500) == house


@given(st.lists(st.tuples(st.integers(-(10**12), 10**12), st.integers(0, 10_000)), max_size=5))
def test_the_two_shares_always_add_up(rows):
    split = split_revenue(rows)
    assert split.house_share_minor + split.operator_share_minor == split.ggr_minor == sum(ggr for ggr, _ in rows)


def test_each_row_of_revenue_is_rounded_by_itself():
    assert split_revenue([(3, 1_500)] * 3) == RevenueShare(ggr_minor=9, house_share_minor=0, operator_share_minor=9)
    assert split_revenue([(5, 1_500)] * 2) == RevenueShare(ggr_minor=10, house_share_minor=2, operator_share_minor=8)


@given(st.integers(0, 10**8))
def test_a_multiplier_as_a_number_is_exact(hundredths):
    text = json.dumps(multiplier_number(hundredths))
    assert Decimal(text) * 100 == hundredths


@pytest.mark.parametrize(
    ("amount", "code"),
    [(10, None), (1_000, None), (0, "stake_too_low"), (-10, "stake_too_low"), (9, "stake_too_low"),
     (1_010, "stake_too_high"), (15, "stake_step"), (10**15, "stake_too_high")],
)  # fmt: skip
def test_stakes_are_judged(amount, code):
    assert stake_error(amount, LIMITS) == code


def test_a_stake_that_the_largest_payout_could_not_pay_back_is_too_high():
    tight = BetLimits(min_bet_minor=10, max_bet_minor=1_000, bet_step_minor=10, max_payout_minor=500)
    assert stake_error(490, tight) is None
    assert stake_error(500, tight) == "stake_too_high"
    assert stake_error(500, replace(tight, max_payout_minor=505)) is None, "it pays back at the lowest cash-out"


@pytest.mark.parametrize(("hundredths", "valid"), [(100, False), (101, True), (200_000, True), (200_001, False)])
def test_automatic_cash_outs_are_judged(hundredths, valid):
    assert auto_cashout_is_valid(hundredths, 2_000) is valid


@given(attempts=st.integers(1, 10_000), jitter=st.floats(0, 1, exclude_max=True))
def test_retries_wait_between_half_and_all_of_a_doubling_time_up_to_a_minute(attempts, jitter):
    whole = min(1_000 * 2 ** (attempts - 1), 60_000)
    assert whole // 2 <= wait_before_attempt_ms(attempts, 1_000, 60_000, jitter) <= whole


def test_retries_are_over_after_their_period():
    assert not is_over(0, 999, 1_000)
    assert is_over(0, 1_000, 1_000)


def test_a_win_body_is_as_the_specification_says():
    body = call_body(
        operator_tx_id="win-x",
        operator_player_id="spieler-ä",
        session_id=UUID(int=1),
        round_id=UUID(int=2),
        currency="USD",
        amount_minor=25_000,
        multiplier_hundredths=250,
        bet_tx_id="bet-x",
    )
    assert json.loads(body) == {
        "operator_tx_id": "win-x",
        "operator_player_id": "spieler-ä",
        "session_id": "00000000-0000-0000-0000-000000000001",
        "round_id": "00000000-0000-0000-0000-000000000002",
        "currency": "USD",
        "amount_minor": 25_000,
        "multiplier": 2.5,
        "bet_tx_id": "bet-x",
    }
