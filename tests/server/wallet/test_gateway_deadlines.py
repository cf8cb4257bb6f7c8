"""The deadline of calls on kept connections."""

from contextlib import suppress

import pytest
import trio
import trio.testing

from actors.ports.wallet import Acknowledged, Declined, Unclear
from tests.helpers.raw_http import raw_server, response
from tests.helpers.wallet_calls import GOOD, answer_to, call, gateway, operator


def after_one(behaviour):
    """The first answer is good, then what ``behaviour`` does."""
    first = []

    async def serve(stream, request):
        if not first:
            first.append(request)
            await stream.send_all(response(GOOD))
            return True
        return await behaviour(stream, request)

    return serve


async def second_answer(behaviour, timeout_ms=100, **settings):
    """The answer on a connection that was kept."""

    async def serve(stream, request):
        with suppress(trio.BrokenResourceError):
            return await behaviour(stream, request)

    async with raw_server(after_one(serve)) as server, gateway(**settings) as wallet:
        assert await wallet.send(operator(server.url), call(), 2000) == Acknowledged(490_000)
        with trio.fail_after(2):
            return await wallet.send(operator(server.url), call(), timeout_ms)


async def test_silence_ends_when_it_is_overdue():
    async def silent(stream, request):
        await trio.sleep_forever()

    assert await second_answer(silent) == Unclear("no answer in time")


async def test_a_drip_ends_when_it_is_overdue():
    async def drip(stream, request):
        for byte in response(GOOD):
            await stream.send_all(bytes([byte]))
            await trio.sleep(0.005)

    assert await second_answer(drip) == Unclear("no answer in time")


async def test_bytes_without_an_end_are_overdue_too():
    """There is always something to read: nothing but the deadline ends the call before its answer is too large."""

    async def interim(stream, request):
        while True:
            await stream.send_all(b"HTTP/1.1 102 Processing\r\n\r\n")
            await trio.sleep(0.002)

    assert await second_answer(interim) == Unclear("no answer in time")


@pytest.mark.parametrize(
    ("drain_ms_max", "answer"), [(20, Declined("the wallet answered 402")), (60_000, Unclear("no answer in time"))]
)
async def test_a_refusal_whose_body_stalls_is_one_on_kept_and_new_connections(drain_ms_max, answer):
    async def stall(stream, request):
        await stream.send_all(b"HTTP/1.1 402 Payment Required\r\nContent-Length: 100\r\n\r\n{")
        await trio.sleep_forever()

    assert await second_answer(stall, drain_ms_max=drain_ms_max) == answer
    assert await answer_to(stall, 100, drain_ms_max=drain_ms_max) == answer


async def test_a_call_that_is_overdue_leaves_no_connection_behind_and_the_next_one_works():
    is_closed, quiet = trio.Event(), [True]

    async def silent_once(stream, request):
        if not quiet:
            await stream.send_all(response(GOOD))
            return True
        quiet.clear()
        assert await stream.receive_some(1) == b""
        is_closed.set()
        return False

    async with raw_server(after_one(silent_once)) as server, gateway() as wallet:
        await wallet.send(operator(server.url), call(), 2000)
        assert await wallet.send(operator(server.url), call(), 50) == Unclear("no answer in time")
        with trio.fail_after(2):
            await is_closed.wait()
        assert await wallet.send(operator(server.url), call(), 2000) == Acknowledged(490_000)
    assert server.connections == 2


async def test_a_stale_connection_leaves_the_second_try_what_is_left_of_the_time():
    async def close_late(stream, request):
        if len(server.requests) == 2:
            await trio.sleep(0.05)
            return False
        await trio.sleep_forever()
        return True

    async with raw_server(after_one(close_late)) as server, gateway() as wallet:
        await wallet.send(operator(server.url), call(), 2000)
        began_at = trio.current_time()
        assert await wallet.send(operator(server.url), call(), 150) == Unclear("no answer in time", sends=2)
        assert trio.current_time() - began_at < 2
    assert server.connections == 2


async def test_one_call_that_is_overdue_ends_no_other():
    async def serve(stream, request):
        if len(server.requests) == 3:
            await trio.sleep_forever()
        await trio.sleep(0.2)
        await stream.send_all(response(GOOD))
        return True

    answers = {}

    async def send(wallet, timeout_ms):
        answers[timeout_ms] = await wallet.send(operator(server.url), call(), timeout_ms)

    async with raw_server(serve) as server, gateway() as wallet:
        async with trio.open_nursery() as nursery:  # two connections to keep
            nursery.start_soon(send, wallet, 2000)
            nursery.start_soon(send, wallet, 2001)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, wallet, 60)
            await trio.testing.wait_all_tasks_blocked()
            while len(server.requests) < 3:
                await trio.sleep(0.001)
            nursery.start_soon(send, wallet, 3000)
    assert answers[60] == Unclear("no answer in time")
    assert answers[3000] == Acknowledged(490_000)
    assert server.connections == 2


async def test_cancelling_the_caller_cancels_the_call():
    async def silent(stream, request):
        await trio.sleep_forever()

    async with raw_server(after_one(silent)) as server, gateway() as wallet:
        await wallet.send(operator(server.url), call(), 2000)
        with trio.move_on_after(0.05) as scope:
            await wallet.send(operator(server.url), call(), 60_000)
        assert scope.cancelled_caught
        assert await wallet.send(operator(server.url), call(), 30) == Unclear("no answer in time")
