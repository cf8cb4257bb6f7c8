"""Thousands of small worlds with faults. A failure names its seed and how to see it again."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from tests.worlds.run import simulate, simulate_all
from tests.worlds.trace import SimulationFailedError

BATCH = 200
BATCHES = 10
FAULTS_PER_BATCH_MIN = 2_000
FLIGHTS_MOVED_PER_BATCH_MIN = 30
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("first", range(0, BATCH * BATCHES, BATCH))
def test_money_is_right_in_every_world(first):
    totals = simulate_all(range(first, first + BATCH))
    assert totals.seeds == BATCH
    assert totals.faults.total() >= FAULTS_PER_BATCH_MIN
    assert totals.rounds > BATCH
    assert totals.flights_moved >= FLIGHTS_MOVED_PER_BATCH_MIN


def digests_of_another_process(hash_seed: str) -> list[str]:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.worlds", "--first", "40", "--seeds", "6", "--digests"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return [line.split()[1] for line in answer.stdout.splitlines()[:6]]


def test_a_seed_decides_everything():
    digests = [simulate(seed).digest for seed in range(40, 46)]
    assert [simulate(seed).digest for seed in range(40, 46)] == digests
    assert digests_of_another_process("1") == digests_of_another_process("2") == digests
    assert len(set(digests)) == len(digests)


def test_a_failure_says_how_to_see_it_again():
    failure = SimulationFailedError(7, "a bet ends once", "it did not", ["first", "last"])
    text = str(pickle.loads(pickle.dumps(failure)))
    for part in ("seed 7", "a bet ends once", "it did not", "last", "make simulate SEEDS=1 FIRST=7"):
        assert part in text
