"""What is asked of the system's generator: unpredictable seeds, and identifiers that keep the order of their time."""

import os
import random
import subprocess
import sys
from types import SimpleNamespace

import pytest

from server.secrets.entropy import SystemEntropy

NOON_MS = 1_782_864_000_000


def test_identifiers_are_of_version_7_and_in_the_order_of_time():
    clock = SimpleNamespace(now_ms=lambda: NOON_MS)
    entropy = SystemEntropy(clock)
    early = [entropy.identifier() for _ in range(100)]
    clock.now_ms = lambda: NOON_MS + 1
    late = [entropy.identifier() for _ in range(100)]
    assert {(each.version, each.variant) for each in early + late} == {(7, "specified in RFC 4122")}
    assert {each.int >> 80 for each in early} == {NOON_MS}
    assert max(early) < min(late)
    assert len({each.int & (1 << 62) - 1 for each in early + late}) == 200


def seeds_of(count):
    entropy = SystemEntropy(SimpleNamespace(now_ms=lambda: NOON_MS))
    return [entropy.server_seed() for _ in range(count)]


def test_server_seeds_have_256_bits_each_of_which_is_as_often_one_as_zero():
    """What is drawn from fewer bits, or repeats a part, shows in how often a bit is set, alone or beside another."""
    seeds = [int(seed, 16) for seed in seeds_of(4_000)]
    assert all(len(seed) == 64 and seed == seed.lower() for seed in seeds_of(100))
    assert len(set(seeds)) == len(seeds)
    for bit in range(256):
        ones = sum(seed >> bit & 1 for seed in seeds)
        assert 1_750 <= ones <= 2_250, f"bit {bit} is one in {ones} of 4,000: eight standard deviations allow 250"
    for apart in (1, 8, 16, 32, 64, 128):
        same = sum((seed ^ seed >> apart).bit_count() for seed in (each & (1 << 256) - 1 for each in seeds))
        share = same / (4_000 * 256)
        assert 0.49 <= share <= 0.51, f"bits that are {apart} apart agree too often or too seldom: {share}"
    for width in (16, 32, 64, 128):
        parts = [seed >> at & (1 << width) - 1 for seed in seeds for at in (0, 256 - width)]
        repeated = len(parts) - len(set(parts))
        assert repeated <= 2 * len(parts) ** 2 / 2 ** (width + 1) + 8, f"{repeated} parts of {width} bits came again"


@pytest.mark.parametrize("kind", ["server_seed", "client_seed", "token", "identifier", "fraction"])
def test_nothing_that_a_program_can_set_decides_what_is_drawn(kind, monkeypatch):
    """Not the clock, not the generator of `random`, not what another process of ours has drawn."""
    monkeypatch.setattr("time.time", lambda: 0.0)
    monkeypatch.setattr("time.time_ns", lambda: 0)
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    drawn = set()
    for _ in range(50):
        random.seed(7)
        entropy = SystemEntropy(SimpleNamespace(now_ms=lambda: NOON_MS))
        drawn.add(getattr(entropy, kind)())
    assert len(drawn) == 50


def test_two_processes_that_begin_alike_draw_different_seeds():
    script = (
        "import random; random.seed(1); from types import SimpleNamespace;"
        "from server.secrets.entropy import SystemEntropy;"
        "print(SystemEntropy(SimpleNamespace(now_ms=lambda: 0)).server_seed())"
    )
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    run = [sys.executable, "-c", script]
    drawn = {subprocess.run(run, env=environ, capture_output=True, text=True, check=True).stdout for _ in range(3)}
    assert len(drawn) == 3


@pytest.mark.parametrize("kind", ["server_seed", "client_seed", "token", "identifier"])
def test_all_bits_come_from_the_systems_generator(kind, monkeypatch):
    """A system that gives nothing but zeros shows in what is drawn; nothing else is mixed in that could hide less."""
    asked = []

    def zeros(count):
        asked.append(count)
        return bytes(count)

    monkeypatch.setattr("random._urandom", zeros)
    drawn = str(getattr(SystemEntropy(SimpleNamespace(now_ms=lambda: 0)), kind)())
    bits = {"server_seed": 256, "client_seed": 96, "token": 256, "identifier": 74}[kind]
    assert 8 * sum(asked) >= bits
    assert set(drawn) <= {"0", "A", "7", "8", "-"}
