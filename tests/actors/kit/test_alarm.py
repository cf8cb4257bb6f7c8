"""When an alarm that is set does for another moment."""

import math

import pytest
import trio

from actors.kit.alarm import NEAR_S, is_to_be_set

HOUR_S = 3_600.0


@pytest.mark.parametrize(
    ("set_in", "wakes_in", "expected"),
    [
        (HOUR_S, HOUR_S, False),
        (math.inf, math.inf, False),
        # An earlier moment would be missed.
        (HOUR_S, HOUR_S - 0.001, True),
        (math.inf, HOUR_S, True),
        (NEAR_S / 2, 0.0, True),
        # One that is put off rings for nothing: that is worth avoiding only if it is near.
        (HOUR_S, 2 * HOUR_S, False),
        (HOUR_S, math.inf, False),
        (NEAR_S / 2, HOUR_S, True),
        (NEAR_S / 2, math.inf, True),
        (-1.0, HOUR_S, True),
    ],
)
async def test_an_alarm_is_set_anew_when_it_would_be_late_or_ring_soon_for_nothing(
    autojump_clock, set_in, wakes_in, expected
):
    now = trio.current_time()
    assert is_to_be_set(now + set_in, now + wakes_in) is expected
