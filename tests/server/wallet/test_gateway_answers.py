"""What goes out, and what the answers mean."""

import gzip
import json
import random
from datetime import UTC, datetime
from email.utils import format_datetime
from uuid import UUID

import httpx
import pytest
import trio
import trio.testing

from actors.facts.records import CallKind
from actors.ports.wallet import Acknowledged, Declined, Unclear
from server.config.callback_url import callback_url_error
from server.wallet.connection import Endpoint
from server.wallet.gateway import HttpWalletGateway, WalletGatewaySettings
from tests.helpers.raw_http import always, raw_server, reset, response
from tests.helpers.wallet_calls import (
    GOOD,
    KEY,
    NOW_MS,
    SECRET,
    FrozenClock,
    answer_to,
    assert_unclear,
    call,
    gateway,
    operator,
    signature_by_hand,
)

# What goes out


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


class Places(httpx.AsyncBaseTransport):
    """A transport that notes where it was to connect to."""

    def __init__(self):
        self.endpoints = []

    async def handle_async_request(self, request):
        self.endpoints.append(Endpoint.of(request.url))
        return httpx.Response(200, content=GOOD)


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://wallet.example", Endpoint("wallet.example", 443, is_tls=True)),
        ("https://wallet.example:80/wallet", Endpoint("wallet.example", 80, is_tls=True)),
        ("https://wallet.example:8443", Endpoint("wallet.example", 8443, is_tls=True)),
        ("https://[2606:4700::1]", Endpoint("2606:4700::1", 443, is_tls=True)),
        ("http://127.0.0.1", Endpoint("127.0.0.1", 80, is_tls=False)),
        ("http://127.0.0.1:443", Endpoint("127.0.0.1", 443, is_tls=False)),
    ],
)
async def test_a_url_says_where_and_whether_by_tls(url, endpoint):
    places = Places()
    settings = WalletGatewaySettings(allow_insecure_callbacks=True)
    async with HttpWalletGateway(settings, FrozenClock(), transport=places) as wallet:
        assert await wallet.send(operator(url), call(), 5_000) == Acknowledged(490_000)
    assert places.endpoints == [endpoint]


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
    async with (
        raw_server(always(response(GOOD))) as server,
        HttpWalletGateway(WalletGatewaySettings(allow_insecure_callbacks=True), clock) as wallet,
    ):
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
@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "x-gzip", "identity, br", "aes128gcm"])
async def test_a_compressed_answer_is_unclear(body, coding):
    assert_unclear(await answer_to(always(response(body, "200 OK", f"Content-Encoding: {coding}"))), "compressed")


@pytest.mark.parametrize("body", [gzip.compress(b"no"), b'{"ok":false,"error":"already_booked"}'])
async def test_a_compressed_refusal_is_a_refusal_and_says_no_more(body):
    raw = response(body, "409 No", "Content-Encoding: gzip")
    async with raw_server(always(raw)) as server, gateway() as wallet:
        answer = await wallet.send(operator(server.url), call(CallKind.WIN), 2000)
    assert answer == Declined("the wallet answered 409")


async def test_a_body_that_is_said_to_be_as_it_is_is_read():
    """It is what was asked for: a stake that such an answer takes must not count as not taken."""
    assert await answer_to(always(response(GOOD, "200 OK", "Content-Encoding: identity"))) == Acknowledged(490_000)


# Answers that are not one


async def test_a_redirect_is_not_followed():
    async with raw_server(always(response(GOOD))) as elsewhere:
        location = f"Location: {elsewhere.url}/stolen"
        assert_unclear(await answer_to(always(response(b"", "307 Moved", location))), "307")
    assert elsewhere.connections == 0


async def test_a_redirect_to_nowhere_is_not_even_read(caplog):
    assert_unclear(await answer_to(always(response(b"", "307 Moved", "Location: https://[player-42"))), "answered 307")
    assert not caplog.records


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
    """Bytes changed, dropped and doubled at random, from a fixed seed: nothing surprises the gateway.

    One that waits for bytes which damage has taken is told that there are no more, so no answer hangs on a deadline.
    """
    answers = []
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
        is_kept, answered = chance.random() < 0.5, len(answers)
        await stream.send_all(bytes(raw))
        await trio.testing.wait_all_tasks_blocked()
        return is_kept and len(answers) > answered

    async with raw_server(answer) as server, gateway() as wallet:
        for _ in range(120):
            answers.append(await wallet.send(operator(server.url), call(), 20_000))
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


async def test_a_call_is_signed_by_the_machines_own_clock():
    """The operator judges our signature by its clock, whatever the house's time is."""
    clock = FrozenClock()
    clock.now_ms = lambda: NOW_MS - 3_600_000
    async with (
        raw_server(always(response(GOOD))) as server,
        HttpWalletGateway(WalletGatewaySettings(allow_insecure_callbacks=True), clock) as wallet,
    ):
        assert await wallet.send(operator(server.url), call(), 2000) == Acknowledged(490_000)
    (request,) = server.requests
    assert request.header("X-Timestamp") == str(NOW_MS // 1000)
    assert request.header("X-Signature") == signature_by_hand(str(NOW_MS // 1000), request.target, request.body)


async def test_a_date_to_wait_for_is_read_by_the_time_that_nodes_share():
    """A machine whose own clock is an hour behind would wait for as long as is allowed."""
    clock = FrozenClock()
    clock.wall_ms = lambda: NOW_MS - 3_600_000
    until = format_datetime(datetime.fromtimestamp(NOW_MS // 1000 + 30, UTC), usegmt=True)
    behaviour = always(response(b"", "503 Service Unavailable", f"Retry-After: {until}"))
    settings = WalletGatewaySettings(allow_insecure_callbacks=True)
    async with raw_server(behaviour) as server, HttpWalletGateway(settings, clock) as wallet:
        answer = await wallet.send(operator(server.url), call(CallKind.WIN), 2000)
    assert answer.retry_after_ms == 30_000 - NOW_MS % 1000
