"""Pauses between attempts: growing, polite to those who refuse, and over after 76 hours."""

from hypothesis import given
from hypothesis import strategies as st

from actors.rules.retries import (
    HOUR_MS,
    SLOWER_MS,
    SLOWEST_MS,
    is_over,
    pause_after_refusal_ms,
    pause_as_asked_ms,
    wait_before_attempt_ms,
)

JITTERS = st.floats(0, 1, exclude_max=True)


@given(JITTERS)
def test_pauses_double_up_to_the_largest(jitter):
    waits_ms = [wait_before_attempt_ms(attempts, 1_000, 60_000, jitter) for attempts in range(1, 12)]
    wholes_ms = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, *[60_000] * 5]
    assert all(whole // 2 <= wait <= whole for wait, whole in zip(waits_ms, wholes_ms, strict=True))


def test_what_never_left_waits_as_long_as_it_has_waited():
    waits_ms = [
        wait_before_attempt_ms(0, 1_000, 60_000, 0.5, unsent_for_ms=unsent_ms) for unsent_ms in (0, 500, 8_000, 10**9)
    ]
    assert waits_ms == [750, 750, 6_000, 45_000]


@given(JITTERS)
def test_who_refuses_clearly_is_asked_less_and_less_often(jitter):
    assert pause_after_refusal_ms(0, jitter) == 0
    assert pause_after_refusal_ms(HOUR_MS - 1, jitter) == 0
    for refused_for_ms, whole_ms in (
        (HOUR_MS, SLOWER_MS),
        (12 * HOUR_MS - 1, SLOWER_MS),
        (12 * HOUR_MS, SLOWEST_MS),
        (75 * HOUR_MS, SLOWEST_MS),
    ):
        assert abs(pause_after_refusal_ms(refused_for_ms, jitter) - whole_ms) <= whole_ms / 20


@given(st.integers(1, 600_000), JITTERS)
def test_who_asks_to_be_left_alone_is(asked_ms, jitter):
    assert asked_ms <= pause_as_asked_ms(asked_ms, jitter) <= asked_ms * 1.1
    assert pause_as_asked_ms(None, jitter) == 0


def test_a_call_is_given_up_at_the_end_of_its_period_and_not_before():
    assert [is_over(1_000, now_ms, 500) for now_ms in (1_499, 1_500)] == [False, True]
