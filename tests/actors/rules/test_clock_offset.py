"""What a few slow answers tell of another clock."""

from random import Random

import pytest

from actors.rules.clock_offset import ClockOffset


def learnt(*answers) -> ClockOffset:
    offset = ClockOffset()
    for asked_ms, other_ms, answered_ms in answers:
        offset.learn(asked_ms, other_ms, answered_ms)
    return offset


def test_nothing_is_known_before_an_answer():
    assert ClockOffset().is_known is False
    assert learnt((0, 500, 10)).is_known is True


def test_an_answer_is_taken_for_the_middle_of_its_way():
    offset = learnt((1_000, 6_000, 1_010))
    assert offset.ahead_ms == pytest.approx(4_995)
    assert offset.doubt_ms == pytest.approx(5.5)


def test_a_slow_answer_does_not_undo_a_quick_one():
    quick = learnt((1_000, 6_001, 1_002))
    both = learnt((1_000, 6_001, 1_002), (2_000, 9_900, 5_000))
    assert both.ahead_ms == pytest.approx(quick.ahead_ms, abs=2.5), "only drift has made it less certain"
    assert both.doubt_ms == pytest.approx(quick.doubt_ms + 2, abs=0.5)


def test_an_answer_that_contradicts_shows_a_step():
    offset = learnt((1_000, 6_000, 1_002), (2_000, 2_000 + 7_205_000, 2_010))
    assert offset.ahead_ms == pytest.approx(7_204_995)


@pytest.mark.parametrize("seed", range(20))
def test_the_truth_is_never_outside_the_doubt(seed):
    random, offset, mine_ms, ahead_ms = Random(seed), ClockOffset(), 0.0, Random(seed).uniform(-1e6, 1e6)
    for _ in range(200):
        there_ms, back_ms = (random.expovariate(1 / random.choice((1, 20, 900))) for _ in range(2))
        passed_ms = random.uniform(0, 1_000)
        ahead_ms += passed_ms * random.uniform(-0.0004, 0.0004)
        mine_ms += passed_ms
        offset.learn(mine_ms, round(mine_ms + there_ms + ahead_ms), mine_ms + there_ms + back_ms)
        mine_ms += there_ms + back_ms
        assert abs(offset.ahead_ms - ahead_ms) <= offset.doubt_ms + 1e-6
