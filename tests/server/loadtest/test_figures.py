"""The arithmetic of a run: histograms, schedules, the band around the expected return, the server's clock."""

import itertools
import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.fairness import crash_hundredths
from server.loadtest.figures.histogram import ERROR_MAX, Histogram, bucket_bounds, bucket_of
from server.loadtest.figures.measurements import Measurements
from server.loadtest.figures.returns import Wager, binomial_band, reach_chance, returned
from server.loadtest.plan.strategy import parse_strategy
from server.loadtest.play.server_time import ServerTime
from server.loadtest.run.lines import line_of, read
from server.loadtest.run.schedule import bet_dues_s, bets_per_second, launch_due_s

VALUES = st.integers(min_value=0, max_value=2**40)
MANY = st.lists(VALUES, min_size=1, max_size=200)


def filled(values):
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@given(VALUES)
def test_every_number_lies_in_its_bucket_and_near_its_middle(value):
    least, largest = bucket_bounds(bucket_of(value))
    assert least <= value <= largest
    assert abs((least + largest) // 2 - value) <= max(value * ERROR_MAX, 0)


@given(VALUES)
def test_buckets_have_neither_gaps_nor_overlaps(value):
    index = bucket_of(value)
    assert bucket_bounds(index + 1)[0] == bucket_bounds(index)[1] + 1


@given(MANY, st.sampled_from([1, 50, 90, 99, 100]))
def test_a_percentile_is_within_the_stated_error(values, percent):
    exact = sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]
    assert abs(filled(values).percentile(percent) - exact) <= exact * ERROR_MAX
    assert ERROR_MAX <= 0.01


@given(MANY, MANY)
def test_histograms_of_two_processes_add_up_to_one_of_both(first, second):
    merged = read(line_of(filled(first)).rstrip(), Histogram)
    merged.merge(filled(second))
    whole = filled(first + second)
    assert merged.buckets() == whole.buckets()
    assert (merged.count, merged.total, merged.largest) == (whole.count, whole.total, whole.largest)
    assert merged.largest == max(first + second)


def test_nothing_measured_has_no_percentile_and_what_is_early_counts_as_0():
    assert Histogram().percentile(50) is None
    assert Histogram().mean() is None
    assert filled([-5]).percentile(50) == 0


def test_measurements_cross_a_pipe_unchanged():
    measured = Measurements()
    measured.took("bet", 0.0123)
    measured.failed("bet", "wallet_unavailable")
    measured.counts["rounds"] += 3
    both = read(line_of(measured).rstrip(), Measurements)
    both.merge(measured)
    assert both.histogram("bet").count == 2
    assert both.histogram("bet").largest == 12_300
    assert both.errors == {"bet wallet_unavailable": 2}
    assert both.counts == {"rounds": 6}
    assert both.counts["none"] == 0


def test_launches_are_spread_over_the_ramp():
    dues = [launch_due_s(player, 5, 10.0) for player in range(5)]
    assert dues == [0, 2, 4, 6, 8]


def test_bets_are_due_at_their_rate_and_fewer_during_the_ramp():
    dues = list(bet_dues_s(50.0, 20.0, 120.0, random.Random(1)))
    assert dues == sorted(dues)
    assert dues[-1] < 120
    # 100 s at the full rate, 20 s at half of it: 5500 on average, with a deviation of 74.
    assert abs(len(dues) - 5500) < 5 * 74
    assert abs(sum(due < 20 for due in dues) - 500) < 5 * 22.4
    # The gaps of a Poisson process deviate by as much as their mean.
    gaps = [late - early for early, late in itertools.pairwise(dues) if early > 20]
    mean = sum(gaps) / len(gaps)
    assert math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) == pytest.approx(mean, rel=0.1)


def test_the_same_seed_draws_the_same_schedule():
    assert list(bet_dues_s(5.0, 1.0, 20.0, random.Random(7))) == list(bet_dues_s(5.0, 1.0, 20.0, random.Random(7)))
    assert list(bet_dues_s(5.0, 1.0, 20.0, random.Random(7))) != list(bet_dues_s(5.0, 1.0, 20.0, random.Random(8)))


def test_few_players_keep_more_to_spare():
    for players in (1, 20, 500):
        busy = bets_per_second(players, 9.8) * 10 / players
        assert busy == pytest.approx({1: 0.4, 20: 1 - 1.5 / math.sqrt(20), 500: 0.8}[players])


@pytest.mark.parametrize("text", ["fixed:1.50", "fixed:3.00", "random", "hold"])
def test_the_mean_flight_is_that_of_simulated_rounds(text):
    rate, rtp_bps, top = 0.0006, 9600, 200
    strategy, dice = parse_strategy(text), random.Random(5)
    flights = []
    for _ in range(20_000):
        crash = crash_hundredths(f"{dice.getrandbits(256):064x}", rtp_bps, top) / 100
        target = (strategy.choose(dice).target_hundredths or 100 * top) / 100
        flights.append(math.log(min(crash, target)) / rate / 1000)
    mean = sum(flights) / len(flights)
    assert strategy.flight_s_mean(rate, rtp_bps / 10_000, top) == pytest.approx(mean, rel=0.04)


def test_the_chance_to_reach_a_target_is_the_rules_own():
    dice, rounds, target = random.Random(3), 20_000, 250
    reached = sum(crash_hundredths(f"{dice.getrandbits(256):064x}", 9600, 2000) >= target for _ in range(rounds))
    assert reach_chance(target, 9600) == pytest.approx(0.96 / 2.5)
    assert abs(reached / rounds - 0.384) < 5 * math.sqrt(0.384 * 0.616 / rounds)


@pytest.mark.parametrize(("rounds", "chance"), [(1, 0.5), (20, 0.64), (400, 0.64), (3000, 0.00048)])
def test_the_binomial_band_holds_95_percent_and_not_much_more(rounds, chance):
    low, high = binomial_band(rounds, chance)
    exact = [
        math.comb(rounds, count) * Fraction(chance) ** count * (1 - Fraction(chance)) ** (rounds - count)
        for count in range(min(rounds, high + 1) + 1)
    ]
    assert sum(exact[low : high + 1]) >= 0.9499999
    assert sum(exact[:low]) <= 0.025
    assert sum(exact[: high + 1]) >= 0.9749999
    assert high == 0 or sum(exact[:high]) < 0.975


def test_a_fair_run_lies_in_the_band_and_an_unfair_one_does_not():
    fair = [Wager(100, 150 if i % 100 < 64 else 0, 150, 9600) for i in range(1000)]
    seen = returned(fair)
    assert (seen.seen, seen.is_inside, seen.method) == (pytest.approx(0.96), True, "exact binomial")
    assert seen.expected == pytest.approx(0.96)
    assert seen.low < 0.92 < 0.96 < 1.0 < seen.high
    for reached in (55, 73):
        unfair = [Wager(100, 150 if i % 100 < reached else 0, 150, 9600) for i in range(1000)]
        assert not returned(unfair).is_inside, f"stingy or generous: {reached} of 100 reached it"


def test_the_band_of_drawn_targets_has_their_exact_variance():
    wagers = [Wager(100, 0, 200, 9600), Wager(100, 300, 300, 9600)] * 50
    seen = returned(wagers)
    variance = 50 * (0.48 * 0.52 * 4 + 0.32 * 0.68 * 9)
    assert seen.expected == pytest.approx(0.96)
    assert seen.high - seen.expected == pytest.approx(1.96 * math.sqrt(variance) / 100, rel=1e-4)
    assert seen.low >= 0
    assert returned([]) is None


def test_the_servers_clock_is_that_of_the_quickest_ping():
    clock = ServerTime()
    assert not clock.is_known
    clock.heard(100.0, 100.2, 5_000_000)
    clock.heard(101.0, 101.002, 5_000_851)  # 1 ms there and back: the server's 5000.8515 s are 101.001 of ours
    clock.heard(102.0, 102.5, 5_001_700)
    assert clock.offset_s == pytest.approx(5000.8515 - 101.001)
    assert clock.uncertainty_s == pytest.approx(0.001)
    assert clock.local(5_000_851) == pytest.approx(101.0005)
    # After a minute it has to be heard anew: clocks drift.
    clock.heard(170.0, 170.010, 5_070_000)
    assert clock.uncertainty_s == pytest.approx(0.005)
