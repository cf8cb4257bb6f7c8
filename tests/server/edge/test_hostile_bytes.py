"""Whatever comes in, nobody else notices: the server answers on, logs no error, and lets go of the connection."""

import json
import os
import random

import pytest
import trio
import trio.lowlevel
from wsproto.frame_protocol import Opcode

from server.web.routes import create_app
from tests.helpers.edge_fakes import client_frame, open_edge, read_all, split_answer, until, upgrade_request
from tests.helpers.web_fakes import PAGE, WebWorld

HOST = b"Host: game.test\r\n"
ACCEPTED = b"HTTP/1.1 101 "


def get(extra=b"", target=b"/livez", version=b"HTTP/1.1", host=HOST, method=b"GET"):
    return method + b" " + target + b" " + version + b"\r\n" + host + extra + b"\r\n"


def post(extra, body=b""):
    return b"POST /api/public/rgs/launch HTTP/1.1\r\n" + HOST + extra + b"\r\n" + body


RANDOM = random.Random(11)
H2_SETTINGS = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
WEBSOCKET = upgrade_request().split(b"\r\n", 2)[2][:-2]

REQUESTS = {
    "nothing": (b"", None),
    "a blank line": (b"\r\n\r\n", 400),
    "NUL bytes": (b"\0" * 2_000, 400),
    "NUL in the target": (get(target=b"/li\0vez"), 400),
    "NUL in a header": (get(b"X-A: b\0c\r\n"), 400),
    "random bytes": (RANDOM.randbytes(3_000) + b"\r\n\r\n", 400),
    "a TLS hello": (bytes.fromhex("16030100c8010000c40303") + RANDOM.randbytes(193), 400),
    "SSH": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", 400),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"), 505),
    "the preface with a host": (b"PRI * HTTP/2.0\r\n" + HOST + b"\r\nSM\r\n\r\n", 505),
    "an upgrade to h2c": (get(H2_SETTINGS), 505),
    "an upgrade to h2c with bad settings": (get(b"Connection: Upgrade\r\nUpgrade: H2C\r\nHTTP2-Settings: !\r\n"), 505),
    "an upgrade of /stream to h2c": (get(H2_SETTINGS, target=b"/stream"), 505),
    "an unknown upgrade": (get(b"Connection: Upgrade\r\nUpgrade: irc/6.9\r\n"), 200),
    "HTTP/0.9": (b"GET /livez\r\n\r\n", 400),
    "HTTP/9.9": (get(version=b"HTTP/9.9"), 200),
    "HTTP/1.x": (get(version=b"HTTP/1.x"), 400),
    "a lower-case protocol": (get(version=b"http/1.1"), 400),
    "no host": (get(host=b""), 400),
    "two hosts": (get(b"Host: other.test\r\n"), 400),
    "an empty host": (get(host=b"Host:\r\n"), 200),
    "a host that is none": (get(host=b"Host: \xff@[::\r\n"), 200),
    "an absolute target": (get(target=b"http://game.test/livez"), 200),
    "an absolute target of another scheme": (get(target=b"ftp://game.test/livez"), 400),
    "an absolute target with user info": (get(target=b"http://user@game.test/livez"), 400),
    "an absolute target without a host": (get(target=b"http:///livez"), 400),
    "an absolute target without a path": (get(target=b"http://game.test"), 404),
    "a target without a slash": (get(target=b"livez"), 400),
    "an asterisk": (get(target=b"*", method=b"OPTIONS"), 200),
    "an asterisk to get": (get(target=b"*"), 400),
    "an asterisk with a query": (get(target=b"*?a", method=b"OPTIONS"), 400),
    "CONNECT": (get(target=b"game.test:443", method=b"CONNECT"), 405),
    "CONNECT to a path": (get(target=b"/livez", method=b"CONNECT"), 405),
    "an empty target": (b"GET  HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a bad percent": (get(target=b"/%zz%"), 404),
    "percents that are no UTF-8": (get(target=b"/%ff%fe%c0%af"), 404),
    "a way out": (get(target=b"/static/..%2f..%2f../etc/passwd"), 404),
    "a target that is no ASCII": (get(target=b"/\xe4"), 400),
    "a huge target": (get(target=b"/" + b"a" * 20_000), 431),
    "a huge query": (get(target=b"/livez?" + b"a" * 20_000), 431),
    "a huge head": (get(b"X-A: " + b"a" * 20_000 + b"\r\n"), 431),
    "a head without end": (b"GET /livez HTTP/1.1\r\n" + b"X-A: b\r\n" * 4_000, 431),
    "many headers": (get(b"".join(b"X-%d: b\r\n" % number for number in range(1_000))), 200),
    "a method without end": (b"A" * 20_000, 431),
    "a header without a colon": (get(b"Nonsense\r\n"), 400),
    "a header without a name": (get(b": value\r\n"), 400),
    "a space before the colon": (get(b"X-A : b\r\n"), 400),
    "a folded header": (get(b"X-A: b\r\n c\r\n"), 200),
    "a fold at the start": (b"GET /livez HTTP/1.1\r\n  X: y\r\n" + HOST + b"\r\n", 400),
    "line feeds only": (b"GET /livez HTTP/1.1\nHost: game.test\n\n", 200),
    "carriage returns only": (b"GET /livez HTTP/1.1\rHost: game.test\r\r", None),
    "headers that are no ASCII": (get(b"X-A: \xc3\xa4\xff\r\nX-Request-Id: \xff\r\n"), 200),
    "a negative length": (post(b"Content-Length: -1\r\n"), 400),
    "a signed length": (post(b"Content-Length: +5\r\n", b"12345"), 400),
    "a length in hex": (post(b"Content-Length: 0x5\r\n", b"12345"), 400),
    "a length without end": (post(b"Content-Length: " + b"9" * 30 + b"\r\n"), 400),
    "a huge length": (post(b"Content-Length: 99999999999999\r\n", b"x"), 401),
    "two lengths": (post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"123456"), 400),
    "two lengths in one": (post(b"Content-Length: 5, 6\r\n", b"123456"), 400),
    "a length and chunks": (
        post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\nGET / HTTP/1.1\r\n"),
        None,
    ),
    "chunks and another coding": (post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"), 501),
    "an unknown coding": (post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"), 501),
    "two codings": (post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 501),
    "chunks that are none": (post(b"Transfer-Encoding: chunked\r\n", b"zz\r\nnonsense\r\n"), None),
    "a negative chunk": (post(b"Transfer-Encoding: chunked\r\n", b"-1\r\nnonsense\r\n"), None),
    "a huge chunk": (post(b"Transfer-Encoding: chunked\r\n", b"fffffffffffffff\r\nx"), None),
    "a chunk's extension without end": (post(b"Transfer-Encoding: chunked\r\n", b"1;" + b"a" * 40_000), None),
    "a trailer that is none": (post(b"Transfer-Encoding: chunked\r\n", b"0\r\nnonsense\r\n\r\n"), None),
    "a body that ends early": (post(b"Content-Length: 50\r\n", b"short"), None),
    "an expectation": (post(b"Expect: 100-continue\r\nContent-Length: 5\r\n"), None),
    "an unknown expectation": (get(b"Expect: a miracle\r\n"), 200),
    "garbage after a request": (get() + RANDOM.randbytes(500) + b"\r\n\r\n", 200),
    "a websocket of an absolute target elsewhere": (upgrade_request("http://game.test/livez"), 404),
    "a websocket of an absolute target with user info": (upgrade_request("http://a@game.test/stream"), 404),
    "a websocket elsewhere": (upgrade_request("/livez"), 404),
    "a websocket elsewhere, its extensions no ASCII": (
        upgrade_request("/livez", Sec_WebSocket_Extensions="\xe4\xff"),
        None,
    ),
    "a later websocket": (get() + upgrade_request(), 200),
    "a later websocket, its extensions no ASCII": (get() + upgrade_request(Sec_WebSocket_Extensions="\xff"), 200),
    "a later websocket without a key": (get() + upgrade_request(Sec_WebSocket_Key=None), 200),
    "a later h2c": (get() + get(H2_SETTINGS), 200),
    "a later preface": (get() + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 200),
    "/stream without an upgrade": (get(target=b"/stream"), 426),
    "/stream by POST": (get(WEBSOCKET, target=b"/stream", method=b"POST"), 405),
    "a websocket, its extensions no ASCII": (upgrade_request(Sec_WebSocket_Extensions="permessage-\xff"), 400),
    "a websocket of a bad version": (upgrade_request(Sec_WebSocket_Version="7"), 426),
    "a websocket of no version": (upgrade_request(Sec_WebSocket_Version="thirteen"), 426),
    "a websocket of two versions": (upgrade_request(Sec_WebSocket_Version="13, 8"), 426),
    "a websocket with a bad key": (upgrade_request(Sec_WebSocket_Key="\xff" * 24), 400),
    "a websocket with a huge header": (upgrade_request(Cookie="a" * 20_000), 431),
    "a websocket without a host": (upgrade_request(Host=None), 400),
    "a websocket with a body": (upgrade_request(Content_Length="99999999999999999999999"), 400),
    "a websocket by HTTP/1.0": (upgrade_request().replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    "a websocket by HTTP/2.0": (upgrade_request().replace(b"HTTP/1.1", b"HTTP/2.0"), 400),
    "a websocket with NUL": (upgrade_request(Sec_WebSocket_Protocol="a\0b"), 400),
    "a websocket from elsewhere": (upgrade_request(Origin="https://evil.test"), 403),
    "a websocket of two origins": (upgrade_request(Origin="https://game.test\r\nOrigin: https://evil.test"), 403),
    "a websocket of our origin twice": (upgrade_request(Origin="https://game.test\r\nOrigin: https://game.test"), 403),
    "a websocket with an origin that is no ASCII": (upgrade_request(Origin="https://g\xe4me.test"), 400),
}

ODD_HANDSHAKES = {
    "extensions without sense": {"Sec_WebSocket_Extensions": ";;,=,;permessage-deflate;server_max_window_bits=99"},
    "empty extensions": {"Sec_WebSocket_Extensions": ""},
    "deflate": {"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits"},
    "protocols without sense": {"Sec_WebSocket_Protocol": ",, ,a,"},
    "a long protocol": {"Sec_WebSocket_Protocol": "a" * 9_000},
}

FRAMES = {
    "a reserved bit": (client_frame(Opcode.TEXT, b"{}", reserved=0x40), 1002),
    "all reserved bits": (client_frame(Opcode.TEXT, b"{}", reserved=0x70), 1002),
    "an unknown opcode": (client_frame(3, b"{}"), 1002),
    "an unknown control opcode": (client_frame(11, b""), 1002),
    "no mask": (client_frame(Opcode.TEXT, b"{}", masked=False), 1002),
    "a ping in pieces": (client_frame(Opcode.PING, b"x", fin=False), 1002),
    "a ping that is too large": (client_frame(Opcode.PING, b"x" * 126), 1002),
    "a pong that is too large": (client_frame(Opcode.PONG, b"x" * 70_000), 1002),
    "a close that is too large": (client_frame(Opcode.CLOSE, b"\x03\xe8" + b"x" * 124), 1002),
    "a close of one byte": (client_frame(Opcode.CLOSE, b"\x03"), 1002),
    "close 0": (client_frame(Opcode.CLOSE, b"\0\0"), 1002),
    "close 999": (client_frame(Opcode.CLOSE, (999).to_bytes(2, "big")), 1002),
    "close 1005": (client_frame(Opcode.CLOSE, (1005).to_bytes(2, "big")), 1002),
    "close 1006": (client_frame(Opcode.CLOSE, (1006).to_bytes(2, "big")), 1002),
    "close 65535": (client_frame(Opcode.CLOSE, b"\xff\xff"), None),
    "a close with a bad reason": (client_frame(Opcode.CLOSE, b"\x03\xe8\xff\xfe"), 1007),
    "a close without a code": (client_frame(Opcode.CLOSE), None),
    "text that is no UTF-8": (client_frame(Opcode.TEXT, b"\xff\xfe"), 1007),
    "text that ends in a character": (client_frame(Opcode.TEXT, b"\xe2\x82"), 1007),
    "a surrogate": (client_frame(Opcode.TEXT, b"\xed\xa0\x80"), 1007),
    "a continuation of nothing": (client_frame(Opcode.CONTINUATION, b"x"), 1002),
    "text within text": (client_frame(Opcode.TEXT, b"a", fin=False) + client_frame(Opcode.TEXT, b"b"), 1002),
    "a huge length": (client_frame(Opcode.TEXT, b"x" * 5_000, length=2**40), 1009),
    "an impossible length": (client_frame(Opcode.TEXT, b"x" * 5_000, length=2**64 - 1), None),
    "a long form of a short length": (b"\x81\xfe\x00\x02\0\0\0\0{}", 1002),
    "frames after a close": (client_frame(Opcode.CLOSE, b"\x03\xe8") + client_frame(Opcode.TEXT, b"{}") * 50, 1000),
    "HTTP": (get() * 3, None),
    "random bytes": (RANDOM.randbytes(2_000), None),
    "NUL bytes": (b"\0" * 2_000, None),
}


@pytest.fixture
def app(tmp_path):
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "index.html").write_text(PAGE)
    return create_app(WebWorld(folder).services())


async def is_over(world):
    await until(lambda: world.edge.connections_open == 0)
    assert await world.is_well()


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request(app, name):
    request, status = REQUESTS[name]
    async with open_edge(app, head_timeout_ms=400, keep_alive_ms=150, close_timeout_ms=200) as world:
        async with await world.connect() as stream:
            await stream.send_all(request)
            if status == 426 or name in {"a body that ends early", "an expectation"}:
                await trio.lowlevel.checkpoint()
            data = await read_all(stream)
        answer, body = split_answer(data)
        assert status is None or answer == status, data[:300]
        if (answer or 0) >= 400:
            assert json.loads(body)["ok"] is False, "a refusal says what is wrong"
            assert b"\r\nx-content-type-options: nosniff\r\n" in data
            assert b"\r\ncontent-security-policy: default-src 'none'" in data
        assert ACCEPTED not in data
        await is_over(world)


@pytest.mark.parametrize("target", ["http://game.test/stream", "HTTPS://game.test:8443/stream?a"])
@pytest.mark.parametrize("before", [b"", get()], ids=["first", "later"])
async def test_a_websocket_of_an_absolute_target_is_one(app, target, before):
    async with open_edge(app, hello_timeout_ms=200, close_timeout_ms=200) as world:
        async with await world.connect() as stream:
            if before:
                await stream.send_all(before)
                await stream.receive_some(65_536)
            await stream.send_all(upgrade_request(target))
            assert ACCEPTED in await read_all(stream)
        await is_over(world)


@pytest.mark.parametrize("name", ["a head without end", "random bytes", "a huge length", "a later h2c"])
async def test_a_request_byte_by_byte(app, name):
    request, _ = REQUESTS[name]
    async with open_edge(app, head_timeout_ms=2_000, keep_alive_ms=150) as world:
        stream = await world.connect()
        try:
            for byte in request[:400]:
                await stream.send_all(bytes((byte,)))
                await trio.lowlevel.checkpoint()
            await stream.send_all(request[400:])
        except trio.BrokenResourceError:
            pass
        await read_all(stream)
        await stream.aclose()
        await is_over(world)


@pytest.mark.parametrize("name", ODD_HANDSHAKES)
async def test_an_odd_handshake_without_consequence(app, name):
    async with open_edge(app) as world:
        client = await world.player(**ODD_HANDSHAKES[name])
        await client.stream.aclose()
        await is_over(world)


@pytest.mark.parametrize("when", ["before hello", "after hello"])
@pytest.mark.parametrize("name", FRAMES)
async def test_frames(app, name, when):
    data, code = FRAMES[name]
    # Who says hello has time for it.
    hello_ms = 300 if when == "before hello" else 2_000
    async with open_edge(
        app, hello_timeout_ms=hello_ms, ping_interval_ms=300, ping_timeout_ms=100, close_timeout_ms=100
    ) as world:
        client = await world.player(hello=when == "after hello")
        await client.stream.send_all(data)
        _, closed = await client.until_close()
        assert code is None or closed == code
        await client.stream.aclose()
        await is_over(world)
        assert world.lobby.doors == [] or world.lobby.doors[0].left.is_set()


@pytest.mark.parametrize("part", [b"", b"G", b"GET /stream", b"GET /livez HTTP/1.1\r\nHost:"])
async def test_a_head_that_does_not_come_in_time(app, part):
    async with open_edge(app, head_timeout_ms=400) as world:
        async with await world.connect() as stream:
            await stream.send_all(part)
            assert await read_all(stream) == b""
        await is_over(world)


async def test_a_next_head_that_does_not_come_in_time(app):
    async with open_edge(app, keep_alive_ms=80) as world:
        async with await world.connect() as stream:
            await stream.send_all(get() + b"GET /livez HTT")
            assert split_answer(await read_all(stream))[0] == 200
        await is_over(world)


async def test_a_client_that_resets_at_every_point(app):
    request = upgrade_request() + client_frame(Opcode.TEXT, b'{"type":"hello"}')
    async with open_edge(app) as world:
        for length in range(0, len(request) + 1, 7):
            stream = await world.connect()
            reset_at_close(stream)
            await stream.send_all(request[:length])
            await stream.aclose()
        await is_over(world)


async def test_random_bytes_after_a_good_beginning(app):
    seed = int(os.environ.get("EDGE_SEED", "5"))
    draw = random.Random(seed)
    beginnings = [
        get()[:-2],
        post(b"Transfer-Encoding: chunked\r\n"),
        upgrade_request(),
        b"GET /stream HTTP/1.1\r\n",
        b"",
    ]
    async with open_edge(
        app, head_timeout_ms=400, keep_alive_ms=400, hello_timeout_ms=100, close_timeout_ms=100
    ) as world:
        for beginning in beginnings * 4:
            async with await world.connect() as stream:
                await stream.send_all(beginning + draw.randbytes(draw.randrange(1, 2_000)))
                await stream.send_eof()
                await read_all(stream)
        await is_over(world)


def reset_at_close(stream):
    stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
