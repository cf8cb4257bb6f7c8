"""More than a thousand hostile requests; the server answers, or hangs up, and plays on as if nothing had been."""

import json
import random
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio

from tests.helpers.server_process import STOP_S_MAX
from tests.whole.casino import LAUNCH, REVENUE, ROUND
from tests.whole.house import audit_house, open_house

SEED = 20_261_123
MALFORMED, MUTATED, STREAMS, SLOW, GIANT = 400, 400, 240, 40, 20
WORKERS = 32
ANSWER_S_MAX = 2  # then the caller leaves; a server may wait longer for the rest of a request
MEMORY_KIB_MAX = 150 * 1024
SERVER_ERRORS_ALLOWED = {501, 503, 505}
UPGRADE = (
    b"GET /stream HTTP/1.1\r\nHost: game\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture(scope="module")
def house(postgres, tmp_path_factory):
    with open_house(postgres, tmp_path_factory.mktemp("hostile")) as house:
        yield house


def memory_kib(pid):
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1])


def junk(rng, count):
    return bytes(rng.choices(range(256), k=count))


def malformed(rng):
    """Bytes that are no HTTP request, or nearly one."""
    target = rng.choice([LAUNCH, REVENUE, ROUND, "/play", "/stream", "/healthz", "/"]).encode()
    method = rng.choice([b"GET", b"POST", b"PUT", b"TRACE", b"CONNECT", b"PRI"])
    head = method + b" " + target + b" HTTP/1.1\r\nHost: game\r\n"
    options = [
        junk(rng, rng.randrange(1, 400)),
        b"\r\n" * rng.randrange(1, 50),
        b"GET\r\n\r\n",
        method + b" " + target + b" HTTP/9.9\r\n\r\n",
        method + b" " + junk(rng, 30) + b" HTTP/1.1\r\nHost: game\r\n\r\n",
        method + b" /" + b"a" * rng.choice([1_000, 100_000]) + b" HTTP/1.1\r\nHost: game\r\n\r\n",
        method + b" http://elsewhere" + target + b" HTTP/1.1\r\nHost: game\r\n\r\n",
        method + b" /../..%2f..%00" + target + b"?%zz=%f HTTP/1.1\r\nHost: game\r\n\r\n",
        head + b"X-Long: " + b"x" * rng.choice([5_000, 200_000]) + b"\r\n\r\n",
        head + b"X-Many: 1\r\n" * 2_000 + b"\r\n",
        head + b"Content-Length: -1\r\n\r\n",
        head + b"Content-Length: 9e9\r\n\r\n",
        head + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + junk(rng, 20),
        head + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
        head + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        head + b"No colon here\r\n\r\n",
        head + b"X-Nul: a\x00b\r\n\r\n",
        head + b"X-Operator-Id : folded\r\n more\r\n\r\n",
        head + b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n",
        head + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + junk(rng, 30),
        b"\x16\x03\x01" + junk(rng, 100),
        head + b"Cookie: " + junk(rng, 50).replace(b"\n", b"") + b"\r\n\r\n",
        head[: rng.randrange(1, len(head))],
    ]
    return rng.choice(options)


def mutate(rng, data):
    """The same bytes with a few of them changed, dropped, doubled or moved."""
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(len(changed)) if changed else 0
        kind = rng.randrange(4)
        if kind == 0 and changed:
            changed[place] = rng.randrange(256)
        elif kind == 1:
            del changed[place : place + rng.randrange(1, 10)]
        elif kind == 2:
            changed[place:place] = junk(rng, rng.randrange(1, 10))
        else:
            changed[place:place] = changed[place : place + 20]
    return bytes(changed)


def signed_request(rng, operator):
    """A request that is wrong before it was signed, or after."""
    method, target, body = rng.choice(
        [
            ("POST", LAUNCH, operator.launch_body("player-of-the-mutants")),
            ("POST", LAUNCH, json.dumps(strange_value(rng, 0)).encode()),
            ("GET", REVENUE + "?from=2026-07-01&to=2026-07-31", b""),
            ("GET", ROUND + "7d4e5a52-3c0b-4f7e-9a55-0d1f7f3a9b11", b""),
        ]
    )
    wrong_after = rng.random() < 0.5
    if not wrong_after:
        body = mutate(rng, body) if body else body
        if method == "GET":
            extra = "".join(rng.choices("abc%/.?&=-_~0123456789", k=rng.randrange(1, 30)))
            target = target[: rng.randrange(22, len(target))] + extra
    headers = operator.signed(method, target, body)
    lines = [f"{method} {target} HTTP/1.1", "Host: game", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    request = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    return mutate(rng, request) if wrong_after else request


def strange_value(rng, depth):
    if depth > 3 or rng.random() < 0.4:
        return rng.choice([None, True, -1, 10**40, 1e308, "", "\ud800", "\x00", "x" * 3000, "USD", [], {}, 0.1])
    names = ["operator_player_id", "currency", "balance_minor", "ttl_seconds", "__class__", "", "type", "amount_minor"]
    return {rng.choice(names): strange_value(rng, depth + 1) for _ in range(rng.randrange(5))}


def websocket_frame(rng, payload, *, opcode=1, masked=True):
    """A frame by hand, so that it can be wrong."""
    mask = junk(rng, 4)
    head = bytes([0x80 | opcode])
    flag = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([flag | len(payload)])
    elif len(payload) < 65_536:
        head += bytes([flag | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([flag | 127]) + struct.pack("!Q", len(payload))
    if not masked:
        return head + payload
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


def stream_talk(rng, token):
    """What a hostile player sends after the handshake."""
    hello = websocket_frame(rng, json.dumps({"type": "hello", "session": token}).encode())
    talk = [hello] if rng.random() < 0.6 else []
    kinds = ["hello", "bet", "cashout", "client_seed", "history", "ping", "welcome", "tick", 7, None]
    for _ in range(rng.randrange(1, 12)):
        frame = {"type": rng.choice(kinds)}
        frame |= {name: strange_value(rng, 2) for name in ("amount_minor", "round_id", "value", "t", "id", "limit")}
        text = json.dumps(frame).encode()
        talk.append(
            rng.choice(
                [
                    websocket_frame(rng, text),
                    websocket_frame(rng, mutate(rng, text)),
                    websocket_frame(rng, junk(rng, rng.randrange(200))),
                    websocket_frame(rng, text, opcode=2),
                    websocket_frame(rng, b"[" * rng.choice([10, 4_000, 20_000])),
                    websocket_frame(rng, text, masked=False),
                    websocket_frame(rng, text, opcode=rng.choice([0, 3, 8, 9, 10, 15])),
                    b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff" + junk(rng, 8),
                    junk(rng, 20),
                ]
            )
        )
    return UPGRADE + b"".join(talk)


def giant(rng, operator):
    """A body that is far too long, announced or not."""
    start = f"POST {LAUNCH} HTTP/1.1\r\nHost: game\r\n".encode()
    body = b"x" * 2_000_000
    signed = "".join(f"{name}: {value}\r\n" for name, value in operator.signed("POST", LAUNCH, body)).encode()
    return rng.choice(
        [
            start + signed + b"Content-Length: 2000000\r\n\r\n" + body,
            start + signed + b"Content-Length: 10000000000\r\n\r\n" + body,
            start
            + b"Transfer-Encoding: chunked\r\n\r\n"
            + b"10000\r\n"
            + b"x" * 65_536
            + b"\r\n"
            + b"fffff\r\n"
            + body,
        ]
    )


async def exchange(address, data, rng):
    """Send, and read to the end; or leave rudely. Gives what came back."""
    came = b""
    with suppress(OSError, trio.BrokenResourceError), trio.move_on_after(ANSWER_S_MAX):
        stream = await trio.open_tcp_stream(*address)
        async with stream:
            if rng.random() < 0.1:
                await stream.send_all(data)
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return b""
            with suppress(trio.BrokenResourceError):
                await stream.send_all(data)
                await stream.send_eof()
            while part := await stream.receive_some(65_536):
                came += part
    return came


def check_answer(data, came):
    """No answer is an internal error, and none tells of the inside."""
    if came.startswith(b"HTTP/"):
        status = int(came.split()[1])
        assert status < 500 or status in SERVER_ERRORS_ALLOWED, (data[:300], came[:600])
    for word in (b"Traceback", b"asyncpg", b"site-packages"):
        assert word not in came, (data[:300], came[:600])


async def hold_slow(address, rng, task_status=trio.TASK_STATUS_IGNORED):
    """A connection that never finishes what it began, kept until cancelled or hung up on."""
    head = f"POST {LAUNCH} HTTP/1.1\r\nHost: game\r\nContent-Length: 100\r\n\r\n".encode()
    data = rng.choice([b"", head[:10], head, head + b"x" * 50, UPGRADE[:-2], UPGRADE])
    with suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
        async with await trio.open_tcp_stream(*address) as stream:
            task_status.started()
            if data:
                await stream.send_all(data)
            while await stream.receive_some(1024):
                pass


def hostile_payloads(rng, operator, tokens):
    payloads = [malformed(rng) for _ in range(MALFORMED)]
    payloads += [signed_request(rng, operator) for _ in range(MUTATED)]
    payloads += [stream_talk(rng, rng.choice(tokens)) for _ in range(STREAMS)]
    payloads += [giant(rng, operator) for _ in range(GIANT)]
    rng.shuffle(payloads)
    return payloads


async def bombard(address, payloads, rng):
    queue_in, queue_out = trio.open_memory_channel(0)

    async def work(queue):
        async with queue:
            async for data in queue:
                check_answer(data, await exchange(address, data, rng))

    async with trio.open_nursery() as nursery:
        for _ in range(WORKERS):
            nursery.start_soon(work, queue_out.clone())
        queue_out.close()
        async with queue_in:
            for data in payloads:
                await queue_in.send(data)


async def eventually_launched(operator):
    """A launch, as soon as the limits of a busy address let it through."""
    with trio.fail_after(60):
        while True:
            player_id = operator.new_player_id()
            operator.wallet.open_account(player_id, "USD", 500_000)
            body = operator.launch_body(player_id)
            answer = await trio.to_thread.run_sync(operator.request, "POST", LAUNCH, body)
            if answer.status == 200:
                return operator.session_of(answer, player_id)
            assert answer.status == 429, answer
            await trio.sleep(float(answer.header("Retry-After")))


async def test_hostile_requests_leave_no_trace(house):
    rng = random.Random(SEED)
    split = urlsplit(house.url)
    address, operator, pid = (split.hostname, split.port), house.operator, house.server.pid
    tokens = [(await trio.to_thread.run_sync(operator.session)).token for _ in range(5)]
    payloads = hostile_payloads(rng, operator, tokens)
    assert len(payloads) + SLOW > 1000
    before = memory_kib(pid)
    async with trio.open_nursery() as nursery:
        for _ in range(SLOW):
            await nursery.start(hold_slow, address, rng)
        await bombard(address, payloads, rng)
        async with house.playing(await eventually_launched(operator)) as player:
            ended = await player.play(1000, auto_cashout=1.01)
            assert ended["status"] == "settled"
        assert memory_kib(pid) - before < MEMORY_KIB_MAX
        await trio.to_thread.run_sync(audit_house, house)
        # the slow connections are still there when the server is told to stop
        told_at = time.monotonic()
        house.server.tell_to_stop()
        assert await trio.to_thread.run_sync(house.server.wait) == 0
        assert time.monotonic() - told_at < STOP_S_MAX
        nursery.cancel_scope.cancel()
    log = house.server.log()
    assert "Traceback" not in log
    assert house.server.errors() == []
    assert operator.hmac_secret not in log
    assert not any(token in log for token in tokens)
