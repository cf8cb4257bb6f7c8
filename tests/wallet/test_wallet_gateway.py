import gzip
import hashlib
import hmac
import json
import logging
import random
import socket
import ssl
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import trio
import trio.testing
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from actors.ports import Acknowledged, Declined, Unclear
from actors.records import CallKind, Operator, OperatorStatus, WalletCall
from server.callback_url import callback_url_error
from server.wallet_connection import Resolver
from server.wallet_gateway import HttpxWalletGateway, WalletGatewaySettings
from tests.helpers.raw_http import always, raw_server, reset, response

SECRET = "the-hmac-secret-of-this-operator"
KEY = "the-api-key-of-this-operator"
NOW_MS = 1_782_864_001_999
GOOD = b'{"ok":true,"balance_minor":490000}'


class FrozenClock:
    def __init__(self):
        self.ms = NOW_MS

    def now_ms(self):
        return self.ms


def operator(url: str, number: int = 1) -> Operator:
    return Operator(
        operator_id=UUID(int=number),
        name="Test",
        api_key=KEY,
        hmac_secret=SECRET,
        wallet_callback_url=url,
        rtp_bps=9600,
        max_win_multiplier=2000,
        rev_share_bps=1500,
        status=OperatorStatus.ACTIVE,
        bet_limits={"USD": None},
        allow_cidrs=(),
        frame_origins=("https://casino.example",),
    )


def call(kind: CallKind = CallKind.BET) -> WalletCall:
    return WalletCall(
        operator_id=UUID(int=1),
        session_id=UUID(int=2),
        round_id=UUID(int=3),
        operator_tx_id=f"{kind.value}-{UUID(int=3)}",
        kind=kind,
        amount_minor=10_000,
        body='{"operator_tx_id":"bet-1","operator_player_id":"player-é€"}'.encode(),
        position=2,
        created_at_ms=NOW_MS,
        next_attempt_at_ms=NOW_MS,
    )


@asynccontextmanager
async def gateway(**settings):
    with HttpxWalletGateway(WalletGatewaySettings(allow_insecure_callbacks=True, **settings), FrozenClock()) as made:
        yield made


async def answer_to(behaviour, timeout_ms=2000, **settings):
    async with raw_server(behaviour) as server, gateway(**settings) as wallet:
        return await wallet.send(operator(server.url + "/wallet"), call(), timeout_ms)


def assert_unclear(answer, says=""):
    assert isinstance(answer, Unclear), answer
    assert says in answer.detail
    assert 0 < len(answer.detail) <= 120
    assert answer.detail.isprintable()


# What goes out


def signature_by_hand(timestamp: str, target: str, body: bytes) -> str:
    text = timestamp + ".POST." + target + "." + hashlib.sha256(body).hexdigest()
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("kind", list(CallKind))
@pytest.mark.parametrize(
    ("base", "target"),
    [("", "/"), ("/", "/"), ("/wallet", "/wallet/"), ("/wallet/", "/wallet/"), ("/a%2Fb/~c", "/a%2Fb/~c/")],
)
async def test_a_call_is_signed_over_the_target_on_the_wire(kind, base, target):
    async with raw_server(always(response(GOOD))) as server, gateway() as wallet:
        assert await wallet.send(operator(server.url + base), call(kind), 2000) == Acknowledged(490_000)
    (request,) = server.requests
    assert request.request_line == f"POST {target}{kind.value} HTTP/1.1".encode()
    assert request.body == call(kind).body
    assert request.header("X-Operator-Id") == str(UUID(int=1))
    assert request.header("X-Operator-Key") == KEY
    assert request.header("X-Timestamp") == "1782864001"
    assert request.header("X-Signature") == signature_by_hand("1782864001", request.target, request.body)
    assert request.header("Content-Type") == "application/json"
    assert request.header("Content-Length") == str(len(request.body))


async def test_a_path_of_every_allowed_character_is_sent_as_it_is():
    path = "/" + "".join(
        chr(code) for code in range(33, 127) if not callback_url_error(f"https://a/{chr(code)}", False)
    )
    assert len(path) > 75
    path += "/%2f%2F%00//x"
    async with raw_server(always(response(GOOD))) as server, gateway() as wallet:
        await wallet.send(operator(server.url + path), call(), 2000)
    (request,) = server.requests
    assert request.target == path + "/bet"
    assert request.header("X-Signature") == signature_by_hand("1782864001", path + "/bet", request.body)


async def test_nothing_unasked_is_sent():
    async with raw_server(always(response(GOOD))) as server, gateway() as wallet:
        await wallet.send(operator(server.url), call(), 2000)
    (request,) = server.requests
    assert request.header("Host") == f"127.0.0.1:{server.port}"
    assert sorted(name.lower() for name, _ in request.headers) == [
        "accept",
        "accept-encoding",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "x-operator-id",
        "x-operator-key",
        "x-signature",
        "x-timestamp",
    ]


async def test_the_secret_never_travels():
    async with raw_server(always(response(GOOD))) as server, gateway() as wallet:
        await wallet.send(operator(server.url), call(), 2000)
    (request,) = server.requests
    assert all(SECRET not in value and name.lower() != "x-operator-hmac" for name, value in request.headers)


async def test_every_attempt_has_a_fresh_timestamp_and_signature():
    clock = FrozenClock()
    async with raw_server(always(response(GOOD))) as server:
        with HttpxWalletGateway(WalletGatewaySettings(allow_insecure_callbacks=True), clock) as wallet:
            await wallet.send(operator(server.url), call(), 2000)
            clock.ms += 1000
            await wallet.send(operator(server.url), call(), 2000)
    first, second = server.requests
    assert first.body == second.body
    assert second.header("X-Timestamp") == "1782864002"
    assert second.header("X-Signature") == signature_by_hand("1782864002", "/bet", second.body)


async def test_cookies_are_neither_kept_nor_sent():
    async with raw_server(always(response(GOOD, "200 OK", "Set-Cookie: a=b"))) as server, gateway() as wallet:
        await wallet.send(operator(server.url), call(), 2000)
        await wallet.send(operator(server.url), call(), 2000)
    assert all(name.lower() != "cookie" for request in server.requests for name, _ in request.headers)


# What the answers mean


@pytest.mark.parametrize("balance_minor", [0, 1, 10**15])
async def test_a_proper_answer_is_acknowledged(balance_minor):
    body = json.dumps({"ok": True, "balance_minor": balance_minor, "more": [1]}).encode()
    assert await answer_to(always(response(body))) == Acknowledged(balance_minor)


async def test_a_chunked_answer_is_read():
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
        b"1\r\n" + bytes([byte]) + b"\r\n" for byte in GOOD
    )
    assert await answer_to(always(raw + b"0\r\n\r\n")) == Acknowledged(490_000)


async def test_an_answer_that_ends_with_the_connection_is_read():
    assert await answer_to(always(b"HTTP/1.0 200 OK\r\n\r\n" + GOOD, keep=False)) == Acknowledged(490_000)


async def test_an_interim_answer_is_skipped():
    raw = b"HTTP/1.1 102 Processing\r\n\r\n" + response(GOOD)
    assert await answer_to(always(raw)) == Acknowledged(490_000)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 410, 413, 422, 451, 499])
async def test_other_4xx_decline(status):
    answer = await answer_to(always(response(GOOD, f"{status} No")))
    assert answer == Declined(f"the wallet answered {status}")


async def test_200_with_ok_false_declines():
    body = b'{"ok":false,"error":"insufficient funds of player-42","balance_minor":3}'
    answer = await answer_to(always(response(body)))
    assert isinstance(answer, Declined)
    assert "player-42" not in answer.detail


@pytest.mark.parametrize(
    "status", [201, 202, 203, 206, 300, 301, 302, 303, 307, 308, 408, 425, 429, 500, 501, 502, 503, 504, 520, 599, 600]
)
async def test_statuses_that_leave_the_debit_unknown(status):
    assert_unclear(await answer_to(always(response(GOOD, f"{status} Hm"))), str(status))


@pytest.mark.parametrize("status", [204, 304])
async def test_statuses_without_a_body_are_unclear(status):
    assert_unclear(await answer_to(always(f"HTTP/1.1 {status} Hm\r\n\r\n".encode())), str(status))


async def test_switching_protocols_is_unclear():
    raw = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
    assert_unclear(await answer_to(always(raw)))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"ok",
        b"null",
        b"true",
        b"[]",
        b'"ok"',
        b"{}",
        b'{"balance_minor":1}',
        b'{"ok":1,"balance_minor":1}',
        b'{"ok":"true","balance_minor":1}',
        b'{"ok":null,"balance_minor":1}',
        b'{"ok":true}',
        b'{"ok":true,"balance_minor":true}',
        b'{"ok":true,"balance_minor":null}',
        b'{"ok":true,"balance_minor":"1"}',
        b'{"ok":true,"balance_minor":1.0}',
        b'{"ok":true,"balance_minor":1e3}',
        b'{"ok":true,"balance_minor":-1}',
        b'{"ok":true,"balance_minor":1000000000000001}',
        b'{"ok":true,"balance_minor":' + b"9" * 5000 + b"}",
        b'{"ok":true,"balance_minor":NaN}',
        b'{"ok":true,"balance_minor":[1]}',
        b'{"ok":true,"ok":false,"balance_minor":1}',
        b'{"ok":true,"balance_minor":1} {}',
        b'\xef\xbb\xbf{"ok":true,"balance_minor":1}',
        b'{"ok":true,"balance_minor":1,"name":"\xff"}',
        '{"ok":true,"balance_minor":1}'.encode("utf-16"),
        b"[" * 30_000,
        b"<html>ok</html>",
    ],
)
async def test_a_200_that_cannot_be_read_is_unclear(body):
    assert_unclear(await answer_to(always(response(body))))


@pytest.mark.parametrize("body", [GOOD, gzip.compress(GOOD), b"garbage"])
async def test_a_compressed_answer_is_unclear(body):
    assert_unclear(await answer_to(always(response(body, "200 OK", "Content-Encoding: gzip"))), "compressed")


async def test_a_compressed_refusal_is_a_refusal():
    raw = response(gzip.compress(b"no"), "402 No", "Content-Encoding: gzip")
    assert await answer_to(always(raw)) == Declined("the wallet answered 402")


# Answers that are not one


async def test_a_redirect_is_not_followed():
    async with raw_server(always(response(GOOD))) as elsewhere:
        location = f"Location: {elsewhere.url}/stolen"
        assert_unclear(await answer_to(always(response(b"", "307 Moved", location))), "307")
    assert elsewhere.connections == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 OK 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n" + GOOD,
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n" + GOOD,
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n" + GOOD,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + GOOD,
        b"HTTP/2.0 200 OK\r\n\r\n" + GOOD,
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    ],
)
async def test_garbage_is_unclear(raw):
    assert_unclear(await answer_to(always(raw, keep=False)))


@pytest.mark.parametrize("length", [0, 5, 40, 70])
async def test_half_an_answer_is_unclear(length):
    assert_unclear(await answer_to(always(response(GOOD)[:length], keep=False)))


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 34\r\n\r\n" + GOOD[:9]])
async def test_a_reset_is_unclear(raw):
    async def answer(stream, request):
        if raw:
            await stream.send_all(raw)
        reset(stream)
        return False

    assert_unclear(await answer_to(answer), "lost")


async def test_damaged_answers_are_answers_of_ours(caplog):
    """Bytes changed, dropped and doubled at random, from a fixed seed: nothing surprises the gateway."""
    chance = random.Random(20_260_701)
    whole = [
        response(GOOD),
        response(GOOD, "402 No"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ]

    async def answer(stream, request):
        raw = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(raw))
            piece = [bytes([chance.randrange(256)]), b"", bytes(raw[at : at + 9]) * 2, b"\r\n"][chance.randrange(4)]
            raw[at : at + 1] = piece
        await stream.send_all(bytes(raw))
        return chance.random() < 0.5

    async with raw_server(answer) as server, gateway(drain_ms_max=5) as wallet:
        answers = [await wallet.send(operator(server.url), call(), 20) for _ in range(120)]
    assert {type(one) for one in answers} == {Acknowledged, Declined, Unclear}
    assert not caplog.records


async def test_an_oversized_answer_is_cut_off():
    sent = 0

    async def flood(stream, request):
        nonlocal sent
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await stream.send_all(b" " * 65_536)
            sent += 65_536

    with trio.fail_after(5):
        assert_unclear(await answer_to(flood, 4000), "too large")
    assert sent < 64 * 1024 * 1024


@pytest.mark.parametrize(("padding", "accepted"), [(0, True), (1, False)])
async def test_the_cap_is_exact(padding, accepted):
    answer = await answer_to(always(response(GOOD + b" " * padding)), answer_bytes_max=len(GOOD))
    assert isinstance(answer, Acknowledged) is accepted


async def test_the_answer_after_an_oversized_one_is_read():
    bodies = [GOOD + b" " * 70_000, GOOD]

    async def answer(stream, request):
        await stream.send_all(response(bodies.pop(0)))
        return True

    async with raw_server(answer) as server, gateway() as wallet:
        assert_unclear(await wallet.send(operator(server.url), call(), 2000), "too large")
        assert await wallet.send(operator(server.url), call(), 2000) == Acknowledged(490_000)


# Deadlines


async def within(limit_s, behaviour, timeout_ms=100):
    began_at = time.monotonic()
    answer = await answer_to(behaviour, timeout_ms)
    assert time.monotonic() - began_at < limit_s
    return answer


async def test_silence_ends_at_the_deadline():
    async def silent(stream, request):
        await trio.sleep_forever()

    assert_unclear(await within(0.4, silent), "in time")


@pytest.mark.parametrize("raw", [response(GOOD), response(GOOD).replace(b"Content-Length: 34\r\n", b"")])
async def test_a_slow_drip_ends_at_the_deadline(raw):
    async def drip(stream, request):
        for byte in raw:
            await stream.send_all(bytes([byte]))
            await trio.sleep(0.01)
        await trio.sleep_forever()

    assert_unclear(await within(0.4, drip), "in time")


async def test_endless_interim_answers_end_at_the_deadline():
    async def interim(stream, request):
        while True:
            await stream.send_all(b"HTTP/1.1 102 Processing\r\n\r\n")
            await trio.sleep(0.005)

    assert_unclear(await within(0.4, interim), "in time")


async def test_a_refusal_whose_body_stalls_is_still_a_refusal():
    async def stall(stream, request):
        await stream.send_all(b"HTTP/1.1 402 Payment Required\r\nContent-Length: 100\r\n\r\n{")
        await trio.sleep_forever()

    assert isinstance(await answer_to(stall, 2000, drain_ms_max=20), Declined)


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
                assert_unclear(await wallet.send(operator(url), call(), 60), "in time")
            nursery.cancel_scope.cancel()
    for client in held:
        client.close()


async def test_a_refused_connection_is_unclear():
    async with raw_server(always(b"")) as server:
        pass
    async with gateway() as wallet:
        assert_unclear(await wallet.send(operator(server.url), call(), 1000), "no connection")


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
        for _ in range(2):
            assert await wallet.send(operator(server.url), call(), 2000) == Acknowledged(490_000)
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
    stuck = threading.Event()

    def lookup(host, port, **_):
        if host == "stuck.example":
            stuck.wait(5)
        return named(server.port)

    settings = WalletGatewaySettings(allow_insecure_callbacks=True)
    async with raw_server(always(response(GOOD))) as server, trio.open_nursery() as nursery:
        # Plain HTTP to a name is against policy but for localhost, which is looked up like any other name.
        with HttpxWalletGateway(settings, FrozenClock(), resolver=Resolver(4, lookup)) as wallet:
            for _ in range(100):
                nursery.start_soon(wallet.send, operator("https://stuck.example", 1), call(), 60_000)
            await trio.testing.wait_all_tasks_blocked(0.02)
            answer = await wallet.send(operator(f"http://localhost:{server.port}", 2), call(), 1000)
        stuck.set()
        nursery.cancel_scope.cancel()
    assert answer == Acknowledged(490_000)


@pytest.mark.parametrize("error", [OSError("no such host"), UnicodeError("label too long")])
async def test_an_unknown_host_is_unclear(error):
    def lookup(*_, **__):
        raise error

    with HttpxWalletGateway(WalletGatewaySettings(), FrozenClock(), resolver=Resolver(4, lookup)) as wallet:
        assert_unclear(await wallet.send(operator("https://wallet.example"), call(), 1000), "not found")


async def test_a_slow_name_server_ends_at_the_deadline():
    stuck = threading.Event()
    resolver = Resolver(4, lambda *_, **__: stuck.wait(5))
    with HttpxWalletGateway(WalletGatewaySettings(), FrozenClock(), resolver=resolver) as wallet:
        assert_unclear(await wallet.send(operator("https://wallet.example"), call(), 50), "in time")
    stuck.set()


# Policy, TLS, and what is told


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1", "https://a:b@wallet.example", "https://wallet.example/?x", "nonsense"]
)
async def test_a_url_against_policy_is_not_called(url):
    async with gateway() as wallet:
        answer = await wallet.send(operator(url), call(), 1000)
    assert isinstance(answer, Declined)
    assert answer.detail.startswith("not sent")


async def test_plain_http_needs_the_setting():
    async with raw_server(always(response(GOOD))) as server:
        with HttpxWalletGateway(WalletGatewaySettings(), FrozenClock()) as wallet:
            assert isinstance(await wallet.send(operator(server.url), call(), 1000), Declined)
    assert server.connections == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate of localhost, key and certificate in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    pem_key = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(pem_key + signed.public_bytes(encoding))
    return path


@asynccontextmanager
async def tls_server(certificate, behaviour=None):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with raw_server(behaviour or always(response(GOOD))) as server:
        plain = server.serve
        listeners = await trio.open_ssl_over_tcp_listeners(0, context, host="127.0.0.1")

        async def serve(stream):
            try:
                await plain(stream)
            except trio.BrokenResourceError:
                return

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, serve, listeners)
            server.port = listeners[0].transport_listener.socket.getsockname()[1]
            yield server
            nursery.cancel_scope.cancel()


async def test_tls_is_verified_and_used(certificate):
    trusting = ssl.create_default_context(cafile=certificate)
    async with tls_server(certificate) as server:
        url = f"https://localhost:{server.port}/wallet"
        with HttpxWalletGateway(WalletGatewaySettings(), FrozenClock(), trusting) as wallet:
            assert await wallet.send(operator(url), call(), 2000) == Acknowledged(490_000)
            other_name = url.replace("localhost", "127.0.0.1")
            assert_unclear(await wallet.send(operator(other_name), call(), 2000), "TLS")
        with HttpxWalletGateway(WalletGatewaySettings(), FrozenClock()) as wallet:
            assert_unclear(await wallet.send(operator(url), call(), 2000), "TLS")
    assert len(server.requests) == 1


async def test_a_tls_connection_is_kept_and_used_again(certificate):
    trusting = ssl.create_default_context(cafile=certificate)
    async with tls_server(certificate) as server:
        with HttpxWalletGateway(WalletGatewaySettings(), FrozenClock(), trusting) as wallet:
            for _ in range(3):
                answer = await wallet.send(operator(f"https://localhost:{server.port}"), call(), 2000)
                assert answer == Acknowledged(490_000)
    assert server.connections == 1


async def test_a_stray_answer_behind_tls_is_never_taken_for_the_next_call(certificate):
    async def two_records_at_once(stream, request):
        plain = stream.transport_stream.socket
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        await stream.send_all(response(b'{"ok":false}'))
        await stream.send_all(response(GOOD))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        return True

    trusting = ssl.create_default_context(cafile=certificate)
    async with tls_server(certificate, two_records_at_once) as server:
        with HttpxWalletGateway(WalletGatewaySettings(), FrozenClock(), trusting) as wallet:
            for _ in range(4):
                answer = await wallet.send(operator(f"https://localhost:{server.port}"), call(), 2000)
                assert isinstance(answer, Declined)


async def test_what_goes_wrong_inside_is_an_answer_and_logs_no_secret(caplog):
    caplog.set_level(logging.DEBUG)
    async with raw_server(always(response(GOOD))) as server, gateway() as wallet:
        broken = replace(operator(server.url), api_key=KEY + "\r\nInjected: yes")
        assert_unclear(await wallet.send(broken, call(), 1000))
    told = "".join(str(vars(record)) for record in caplog.records)
    assert KEY not in told
    assert SECRET not in told


async def test_after_closing_calls_still_get_an_answer():
    async with raw_server(always(response(GOOD))) as server:
        async with gateway() as wallet:
            await wallet.send(operator(server.url), call(), 2000)
        assert isinstance(await wallet.send(operator(server.url), call(), 2000), Acknowledged | Unclear)
        wallet.close()
