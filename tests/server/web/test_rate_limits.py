import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.rate_limits import RateLimits
from server.http.errors import ApiError
from server.web.authentication import Authenticator
from server.web.routes import create_app
from tests.helpers.operator_client import LAUNCH, Casino

REVENUE = "/api/public/rgs/revenue?from=2026-07-01&to=2026-07-31"


def test_a_burst_then_the_rate():
    limits = RateLimits(per_second=10, burst=3, keys_max=10)
    assert [limits.take("a", 1000) for _ in range(5)] == [0, 0, 0, 100, 100]
    assert limits.take("b", 1000) == 0
    assert limits.wait_ms("a", 1099) == 1
    assert limits.take("a", 1100) == 0
    assert limits.take("a", 1100) == 100
    assert [limits.take("a", 60_000) for _ in range(4)] == [0, 0, 0, 100]


def test_the_quietest_key_is_forgotten():
    limits = RateLimits(per_second=1, burst=1, keys_max=2)
    assert [limits.take(key, 0) for key in "aba"] == [0, 0, 1000]
    assert limits.take("a", 1000) == 0
    assert limits.take("c", 1000) == 0  # forgets b
    assert limits.wait_ms("a", 1000) == limits.wait_ms("c", 1000) == 1000
    assert limits.wait_ms("b", 0) == 0


@given(
    rate=st.integers(1, 50),
    burst=st.integers(1, 20),
    steps=st.lists(st.integers(0, 400), min_size=1, max_size=200),
)
def test_no_period_sees_more_than_burst_and_rate_allow(rate, burst, steps):
    limits = RateLimits(rate, burst, keys_max=1)
    now_ms, taken = 0, []
    for step in steps:
        now_ms += step
        if limits.take("key", now_ms) == 0:
            taken.append(now_ms)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            allowed = burst + (taken[last] - taken[first]) * rate / 1000
            assert last - first + 1 <= allowed + 1e-6


async def test_each_operator_has_a_rate_of_its_own(world, start):
    port = await start(create_app(world.services(requests_per_second=2, requests_burst=3)))
    one, two = (Casino(port, operator) for operator in world.operators.operators.values())
    statuses = [(await one.get(REVENUE)).status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = await one.launch()
    assert (refused.code, refused.headers["retry-after"]) == ("rate_limited", "1")
    assert world.ledger.transitions == []
    assert (await two.get(REVENUE)).status == 200
    world.clock.ms += 500
    assert (await one.get(REVENUE)).status == 200


async def test_who_fails_to_authenticate_spends_nobodys_rate(world, start):
    port = await start(create_app(world.services(requests_per_second=1, requests_burst=1)))
    casino = Casino(port, next(iter(world.operators.operators.values())))
    forged = casino.headers("GET", REVENUE) | {"X-Signature": "0" * 64}
    for _ in range(3):
        assert (await casino.send("GET", REVENUE, headers=forged)).code == "bad_signature"
    assert (await casino.get(REVENUE)).status == 200


async def test_an_address_that_keeps_failing_is_refused_unread_but_never_locks_an_operator_out(world, start):
    port = await start(create_app(world.services(failures_per_second=1, failures_burst=3)))
    casino = Casino(port, next(iter(world.operators.operators.values())))
    stranger = casino.headers("POST", LAUNCH, b"{}") | {"X-Operator-Key": "wrong"}
    answers = [await casino.send("POST", LAUNCH, b"{}", stranger) for _ in range(5)]
    assert [answer.code for answer in answers] == ["invalid_credentials"] * 3 + ["rate_limited"] * 2
    assert answers[-1].headers["retry-after"] == "1"
    assert (await casino.launch()).status == 200
    world.clock.ms += 1000
    assert (await casino.send("POST", LAUNCH, b"{}", stranger)).code == "invalid_credentials"


async def test_all_addresses_of_one_ipv6_network_fail_together(world):
    services = world.services(failures_per_second=1, failures_burst=2)
    guard = Authenticator(services.operators, services.clock, services.metrics, services.settings)
    for last in (1, 2):
        guard.charge_failure(f"2001:db8::{last}")
    with pytest.raises(ApiError, match="rate_limited"):
        guard.charge_failure("2001:db8::3")
    guard.charge_failure("2001:db8:0:1::1")


async def test_forged_signatures_are_limited_like_other_failures(world, start):
    port = await start(create_app(world.services(failures_per_second=1, failures_burst=2)))
    casino = Casino(port, next(iter(world.operators.operators.values())))
    forged = casino.headers("GET", REVENUE) | {"X-Signature": "0" * 64}
    answers = [await casino.send("GET", REVENUE, headers=forged) for _ in range(4)]
    assert [answer.code for answer in answers] == ["bad_signature"] * 2 + ["rate_limited"] * 2
    assert (await casino.get(REVENUE)).status == 200


async def test_a_step_of_the_clocks_fills_no_bucket(world, start):
    port = await start(create_app(world.services(requests_per_second=1, requests_burst=1)))
    casino = Casino(port, next(iter(world.operators.operators.values())))
    assert [(await casino.get(REVENUE)).status for _ in range(2)] == [200, 429]
    world.clock.ms, world.clock.steady_ahead_ms = world.clock.ms + 5_000, -5_000
    assert (await casino.get(REVENUE)).status == 429
