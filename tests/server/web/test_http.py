import random
import re

import pytest
import trio
from quart import request

from actors.facts.records import CallKind
from server.metrics.observer import MetricsObserver
from server.web.application import WebApp
from server.web.connections import Bounds
from server.web.metrics_app import create_metrics_app
from server.web.request_facts import facts
from server.web.request_log import RequestLog
from server.web.routes import create_app
from tests.helpers.http_client import exchange, read_answer, request_bytes
from tests.helpers.operator_client import LAUNCH, Casino

REVENUE = "/api/public/rgs/revenue"


async def send(port, method, target, headers=(), body=b""):
    return await exchange(port, request_bytes(method, target, headers, body), method)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/api",
        "/api/public/rgs/",
        "/api/public/rgs/launch/",
        "/API/public/rgs/launch",
        "//livez",
        "/livez%20",
    ],
)
async def test_unknown_paths_are_not_found_in_the_error_format(port, target):
    answer = await send(port, "GET", target)
    assert (answer.status, answer.code) == (404, "not_found")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("GET", LAUNCH, "POST"),
        ("HEAD", LAUNCH, "POST"),
        ("PUT", LAUNCH, "POST"),
        ("OPTIONS", LAUNCH, "POST"),
        ("POST", REVENUE, "GET"),
        ("DELETE", "/api/public/rgs/round/x", "GET"),
        ("POST", "/play", "GET, HEAD"),
        ("FROBNICATE", "/livez", "GET, HEAD"),
    ],
)
async def test_other_methods_are_told_what_is_allowed(port, method, target, allow):
    answer = await send(port, method, target)
    assert (answer.status, answer.headers["allow"]) == (405, allow)
    if method != "HEAD":
        assert answer.code == "method_not_allowed"


async def test_the_stream_wants_an_upgrade(port):
    answer = await send(port, "GET", "/stream")
    assert (answer.status, answer.code, answer.headers["upgrade"]) == (426, "upgrade_required", "websocket")


async def test_websockets_are_refused_here(port):
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    answer = await send(port, "GET", "/stream", upgrade)
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("chosen", ["a", "Trace-01.x_y", "A" * 64])
async def test_a_sane_request_id_is_kept(port, chosen):
    for target in ("/livez", "/nowhere", "/play"):
        assert (await send(port, "GET", target, {"X-Request-Id": chosen})).headers["x-request-id"] == chosen


@pytest.mark.parametrize("chosen", ["", "A" * 65, "a b", "<script>", "\xe9"])
async def test_any_other_request_id_is_replaced(port, chosen):
    answer = await send(port, "GET", "/nowhere", {"X-Request-Id": chosen})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    twice = await send(port, "GET", "/nowhere", [("X-Request-Id", "a"), ("X-Request-Id", "b")])
    assert re.fullmatch("[0-9a-f]{32}", twice.headers["x-request-id"])


async def test_bodies_up_to_the_limit_are_read(casino):
    largest = b"{" + b" " * 65_534 + b"}"
    assert (await casino.launch(largest)).error["field"] == "operator_player_id"
    too_large = await casino.launch(largest + b" ")
    assert (too_large.status, too_large.code) == (413, "body_too_large")


async def test_a_body_in_chunks_is_counted_as_it_comes(casino):
    body = b"{" + b" " * 70_000 + b"}"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:1000], body[1000:])) + b"0\r\n\r\n"
    headers = casino.headers("POST", LAUNCH, body) | {"Transfer-Encoding": "chunked"}
    answer = await exchange(casino.port, request_bytes("POST", LAUNCH, headers) + chunks)
    assert (answer.status, answer.code) == (413, "body_too_large")
    small = b"%x\r\n%s\r\n0\r\n\r\n" % (2, b"{}")
    headers = casino.headers("POST", LAUNCH, b"{}") | {"Transfer-Encoding": "chunked"}
    answer = await exchange(casino.port, request_bytes("POST", LAUNCH, headers) + small)
    assert answer.error["field"] == "operator_player_id"


async def test_a_huge_body_is_refused_and_cut_off(casino):
    headers = casino.headers("POST", LAUNCH) | {"Content-Length": "1000000000"}
    with trio.fail_after(5):
        async with await trio.open_tcp_stream("127.0.0.1", casino.port) as stream:
            await stream.send_all(request_bytes("POST", LAUNCH, headers))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(flood, stream)
                answer = await read_answer(stream, "POST")
            # The flood has ended: the server closed the connection, and nothing of ours waits for the rest.
    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_of_a_refused_body_only_so_much_is_read(world, start):
    """However patiently: whoever sends without end is cut off by its bytes."""
    port = await start(create_app(world.services(discard_bytes_max=100_000, discard_timeout_ms=600_000)))
    headers = {"Content-Length": str(10**12)}
    with trio.fail_after(10):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream, trio.open_nursery() as nursery:
            await stream.send_all(request_bytes("POST", LAUNCH, headers))
            nursery.start_soon(flood, stream)
            assert (await read_answer(stream, "POST")).code == "missing_header"


async def test_a_body_announced_as_too_large_is_refused_before_it_comes(casino):
    headers = casino.headers("POST", LAUNCH) | {"Content-Length": "65537"}
    answer = await exchange(casino.port, request_bytes("POST", LAUNCH, headers), timeout_s=2)
    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_an_unread_body_in_many_parts_never_keeps_a_connection_open(world, start):
    port = await start(create_app(world.services(discard_bytes_max=0)))
    world.ledger.gate = trio.Event()
    head = request_bytes("GET", "/play?session=" + "x" * 43, {"Transfer-Encoding": "chunked"})
    with trio.fail_after(3):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(head + b"1\r\nx\r\n" * 5000)
            await trio.sleep(0.02)  # meanwhile the HTTP server's queue for the body fills up
            world.ledger.gate.set()
            assert (await read_answer(stream)).status == 404
            assert await read_to_the_end(stream) == b""


async def read_to_the_end(stream):
    try:
        return await stream.receive_some()
    except trio.BrokenResourceError:
        return b""


async def flood(stream):
    try:
        while True:
            await stream.send_all(b"x" * 65_536)
    except trio.BrokenResourceError:
        pass


async def test_a_refusal_before_the_body_keeps_the_connection(casino):
    body = b"{}" * 1000
    headers = casino.headers("POST", LAUNCH, body)
    del headers["X-Signature"]
    with trio.fail_after(5):
        async with await trio.open_tcp_stream("127.0.0.1", casino.port) as stream:
            for _ in range(5):
                data = request_bytes("POST", LAUNCH, headers, body)
                await stream.send_all(data[:-1500])
                await trio.sleep(0.01)
                await stream.send_all(data[-1500:])
                assert (await read_answer(stream, "POST")).code == "missing_header"


async def test_a_body_that_does_not_come_is_a_timeout(world, start):
    port = await start(create_app(world.services(body_timeout_ms=50, discard_timeout_ms=10)))
    casino = Casino(port, next(iter(world.operators.operators.values())))
    data = request_bytes("POST", LAUNCH, casino.headers("POST", LAUNCH, b"{}"), b"{}")
    answer = await exchange(port, data[:-1], "POST")
    assert (answer.status, answer.code) == (408, "request_timeout")


async def test_a_client_that_leaves_gets_no_answer_and_is_noted(casino, world):
    data = request_bytes("POST", LAUNCH, casino.headers("POST", LAUNCH, b"{}"), b"{}")
    async with await trio.open_tcp_stream("127.0.0.1", casino.port) as stream:
        await stream.send_all(data[:-1])
    with trio.fail_after(2):
        while not world.logged.entries:
            await trio.sleep(0.005)
    assert world.logged.entries[0]["status"] == 499
    assert world.ledger.transitions == []


async def test_health(port, world):
    assert (await send(port, "GET", "/livez")).json == {"ok": True, "status": "live"}
    assert (await send(port, "GET", "/readyz")).json == {"ok": True, "status": "ready"}
    world.switches.ready = False
    answer = await send(port, "GET", "/readyz")
    assert (answer.status, answer.code) == (503, "unavailable")
    world.switches.draining = True
    answer = await send(port, "GET", "/readyz")
    assert (answer.status, answer.code) == (503, "draining")
    assert (await send(port, "GET", "/livez")).status == 200


async def test_every_request_is_logged_once_by_its_route_without_anything_secret(casino, world):
    headers = casino.headers("GET", f"{REVENUE}?from=2026-07-01&to=2026-07-31")
    headers["X-Operator-Hmac"] = casino.operator.hmac_secret
    await casino.send("GET", f"{REVENUE}?from=2026-07-01&to=2026-07-31", headers=headers)
    await casino.launch(operator_player_id="player-that-is-nobodys-business")
    await casino.get("/api/public/rgs/round/5f0c8d3a-9a51-4b60-8a4e-0b6f0a3c1d2e")
    await casino.get("/static/nothing.js?secret=1")
    await casino.send("FROBNICATE", "/nowhere")
    shown = [(entry["method"], entry["route"], entry["status"], entry["code"]) for entry in world.logged.entries]
    assert shown == [
        ("GET", REVENUE, 200, None),
        ("POST", LAUNCH, 200, None),
        ("GET", "/api/public/rgs/round/<round_id>", 404, "not_found"),
        ("GET", "/static/<path>", 404, "not_found"),
        ("OTHER", "unknown", 404, "not_found"),
    ]
    assert [entry["operator_id"] for entry in world.logged.entries[:3]] == [str(casino.operator.operator_id)] * 3
    text = repr(world.logged.entries)
    signature = headers["X-Signature"]
    for secret in (casino.operator.hmac_secret, casino.operator.api_key, signature, "player-that", "5f0c8d3a", "2026"):
        assert secret not in text


def scope_with_secret():
    secret = (b"x-operator-hmac", b"the secret")
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "http_version": "1.1",
        "path": "/livez",
        "raw_path": b"/livez",
        "query_string": b"",
        "headers": [(b"host", b"game.test"), secret, secret],
        "client": ("127.0.0.1", 1),
    }


async def no_body():
    return {"type": "http.request", "body": b"", "more_body": False}


async def test_the_secret_is_gone_before_anything_around_the_application_could_log_it(world):
    scope, sent = scope_with_secret(), []

    async def send(message):
        sent.append(message)

    await create_app(world.services())(scope, no_body, send)
    assert sent[0]["status"] == 200
    assert scope["headers"] == [(b"host", b"game.test")]


async def test_of_the_secret_whoever_answers_learns_only_that_it_came(world):
    asked = []

    app = WebApp(Bounds(), RequestLog(world.services().log))

    @app.get("/livez")
    async def answer():
        asked.append((request.headers.to_wsgi_list(), facts().brought_secret))
        return ""

    async def send(message):
        await trio.lowlevel.checkpoint()

    await app(scope_with_secret(), no_body, send)
    assert asked == [([("Remote-Addr", "127.0.0.1"), ("Host", "game.test")], True)]


async def test_requests_are_measured(casino, world):
    await casino.launch()
    await casino.launch(currency="XXX")
    assert world.count("getaway_http_requests_total", route=LAUNCH, method="POST", status="200") == 1
    assert world.count("getaway_http_requests_total", route=LAUNCH, method="POST", status="400") == 1
    assert world.count("getaway_http_request_seconds_count", route=LAUNCH) == 2


async def test_a_line_names_an_operator_only_once_its_signature_was_right(casino, world):
    forged = casino.headers("GET", REVENUE) | {"X-Signature": "0" * 64}
    assert (await casino.send("GET", REVENUE, headers=forged)).code == "bad_signature"
    assert [entry["operator_id"] for entry in world.logged.entries] == [None]


async def test_the_private_port_shows_metrics_only(world, start):
    log = world.services().log
    port = await start(create_metrics_app(world.metrics.registry, log))
    observer = MetricsObserver(world.metrics)
    observer.round_ended("settled", "crash")
    observer.wallet_call(CallKind.BET, "acknowledged", 0.02)
    observer.ledger_group(17, 0.003)
    observer.mailbox_overflow("session")
    observer.actor_failed("round")
    play, edge = world.metrics.play, world.metrics.edge
    play.sessions_open.set(4)
    play.rounds_live.set(3)
    edge.connections_open.set(9)
    edge.sockets_open.set(7)
    edge.connection_refused()
    edge.player_ended("no_pong")
    answer = await send(port, "GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.body.decode().splitlines()
    for line in (
        'getaway_rounds_ended_total{result="crash"} 1.0',
        'getaway_wallet_calls_total{kind="bet",outcome="acknowledged"} 1.0',
        "getaway_ledger_group_transitions_sum 17.0",
        'getaway_mailbox_overflows_total{actor="session"} 1.0',
        'getaway_actor_failures_total{actor="round"} 1.0',
        "getaway_sessions_open 4.0",
        "getaway_rounds_live 3.0",
        "getaway_connections_open 9.0",
        "getaway_player_sockets_open 7.0",
        "getaway_connections_refused_total 1.0",
        'getaway_player_sockets_ended_total{end="no_pong"} 1.0',
    ):
        assert line in lines
    assert (await send(port, "GET", "/livez")).status == 200
    assert (await send(port, "GET", LAUNCH)).status == 404


HOSTILE_HEADERS = [
    ("X-Operator-Id", "\xff\xfe"),
    ("X-Timestamp", "9" * 400),
    ("X-Timestamp", "1782864000"),
    ("X-Signature", "é".encode().decode("latin-1")),
    ("X-Operator-Key", "' OR 1=1 --"),
    ("X-Forwarded-For", ",,, ::::, 1.2.3.4.5"),
    ("X-Request-Id", "\t"),
    ("Content-Length", "5"),
    ("Content-Length", "99999999999999999999"),
    ("Content-Length", "-1"),
    ("Transfer-Encoding", "chunked"),
    ("Transfer-Encoding", "gzip"),
    ("Connection", "close"),
    ("Expect", "100-continue"),
    ("Cookie", "a=" + "b" * 5000),
    ("If-None-Match", '"' * 100),
    ("Host", ""),
]
HOSTILE_TARGETS = [
    LAUNCH,
    REVENUE,
    "/play",
    "/static/",
    "/stream",
    "/%",
    "/%00%ff",
    "http://other.test/api",
    "/api/public/rgs/round/",
    "//",
    "/;",
    "*",
]


def hostile_request(chance):
    target = chance.choice(HOSTILE_TARGETS)
    if chance.random() < 0.5:
        target += chance.choice(["?", "/", "..", ""]) + "".join(
            chance.choices("%&=;/?#aZ09\xe9", k=chance.randrange(30))
        )
    method = chance.choice(["GET", "POST", "HEAD", "PUT", "get", "X" * 300, "M-SEARCH"])
    headers = chance.sample(HOSTILE_HEADERS, chance.randrange(6))
    data = request_bytes(method, target, headers, chance.randbytes(chance.randrange(60)))
    if chance.random() < 0.3:
        at = chance.randrange(len(data))
        data = data[:at] + chance.randbytes(chance.randrange(8)) + data[at + chance.randrange(3) :]
    return data


async def test_a_thousand_hostile_requests_leave_it_serving(world, start):
    port = await start(create_app(world.services(body_timeout_ms=100, discard_timeout_ms=50)), contained=True)
    chance = random.Random(20260701)
    statuses = []

    async def attack(requests):
        for data in requests:
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(data)
                with trio.move_on_after(2):
                    answer = await stream.receive_some(65_536)
                    statuses.append(answer[9:12])

    requests = [hostile_request(chance) for _ in range(1000)]
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            for start_at in range(0, 1000, 50):
                nursery.start_soon(attack, requests[start_at : start_at + 50])
    assert len(statuses) > 500
    # 501 is the HTTP layer's answer to a transfer coding that it does not know.
    assert {status for status in statuses if status.startswith(b"5")} <= {b"501"}
    casino = Casino(port, next(iter(world.operators.operators.values())))
    assert (await casino.launch()).status == 200
