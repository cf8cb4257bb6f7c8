"""Deadlines, kept connections, name servers."""

import socket
import ssl
import threading
import time

import httpx
import pytest
import trio
import trio.testing

from actors.facts.records import CallKind
from actors.ports.wallet import Acknowledged, Declined
from server.wallet.address_policy import AddressPolicy
from server.wallet.connection import AnswerBounds, Endpoint, Sending, UnansweredError, WalletConnection, connect
from server.wallet.gateway import HttpWalletGateway, WalletGatewaySettings
from server.wallet.transport import WalletTransport
from tests.helpers.raw_http import always, raw_server, reset, response
from tests.helpers.wallet_calls import (
    GOOD,
    FrozenClock,
    answer_to,
    assert_not_sent,
    assert_unclear,
    call,
    gateway,
    operator,
    signature_by_hand,
)

# Deadlines


async def within(limit_s, behaviour, timeout_ms=100):
    began_at = time.monotonic()
    answer = await answer_to(behaviour, timeout_ms)
    assert time.monotonic() - began_at < limit_s
    return answer


async def test_silence_ends_at_the_deadline():
    async def silent(stream, request):
        await trio.sleep_forever()

    assert_unclear(await within(1, silent), "in time")


@pytest.mark.parametrize("raw", [response(GOOD), response(GOOD).replace(b"Content-Length: 34\r\n", b"")])
async def test_a_slow_drip_ends_at_the_deadline(raw):
    async def drip(stream, request):
        for byte in raw:
            await stream.send_all(bytes([byte]))
            # All of it takes longer than this test lets it, and each byte comes in time.
            await trio.sleep(0.03)
        await trio.sleep_forever()

    assert_unclear(await within(1, drip), "in time")


async def test_endless_interim_answers_end_at_the_deadline():
    async def interim(stream, request):
        while True:
            await stream.send_all(b"HTTP/1.1 102 Processing\r\n\r\n")
            await trio.sleep(0.005)

    assert_unclear(await within(1, interim), "in time")


async def test_a_refusal_whose_body_stalls_is_still_a_refusal():
    async def stall(stream, request):
        await stream.send_all(b"HTTP/1.1 402 Payment Required\r\nContent-Length: 100\r\n\r\n{")
        await trio.sleep_forever()

    assert isinstance(await answer_to(stall, 2000, drain_ms_max=20), Declined)


async def test_the_body_of_a_refusal_that_never_ends_says_nothing():
    body = b'{"ok":false,"error":"already_booked"}'

    async def stall(stream, request):
        await stream.send_all(response(body, "409 Conflict").replace(b"Length: %d" % len(body), b"Length: 100"))
        await trio.sleep_forever()

    async with raw_server(stall) as server, gateway(drain_ms_max=20) as wallet:
        assert isinstance(await wallet.send(operator(server.url), call(CallKind.WIN), 2000), Declined)


async def test_a_host_that_accepts_nothing_ends_at_the_deadline():
    listener = trio.socket.socket()
    await listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    held = [trio.socket.socket() for _ in range(4)]
    with listener:
        async with trio.open_nursery() as nursery:
            for client in held:  # fill the backlog, so that the next connection isn't answered
                nursery.start_soon(client.connect, listener.getsockname())
            await trio.sleep(0.01)
            async with gateway() as wallet:
                url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                assert_not_sent(await wallet.send(operator(url), call(), 60), "in time")
            nursery.cancel_scope.cancel()
    for client in held:
        client.close()


async def test_an_address_that_does_not_answer_is_left_for_the_next_one(autojump_clock):
    async with raw_server(always(response(GOOD))) as server:
        port = int(server.url.rsplit(":", 1)[1])
        deaf, held = trio.socket.socket(), [trio.socket.socket() for _ in range(4)]
        await deaf.bind(("127.0.0.2", port))
        deaf.listen(0)
        async with trio.open_nursery() as nursery:
            for client in held:
                nursery.start_soon(client.connect, deaf.getsockname())
            await trio.testing.wait_all_tasks_blocked(0.01)
            with trio.fail_after(2):  # a bet has five seconds in all
                endpoint = Endpoint("wallet.example", port, is_tls=False)
                connection = await connect(endpoint, ["127.0.0.2", "127.0.0.1"], ssl.create_default_context())
            connection.close()
            nursery.cancel_scope.cancel()
        for client in (deaf, *held):
            client.close()


async def test_a_refused_connection_sends_nothing():
    async with raw_server(always(b"")) as server:
        pass
    async with gateway() as wallet:
        assert_not_sent(await wallet.send(operator(server.url), call(), 1000), "no connection")


async def test_cancelling_the_caller_cancels_the_call():
    async def silent(stream, request):
        await trio.sleep_forever()

    async with raw_server(silent) as server, gateway() as wallet:
        with trio.move_on_after(0.05) as scope:
            await wallet.send(operator(server.url), call(), 60_000)
        assert scope.cancelled_caught


async def test_calls_that_ended_badly_leave_no_connection_behind():
    open_now = 0

    async def silent(stream, request):
        nonlocal open_now
        open_now += 1
        try:
            assert await stream.receive_some(1) == b""
        finally:
            open_now -= 1
        return False

    async with raw_server(silent) as server, gateway() as wallet:
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(wallet.send, operator(server.url), call(), 50)
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert (server.connections, open_now) == (10, 0)


# Kept connections


async def test_a_connection_is_kept_and_used_again():
    async with raw_server(always(response(GOOD))) as server, gateway() as wallet:
        for _ in range(3):
            await wallet.send(operator(server.url), call(), 2000)
    assert [request.connection for request in server.requests] == [1, 1, 1]


async def test_a_refusal_keeps_the_connection():
    async with raw_server(always(response(b'{"ok":false}', "402 No"))) as server, gateway() as wallet:
        for _ in range(2):
            await wallet.send(operator(server.url), call(), 2000)
    assert server.connections == 1


async def test_a_call_that_outlives_the_gateway_is_answered_and_keeps_no_connection():
    asked, may_answer, ended = trio.Event(), trio.Event(), trio.Event()

    async def answer(stream, request):
        asked.set()
        await may_answer.wait()
        await stream.send_all(response(GOOD))
        assert await stream.receive_some(1) == b""
        ended.set()
        return False

    answers = []
    async with raw_server(answer) as server, gateway() as wallet, trio.open_nursery() as nursery:

        async def send():
            answers.append(await wallet.send(operator(server.url), call(), 2000))

        nursery.start_soon(send)
        await asked.wait()
        await wallet.aclose()
        may_answer.set()
        with trio.fail_after(5):
            await ended.wait()
    assert answers == [Acknowledged(490_000)]


@pytest.mark.parametrize("abrupt", [False, True])
async def test_a_kept_connection_that_closes_under_the_call_is_tried_once_more(abrupt):
    async def answer(stream, request):
        if request.connection == 1 and len(server.requests) == 2:
            if abrupt:
                reset(stream)
            return False
        await stream.send_all(response(GOOD))
        return True

    async with raw_server(answer) as server, gateway() as wallet:
        assert await wallet.send(operator(server.url), call(), 2000) == Acknowledged(490_000)
        assert await wallet.send(operator(server.url), call(), 2000) == Acknowledged(490_000, sends=2)
    assert [request.connection for request in server.requests] == [1, 1, 2]
    lost, again = server.requests[1:]
    assert lost.body == again.body
    assert again.header("X-Signature") == signature_by_hand("1782864001", "/bet", again.body)


async def test_the_second_try_is_the_last():
    async def answer(stream, request):
        if len(server.requests) == 1:
            await stream.send_all(response(GOOD))
            return True
        return False

    async with raw_server(answer) as server, gateway() as wallet:
        await wallet.send(operator(server.url), call(), 2000)
        assert_unclear(await wallet.send(operator(server.url), call(), 2000), "lost")
    assert len(server.requests) == 3


async def test_a_new_connection_that_closes_unanswered_is_not_tried_again():
    async with raw_server(always(b"", keep=False)) as server, gateway() as wallet:
        assert_unclear(await wallet.send(operator(server.url), call(), 2000), "lost")
    assert len(server.requests) == 1


@pytest.mark.parametrize("raw", [b"garbage\r\n\r\n", response(GOOD)[:-5]])
async def test_a_bad_answer_on_a_kept_connection_is_not_tried_again(raw):
    answers = [response(GOOD), raw]

    async def answer(stream, request):
        await stream.send_all(answers.pop(0))
        return bool(answers)

    async with raw_server(answer) as server, gateway() as wallet:
        await wallet.send(operator(server.url), call(), 2000)
        assert_unclear(await wallet.send(operator(server.url), call(), 2000))
    assert len(server.requests) == 2


LEFT_OPEN = {
    "the wallet will close it": response(GOOD, "200 OK", "Connection: close"),
    "an older protocol": response(GOOD).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "another answer behind it": response(GOOD) + response(b'{"ok":true,"balance_minor":1}'),
    "a part of another one": response(GOOD) + b"HTTP/1.1 200 O",
    "something else behind it": response(GOOD) + b"\0",
}


@pytest.mark.parametrize("raw", LEFT_OPEN.values(), ids=LEFT_OPEN)
async def test_a_connection_on_which_anything_is_left_is_not_used_again(raw):
    """Though the wallet leaves it open: what is on it belongs to no other call."""
    async with raw_server(always(raw)) as server, gateway() as wallet:
        for _ in range(2):
            assert await wallet.send(operator(server.url), call(), 2000) == Acknowledged(490_000)
    assert [request.connection for request in server.requests] == [1, 2]


async def test_a_connection_that_closed_while_idle_is_not_used():
    async with raw_server(always(response(GOOD), keep=False)) as server, gateway() as wallet:
        for _ in range(2):
            assert await wallet.send(operator(server.url), call(), 2000) == Acknowledged(490_000)
            await trio.sleep(0.01)
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize("extra", [0, 1, 9])
async def test_idle_connections_are_bounded(extra):
    gate = trio.Event()

    async def together(stream, request):
        if len(server.requests) == 4 + extra:
            gate.set()
        await gate.wait()
        await stream.send_all(response(GOOD))
        with trio.move_on_after(0.05):
            assert await stream.receive_some(1) == b""
            closed.append(stream)
        return True

    closed = []
    async with raw_server(together) as server, gateway(idle_connections_max=4) as wallet:
        async with trio.open_nursery() as nursery:
            for _ in range(4 + extra):
                nursery.start_soon(wallet.send, operator(server.url), call(), 2000)
        await trio.sleep(0.06)
        assert len(closed) == extra


class Refusing:
    """An encrypted stream whose other side has answered before it read all, and has closed."""

    def __init__(self, *received):
        self.received = [*received, b""]

    async def send_all(self, data):
        raise trio.BrokenResourceError

    async def receive_some(self, max_bytes):
        return self.received.pop(0)


ENDPOINT = Endpoint("wallet.example", 443, is_tls=True)


def post(may_reuse=True):
    extensions = {"sending": Sending(may_reuse)}
    return httpx.Request("POST", "https://wallet.example/bet", content=b"{}", extensions=extensions)


@pytest.mark.parametrize("parts", [1, 2])
async def test_an_answer_that_came_before_the_call_could_be_written_counts(parts):
    raw = response(b'{"ok":false}', "402 Payment Required")
    cut = len(raw) // parts
    connection, sending = WalletConnection(ENDPOINT, Refusing(raw[:cut], raw[cut:]), None), Sending(may_reuse=False)
    answer = await connection.exchange(post(), sending, AnswerBounds())
    assert answer.status_code == 402 and sending.has_left


@pytest.mark.parametrize("is_kept", [False, True])
async def test_a_call_that_could_not_be_written_and_is_not_answered_may_have_left(is_kept):
    connection, sending = WalletConnection(ENDPOINT, Refusing(), None), Sending(may_reuse=False)
    connection.is_reusable = is_kept
    with pytest.raises(UnansweredError, match="lost"):
        await connection.exchange(post(), sending, AnswerBounds())
    assert (sending.has_left, sending.is_stale) == (True, is_kept)


class Kept:
    """A connection that is as good as new, and notes what becomes of it."""

    endpoint, is_reusable, is_closed, calls = ENDPOINT, True, False, 0

    async def is_quiet(self):
        return True

    async def exchange(self, request, sending, bounds):
        self.calls += 1
        return httpx.Response(200)

    def close(self):
        self.is_closed = True


def transport(lookup=socket.getaddrinfo, **settings):
    return WalletTransport(WalletGatewaySettings(**settings), ssl.create_default_context(), AddressPolicy(), lookup)


def keep(idle):
    connection = Kept()
    idle._keep_or_close(connection)
    return connection


async def test_connections_that_were_idle_too_long_are_closed_when_another_one_is_kept(autojump_clock):
    """Also while a newer one is used again and again: the wallet would close them under a call."""
    idle, kept = transport(idle_ms_max=4_000), []
    for _ in range(3):
        kept.append(keep(idle))
        await trio.sleep(2)
    assert [connection.is_closed for connection in kept] == [True, False, False]
    await idle.aclose()
    assert all(connection.is_closed for connection in kept)


async def test_the_connection_that_was_used_last_is_used_next(autojump_clock):
    """Of those that are kept it is the least likely to be closed by the wallet in the meantime."""
    idle = transport()
    older, newer = keep(idle), keep(idle)
    for _ in range(3):
        await idle.handle_async_request(post())
    assert (older.calls, newer.calls) == (0, 3)


async def test_a_deadline_ends_with_its_call_and_leaves_the_kept_connection_alone():
    async with raw_server(always(response(GOOD))) as server, gateway() as wallet:
        for _ in range(2):
            assert await wallet.send(operator(server.url), call(), 200) == Acknowledged(490_000)
            await trio.sleep(0.25)
    assert server.connections == 1


async def test_a_connection_that_was_idle_too_long_is_not_used():
    async with raw_server(always(response(GOOD))) as server, gateway(idle_ms_max=10) as wallet:
        await wallet.send(operator(server.url), call(), 2000)
        await trio.sleep(0.015)
        await wallet.send(operator(server.url), call(), 2000)
    assert server.connections == 2


async def test_a_changed_url_gets_a_connection_of_its_own():
    good = always(response(GOOD))
    async with raw_server(good) as old, raw_server(good) as new, gateway() as wallet:
        await wallet.send(operator(old.url), call(), 2000)
        await wallet.send(operator(new.url), call(), 2000)
    assert (len(old.requests), len(new.requests)) == (1, 1)


async def test_a_stray_second_answer_is_never_taken_for_the_next_call():
    async def answer(stream, request):
        await stream.send_all(response(b'{"ok":false}') + response(GOOD))
        return True

    async with raw_server(answer) as server, gateway() as wallet:
        for _ in range(3):
            assert isinstance(await wallet.send(operator(server.url), call(), 2000), Declined)


async def test_a_slow_operator_delays_no_other():
    async def silent(stream, request):
        await trio.sleep_forever()

    async with (
        raw_server(silent) as slow,
        raw_server(always(response(GOOD))) as quick,
        gateway() as wallet,
        trio.open_nursery() as nursery,
    ):
        for _ in range(40):
            nursery.start_soon(wallet.send, operator(slow.url, 1), call(), 60_000)
        await trio.testing.wait_all_tasks_blocked(0.02)
        with trio.fail_after(1):
            answer = await wallet.send(operator(quick.url, 2), call(), 1000)
        nursery.cancel_scope.cancel()
    assert answer == Acknowledged(490_000)


def named(port):
    """What a resolver answers for a name: an address that refuses, and one that accepts."""
    return [(2, 1, 6, "", ("127.0.0.2", port)), (2, 1, 6, "", ("127.0.0.1", port))]


async def test_a_stuck_name_server_delays_no_other_operator():
    stuck, asked = threading.Event(), []

    def lookup(host, port, **_):
        if host == "stuck.example":
            asked.append(host)
            stuck.wait(5)
        return named(server.port)

    settings = WalletGatewaySettings(allow_insecure_callbacks=True)
    async with raw_server(always(response(GOOD))) as server, trio.open_nursery() as nursery:
        # Plain HTTP to a name is against policy but for localhost, which is looked up like any other name.
        async with HttpWalletGateway(settings, FrozenClock(), lookup=lookup) as wallet:
            for _ in range(100):
                nursery.start_soon(wallet.send, operator("https://stuck.example", 1), call(), 60_000)
            await trio.testing.wait_all_tasks_blocked(0.02)
            answer = await wallet.send(operator(f"http://localhost:{server.port}", 2), call(), 1000)
        assert len(asked) <= 4, "a hundred calls take no more threads than that"
        stuck.set()
        nursery.cancel_scope.cancel()
    assert answer == Acknowledged(490_000)


@pytest.mark.parametrize("error", [OSError("no such host"), UnicodeError("label too long")])
async def test_to_an_unknown_host_nothing_is_sent(error):
    def lookup(*_, **__):
        raise error

    async with HttpWalletGateway(WalletGatewaySettings(), FrozenClock(), lookup=lookup) as wallet:
        assert_not_sent(await wallet.send(operator("https://wallet.example"), call(), 1000), "not found")


async def test_a_slow_name_server_ends_at_the_deadline():
    stuck = threading.Event()

    def lookup(*_, **__):
        stuck.wait(5)
        return []

    async with HttpWalletGateway(WalletGatewaySettings(), FrozenClock(), lookup=lookup) as wallet:
        assert_not_sent(await wallet.send(operator("https://wallet.example"), call(), 50), "in time")
    stuck.set()


async def test_of_a_host_with_many_addresses_the_first_four_are_tried_each_once():
    def lookup(host, port, **_options):
        return [(None, None, None, None, (f"8.8.8.{number // 2}", port)) for number in range(20)]

    assert await transport(lookup).addresses(ENDPOINT) == [f"8.8.8.{number}" for number in range(4)]
