"""What Quart and Werkzeug do by themselves, and operators and attackers must not meet."""

import pytest
import trio

from server.web.routes import create_app
from tests.helpers.http_client import exchange, read_answer, request_bytes
from tests.helpers.operator_client import LAUNCH, Casino
from tests.helpers.web_fakes import make_operator

REVENUE = "/api/public/rgs/revenue"
QUERY = "?from=2026-07-01&to=2026-07-31"


async def ask(port, method, target, headers=(), body=b""):
    return await exchange(port, request_bytes(method, target, headers, body), method)


@pytest.mark.parametrize("host", ["", "a..b", "." * 70, "x" * 300, "a:80:80", "[::", "xn--a", "-", "a b", "%00", "@"])
async def test_no_host_matters(port, host):
    """Werkzeug binds its routes to the host and fails on one that no name can have."""
    assert (await ask(port, "GET", "/livez", {"Host": host})).json == {"ok": True, "status": "live"}


@pytest.mark.parametrize(
    "target",
    [
        "/livez/",
        "/%6civez",
        "/livez%2F",
        "///livez",
        "//api/public/rgs/launch",
        "/api//public/rgs/launch",
        "/api/public/rgs/launch/",
        "/api/public/rgs/round/",
        "/static//main.js",
        "/static/./main.js",
        "/static/sounds/../main.js",
        "/static/main.js/",
        "/./livez",
        "/;/livez",
        "http://elsewhere.example//livez",
    ],
)
async def test_a_path_is_a_resource_as_it_is_on_the_wire_or_none(port, target):
    """Nothing is decoded, merged or redirected: what is signed is what is matched."""
    answer = await ask(port, "GET", target)
    assert (answer.status, answer.code) == (404, "not_found")
    assert "location" not in answer.headers


async def test_a_signed_read_has_no_head(casino):
    answer = await casino.send("HEAD", REVENUE + QUERY, headers=casino.headers("HEAD", REVENUE + QUERY))
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("target", [LAUNCH, "/livez", "/nowhere", "/static/main.js"])
async def test_options_are_asked_of_nothing_but_the_server(port, target):
    assert (await ask(port, "OPTIONS", target)).status == (404 if target == "/nowhere" else 405)


async def test_there_are_no_cookies(port):
    for target in ("/livez", "/nowhere", "/play?session=none"):
        answer = await ask(port, "GET", target, {"Cookie": "session=eyJhIjoxfQ.aaaaaa.bbbbbb"})
        assert "set-cookie" not in answer.headers
        assert "cookie" not in answer.headers.get("vary", "").lower()


async def test_a_client_cannot_say_where_it_comes_from(world, start):
    """Quart keeps the other end of the connection in a header."""
    world.operators.add(make_operator(1, allow_cidrs=("198.51.100.7/32",)))
    casino = Casino(await start(create_app(world.services())), world.operators.find(make_operator(1).operator_id))
    headers = casino.headers("GET", REVENUE) | {"Remote-Addr": "198.51.100.7"}
    answer = await casino.send("GET", REVENUE + QUERY, headers=headers)
    assert (answer.status, answer.error["address"]) == (403, "127.0.0.1")


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/html"])
async def test_a_body_is_signed_and_read_as_it_came_whatever_it_calls_itself(casino, kind):
    """Quart takes forms apart before anybody has asked for them."""
    body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
    headers = casino.headers("POST", LAUNCH, body) | {"Content-Type": kind}
    answer = await casino.send("POST", LAUNCH, body, headers)
    assert (answer.code, answer.error["field"]) == ("malformed", "body")


async def test_who_says_no_more_is_answered_all_the_same(casino, world):
    """Quart cancels a request whose client has closed its side."""
    world.ledger.gate = trio.Event()
    async with await trio.open_tcp_stream("127.0.0.1", casino.port) as stream:
        body = b'{"operator_player_id":"a","currency":"USD","balance_minor":0,"ttl_seconds":60}'
        await stream.send_all(request_bytes("POST", LAUNCH, casino.headers("POST", LAUNCH, body), body))
        await stream.send_eof()
        await trio.sleep(0.05)
        world.ledger.gate.set()
        with trio.fail_after(2):
            assert (await read_answer(stream, "POST")).status == 200


async def test_a_launch_goes_on_when_its_client_leaves(casino, world):
    world.ledger.gate = trio.Event()
    async with await trio.open_tcp_stream("127.0.0.1", casino.port) as stream:
        body = b'{"operator_player_id":"a","currency":"USD","balance_minor":0,"ttl_seconds":60}'
        await stream.send_all(request_bytes("POST", LAUNCH, casino.headers("POST", LAUNCH, body), body))
        await trio.sleep(0.05)
    await trio.sleep(0.05)
    world.ledger.gate.set()
    with trio.fail_after(2):
        while not world.ledger.transitions:
            await trio.sleep(0.005)


async def test_a_failure_shows_no_page_of_quarts(port, world):
    world.ledger.is_broken = True

    async def fail(_token_digest):
        raise ExceptionGroup("of a nursery", [ZeroDivisionError("the text of an error")])

    world.ledger.session_frame = fail
    answer = await ask(port, "GET", "/play?session=" + "a" * 43)
    assert (answer.status, answer.code) == (500, "internal")
    assert answer.headers["content-type"] == "application/json"
    assert b"text of an error" not in answer.body
    errors = [entry for entry in world.logged.entries if entry["log_level"] == "error"]
    assert [entry["event"] for entry in errors] == ["request_failed"]
    assert "a" * 43 not in repr(errors)
    for entry in errors:
        world.logged.entries.remove(entry)
