"""The curve: exact at every boundary, against integers computed another way."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, getcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.growth import GrowthCurve

CURVE = GrowthCurve(Decimal("0.00006"))


def test_two_times_is_reached_after_eleven_and_a_half_seconds():
    assert CURVE.reaches_at_ms(200) == 11_553
    assert CURVE.hundredths_at(11_552) == 199
    assert CURVE.hundredths_at(11_553) == 200


@pytest.mark.parametrize("elapsed_ms", [-1_000, -1, 0])
def test_before_the_start_the_multiplier_is_one(elapsed_ms):
    assert CURVE.hundredths_at(elapsed_ms) == 100


@given(elapsed_ms=st.integers(0, 200_000))
def test_the_curve_agrees_with_a_series_of_its_own(elapsed_ms):
    """Against a Taylor series in decimals of 60 digits."""
    getcontext().prec = 60
    x = Decimal("0.00006") * elapsed_ms
    term = total = Decimal(1)
    for n in range(1, 200):
        term = term * x / n
        total += term
    assert CURVE.hundredths_at(elapsed_ms) == int(total * 100)


@given(hundredths=st.integers(100, 1_000_000), rate=st.sampled_from(["0.00006", "0.0001", "0.00001", "0.01"]))
def test_the_first_millisecond_is_the_first(hundredths, rate):
    curve = GrowthCurve(Decimal(rate))
    reached_ms = curve.reaches_at_ms(hundredths)
    assert curve.hundredths_at(reached_ms) >= hundredths
    assert reached_ms == 0 or curve.hundredths_at(reached_ms - 1) < hundredths


@given(crash=st.integers(100, 200_000))
def test_the_player_is_safe_up_to_the_crash_point_and_not_beyond(crash):
    crashed_ms = CURVE.crashes_at_ms(crash)
    assert CURVE.hundredths_at(crashed_ms - 1) <= crash < CURVE.hundredths_at(crashed_ms)


@pytest.mark.parametrize("rate", ["0.00006", "0.00001", "0.001", "0.37"])
def test_every_multiplier_up_to_a_hundred_is_reached_when_decimals_say(rate):
    exact = Context(prec=50)
    for hundredths in range(101, 10_001, 7):
        exact_ms = exact.divide(exact.ln(Decimal(hundredths) / 100), Decimal(rate))
        assert GrowthCurve(Decimal(rate)).reaches_at_ms(hundredths) == int(exact_ms) + 1


@given(hundredths=st.integers(101, 200_000), elapsed_ms=st.integers(1, 1_000_000))
def test_a_value_at_a_hair_from_a_whole_hundredth_is_on_its_side(hundredths, elapsed_ms):
    """Rates that come to within 10^-30 of a boundary, which no float can tell from it."""
    exact = Context(prec=60).ln(Decimal(hundredths) / 100)
    below = GrowthCurve(Context(prec=34, rounding=ROUND_FLOOR).divide(exact, Decimal(elapsed_ms)))
    above = GrowthCurve(Context(prec=34, rounding=ROUND_CEILING).divide(exact, Decimal(elapsed_ms)))
    assert below.hundredths_at(elapsed_ms) == hundredths - 1
    assert above.hundredths_at(elapsed_ms) == hundredths
    assert below.reaches_at_ms(hundredths) == elapsed_ms + 1
    assert above.reaches_at_ms(hundredths) == elapsed_ms


@pytest.mark.parametrize("elapsed_ms", [266_666, 266_667, 1_000_000, 50_000_000])
def test_the_curve_goes_on_where_nobody_flies(elapsed_ms):
    exact = Context(prec=4000, Emax=10_000).exp(Decimal("0.00006") * elapsed_ms) * 100
    assert str(CURVE.hundredths_at(elapsed_ms))[:30] == str(int(exact))[:30]
