"""Outcomes against the customer's vectors, and the exact return of every strategy."""

import hashlib
import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules import fairness
from tests.helpers.vectors import ORIGINAL_PATH, VECTORS


def test_the_vectors_are_the_customers():
    if ORIGINAL_PATH.exists():
        assert json.loads(ORIGINAL_PATH.read_text(encoding="utf-8")) == VECTORS
    assert len(VECTORS["rounds"]) >= 10


@pytest.mark.parametrize("vector", VECTORS["rounds"], ids=lambda vector: vector["server_seed"][:8])
def test_every_vector_holds(vector):
    outcome = fairness.outcome(
        vector["server_seed"],
        vector["client_seed"],
        vector["nonce"],
        vector["rtp_bps"],
        vector["max_win_multiplier"],
    )
    assert fairness.commitment(vector["server_seed"]) == vector["server_seed_hash"]
    assert outcome.crash_hundredths == vector["crash_hundredths"]
    assert (outcome.map_seed, outcome.loot_seed, outcome.guard_seed) == (
        vector["map_seed"],
        vector["loot_seed"],
        vector["guard_seed"],
    )


def drawn_to_digest(drawn: int) -> str:
    return f"{drawn:013x}" + "0" * 51


def chance_of_reaching(hundredths: int, rtp_bps: int, max_win_multiplier: int) -> Fraction:
    """How many of all 2^52 draws crash at or above ``hundredths``, found by bisection: the crash point is monotonic."""
    low, high = 0, 1 << 52
    while low < high:
        middle = (low + high) // 2
        if fairness.crash_hundredths(drawn_to_digest(middle), rtp_bps, max_win_multiplier) >= hundredths:
            high = middle
        else:
            low = middle + 1
    return Fraction((1 << 52) - low, 1 << 52)


@given(
    rtp_bps=st.integers(8_000, 10_000),
    hundredths=st.integers(101, 200_000),
)
def test_every_cash_out_strategy_returns_exactly_the_rtp(rtp_bps, hundredths):
    """Over all 2^52 draws: stake x multiplier x chance is the return to within the grain of one draw, never above."""
    returned = chance_of_reaching(hundredths, rtp_bps, 2_000) * Fraction(hundredths, 100)
    rtp = Fraction(rtp_bps, 10_000)
    assert rtp - Fraction(hundredths, 100 << 52) < returned <= rtp


@given(drawn=st.integers(0, (1 << 52) - 1), rtp_bps=st.integers(1, 10_000), max_win=st.integers(2, 100_000))
def test_a_crash_point_stays_between_its_bounds(drawn, rtp_bps, max_win):
    assert 100 <= fairness.crash_hundredths(drawn_to_digest(drawn), rtp_bps, max_win) <= 100 * max_win


@pytest.mark.parametrize(
    ("seed", "good"),
    [("a", True), ("A-z_9" * 12, True), ("x" * 64, True), ("x" * 65, False), ("", False), ("a b", False), ("ä", False)],
)
def test_client_seeds_are_judged(seed, good):
    assert fairness.is_client_seed(seed) is good


@pytest.mark.parametrize("seed", ["0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n"])
def test_a_malformed_server_seed_is_none(seed):
    assert not fairness.is_server_seed(seed)


@given(
    st.text("0123456789abcdef", min_size=64, max_size=64),
    st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    st.integers(1, 2**40),
)
def test_outcomes_are_what_anybody_computes_by_rfc_2104(server_seed, client_seed, nonce):
    def by_hand(topic):
        inner, outer = (bytes(byte ^ pad for byte in server_seed.encode()) for pad in (0x36, 0x5C))
        text = f"{client_seed}:{nonce}:{topic}".encode()
        return hashlib.sha256(outer + hashlib.sha256(inner + text).digest()).hexdigest()

    outcome = fairness.outcome(server_seed, client_seed, nonce, 9_600, 2_000)
    assert fairness.digest(server_seed, client_seed, nonce, "crash") == by_hand("crash")
    assert (outcome.map_seed, outcome.loot_seed, outcome.guard_seed) == (
        by_hand("map"),
        by_hand("loot"),
        by_hand("guard"),
    )
