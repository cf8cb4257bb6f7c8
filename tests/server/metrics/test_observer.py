"""What the actors report is counted at once."""

from uuid import UUID

import pytest

from actors.facts.records import CallKind
from server.metrics.metrics import Metrics
from server.metrics.observer import MetricsObserver


@pytest.mark.parametrize("times", [1, 500, 1_234])
def test_whoever_looks_sees_everything(times):
    metrics = Metrics()
    observer = MetricsObserver(metrics)
    for _ in range(times):
        observer.ledger_group(3, 0.002)
        observer.wallet_call(CallKind.BET, "acknowledged", 0.03)
        observer.round_ended("settled", "crash")
    for _ in range(2):
        value = metrics.registry.get_sample_value
        assert value("getaway_ledger_group_transitions_count") == times
        assert value("getaway_ledger_group_transitions_sum") == 3 * times
        assert value("getaway_ledger_group_seconds_bucket", {"le": "0.001"}) == 0
        assert value("getaway_ledger_group_seconds_bucket", {"le": "0.0025"}) == times
        assert value("getaway_wallet_calls_total", {"kind": "bet", "outcome": "acknowledged"}) == times
        assert value("getaway_wallet_call_seconds_count", {"kind": "bet"}) == times
        assert value("getaway_rounds_ended_total", {"result": "crash"}) == times


def test_an_observer_says_at_once_what_is_rare():
    metrics = Metrics()
    MetricsObserver(metrics).wallet_retry(UUID(int=1))
    assert metrics.registry.get_sample_value("getaway_wallet_retries_total", {"operator_id": str(UUID(int=1))}) == 1


def test_clocks_are_told_in_seconds_and_by_their_direction():
    metrics = Metrics()
    observer, value = MetricsObserver(metrics), metrics.registry.get_sample_value
    observer.clock_differs(-1_250.0)
    assert value("getaway_clock_difference_seconds") == -1.25
    for clock, step_ms in (("wall", 1), ("wall", 900_000), ("wall", -1), ("house", -40)):
        observer.clock_stepped(clock, step_ms)
    steps = {
        (clock, direction): value("getaway_clock_steps_total", {"clock": clock, "direction": direction})
        for clock in ("wall", "house")
        for direction in ("forward", "back")
    }
    assert steps == {("wall", "forward"): 2, ("wall", "back"): 1, ("house", "forward"): None, ("house", "back"): 1}


def test_a_cut_history_is_shown_for_as_long_as_it_lasts():
    metrics = Metrics()
    for is_cut in (True, False):
        MetricsObserver(metrics).history_cut(is_cut=is_cut)
        assert metrics.registry.get_sample_value("getaway_history_cut") == is_cut
