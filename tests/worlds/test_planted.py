"""The simulation finds what it is there for: every planted bug, within a bounded number of worlds."""

import re

import pytest

from tests.worlds.planted import BUGS, SEEDS_MAX, planted
from tests.worlds.run import simulate
from tests.worlds.trace import SimulationFailedError

MISFITS = re.compile(r"an actor of the kind \w+ failed: .*(AttributeError|TypeError|NameError|cannot unpack)")


def test_there_are_enough_bugs():
    assert len(BUGS) >= 30


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name):
    with planted(name), pytest.raises(SimulationFailedError) as found:
        for seed in range(SEEDS_MAX):
            simulate(seed)
    failure = found.value
    # A bug that does not fit the code any more fails whoever meets it, and is no bug that anything was found of.
    assert not MISFITS.search(str(failure)), f"{name} must be planted anew: {failure.detail}"
    assert f"seed {failure.seed}: {failure.invariant}" in str(failure)
    with planted(name), pytest.raises(SimulationFailedError) as again:
        simulate(failure.seed)
    assert str(again.value) == str(failure)
