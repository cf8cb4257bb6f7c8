import time

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.kit.fair_queue import CROWD
from server.config.values import network
from server.edge.listen.tolerance import ADDRESSES_MAX, Tolerance
from server.web.authentication import has_key
from tests.helpers.edge_fakes import PATIENCE_S, Client, open_edge, upgrade_request
from tests.helpers.web_fakes import FakeOperators, make_operator

LIVE = b"GET /livez HTTP/1.1\r\nHost: game.test\r\n\r\n"


async def test_a_burst_then_the_rate(autojump_clock):
    tolerance, start = Tolerance(10, 20), trio.current_time()
    for _ in range(10):
        await tolerance.spend("a", 2)
    assert trio.current_time() == start
    for _ in range(5):
        await tolerance.spend("a", 2)
    assert trio.current_time() - start == pytest.approx(0.9, abs=0.2)
    await tolerance.spend("b", 2)


async def test_what_is_given_back_lets_the_next_one_go_on(autojump_clock):
    tolerance, done = Tolerance(0.001, 4), []

    async def come(number):
        await tolerance.spend("a", 4)
        done.append(number)
        tolerance.give_back("a", 4)

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(CROWD * 3):
            nursery.start_soon(come, number)
    assert len(done) == CROWD * 3 and trio.current_time() - start < 1


async def test_who_waits_goes_on_when_another_of_its_address_has_proved_to_be_somebody(autojump_clock):
    tolerance, start = Tolerance(0.001, 4), trio.current_time()
    await tolerance.spend("a", 4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tolerance.spend, "a", 1)
        await wait_all_tasks_blocked()
        tolerance.give_back("a", 4)
    assert trio.current_time() == start


async def test_who_comes_later_does_not_pass_those_who_wait(autojump_clock):
    tolerance, passed = Tolerance(1, 1), []

    async def come(name):
        await tolerance.spend("a", 1)
        passed.append(name)

    await tolerance.spend("a", 2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(come, "first")
        await wait_all_tasks_blocked()
        await trio.sleep(0.5)
        tolerance._purse("a").units = 1.0
        nursery.start_soon(come, "later")
    assert passed == ["first", "later"]


async def test_who_asks_again_at_once_comes_behind_who_waits(autojump_clock):
    """Fifty connections of one address that ask and ask, and an honest one of the same address."""
    tolerance = Tolerance(200, 10)

    async def ask_for_ever():
        while True:
            await tolerance.spend("shared", 1)
            await trio.sleep(0.003)  # to the client and back, within the time of one unit

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(ask_for_ever)
        for phase_ms in range(1, 12):
            await trio.sleep(1 + phase_ms / 1000)
            with trio.fail_after(0.5):
                await tolerance.spend("shared", 1)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("flood", [50, 1_500])
async def test_a_flood_of_requests_keeps_nobody_of_its_address_from_a_socket(autojump_clock, flood):
    tolerance = Tolerance(200, 10)

    async def ask_for_ever():
        while True:
            await tolerance.spend("shared", 1)
            await trio.sleep(0.003)

    async with trio.open_nursery() as nursery:
        for _ in range(flood):
            nursery.start_soon(ask_for_ever)
        for phase_ms in range(1, 12):
            await trio.sleep(1 + phase_ms / 1000)
            with trio.fail_after(0.1):
                await tolerance.spend("shared", 4)
            tolerance.give_back("shared", 4)
        nursery.cancel_scope.cancel()


async def test_in_a_crowd_the_patient_have_their_turn_too(autojump_clock):
    """A thousand who ask again as soon as they are answered are always the newest ones."""
    tolerance = Tolerance(200, 10)

    async def ask_for_ever():
        while True:
            await tolerance.spend("shared", 1)
            await trio.sleep(0.001)

    async with trio.open_nursery() as nursery:
        for _ in range(1_000):
            nursery.start_soon(ask_for_ever)
        await trio.sleep(3)
        with trio.fail_after(1_000 / 100 + 1):  # every second turn is an oldest one's
            await tolerance.spend("shared", 1)
        nursery.cancel_scope.cancel()


async def test_who_gives_up_holds_nobody_up(autojump_clock):
    tolerance, done = Tolerance(1, 1), []

    async def come(number, patience_s):
        with trio.move_on_after(patience_s):
            await tolerance.spend("a", 1)
            done.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(come, number, 0.5 if number % 2 else 60)
    assert {0, 2, 4, 6, 8} <= set(done)


async def test_addresses_are_forgotten_in_time():
    tolerance = Tolerance(1, 1)
    for number in range(ADDRESSES_MAX + 10):
        await tolerance.spend(number, 1)
    assert len(tolerance._purses) == ADDRESSES_MAX


async def test_sockets_that_say_nothing_spend_what_their_address_has():
    async with open_edge(units_per_second=1, units_burst=20) as world:
        silent = []
        with trio.move_on_after(2):
            while True:
                stream = await world.connect()
                await stream.send_all(upgrade_request())
                await Client(stream).shake_hands()
                silent.append(stream)
        assert 3 <= len(silent) <= 8


@pytest.mark.parametrize("forwarded", [None, "203.0.113.7"])
async def test_upgrades_that_are_refused_spend_what_their_address_has(forwarded):
    trusted = (network("127.0.0.1/32"),) if forwarded else ()
    foreign = upgrade_request(Origin="https://elsewhere.test", X_Forwarded_For=forwarded)
    async with open_edge(units_per_second=0.01, units_burst=20, trusted_proxies=trusted) as world:
        refused = 0
        with trio.move_on_after(2):
            while refused < 100:
                async with await world.connect() as stream:
                    await stream.send_all(foreign)
                    assert b" 403 " in await stream.receive_some(1_000)
                refused += 1
        assert 5 <= refused <= 6


async def test_players_of_a_proxy_who_are_welcome_spend_nothing():
    async with open_edge(units_per_second=1, units_burst=20, trusted_proxies=(network("127.0.0.1/32"),)) as world:
        for _ in range(40):
            await world.player(X_Forwarded_For="203.0.113.7")


async def test_players_who_are_welcome_spend_nothing():
    async with open_edge(units_per_second=1, units_burst=20) as world:
        for _ in range(40):
            await world.player()


async def test_who_is_welcome_is_given_back_its_upgrade_and_not_the_requests_before():
    async with open_edge(units_per_second=0.001, units_burst=1_000) as world, await world.connect() as stream:
        for _ in range(5):
            await stream.send_all(LIVE)
            assert b" 200 " in await stream.receive_some(1_000)
        await world.player(stream=stream)
        assert round(1_000 - world.edge._shared.tolerance._purse("127.0.0.1").units) == 5


async def test_behind_a_proxy_each_request_is_its_own_clients():
    def request(client):
        return LIVE.replace(b"Host", b"X-Forwarded-For: 203.0.113.%d\r\nHost" % client)

    trusted = (network("127.0.0.1/32"),)
    async with open_edge(units_per_second=0.01, units_burst=1, trusted_proxies=trusted) as world:
        kept = await world.connect()

        async def ask(client, patience_s):
            with trio.move_on_after(patience_s):
                await kept.send_all(request(client))
                return b" 200 " in await kept.receive_some(1_000)

        for client in range(1, 20):
            assert await ask(client, PATIENCE_S), "each of them has a unit"
        assert not all([await ask(1, 0.5) for _ in range(3)]), "this one had its own"


async def test_whoever_has_an_operators_key_does_not_wait():
    def is_caller(head):
        return b"X-Operator-Key: right" in head

    async with open_edge(units_per_second=0.01, units_burst=1, is_caller=is_caller) as world:
        with trio.move_on_after(1) as patience:
            for _ in range(3):
                await world.get()
        assert patience.cancelled_caught, "strangers of this address wait"
        for _ in range(5):
            async with await world.connect() as stream:
                await stream.send_all(LIVE.replace(b"Host", b"X-Operator-Key: right\r\nHost"))
                with trio.fail_after(PATIENCE_S):
                    assert b" 200 " in await stream.receive_some(100)


def test_who_has_a_key():
    operator = make_operator(1)
    operators = FakeOperators()
    operators.add(operator)
    lines = ("GET / HTTP/1.1", f"x-operator-id: {operator.operator_id}", f"X-Operator-Key:{operator.api_key} ", "", "")
    good = "\r\n".join(lines).encode()
    assert has_key(operators, good)
    for bad in (good.replace(b"key-1", b"key-2"), good.replace(b"-id", b"-ie"), good.replace(b"-Key", b"-Kez"), b""):
        assert not has_key(operators, bad)


@pytest.mark.parametrize("spaces", [b" ", b" \t", b"\t\t \t"])
def test_no_head_takes_long_to_be_searched_for_a_key(spaces):
    """Anybody may send 15 KB of it, and 1.5 s of the event loop went to each."""
    value = b"a" + spaces * (15_000 // len(spaces)) + b"a"
    head = b"GET / HTTP/1.1\r\nHost: game.test\r\nX-Operator-Key: " + value + b"\r\n\r\n"
    began_s = time.thread_time()
    assert not has_key(FakeOperators(), head)
    assert time.thread_time() - began_s < 0.1
