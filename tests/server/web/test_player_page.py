import pytest

from server.web.player_page import frame_ancestors, socket_origin, sound_origins
from server.web.routes import create_app
from tests.helpers.http_client import exchange, request_bytes
from tests.helpers.web_fakes import make_operator


async def play(port, target, headers=(), method="GET"):
    return await exchange(port, request_bytes(method, target, headers), method)


def policy(answer):
    return dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))


@pytest.fixture
async def page(casino):
    return (await casino.launch()).json["launch_url"].removeprefix("https://game.test")


async def test_the_page_may_be_framed_by_its_operator_only(port, page):
    answer = await play(port, page)
    assert answer.status == 200
    assert answer.body.startswith(b"<!doctype html><title>Play</title>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert policy(answer) == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "media-src": "'self'",
        "connect-src": "'self' wss://game.test",
        "frame-ancestors": "https://casino.test https://*.casino.test",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "camera=()" in answer.headers["permissions-policy"]
    assert "set-cookie" not in answer.headers
    assert answer.headers["x-request-id"]


async def test_the_head_of_the_page(port, page):
    answer = await play(port, page, method="HEAD")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    "target",
    [
        "/play",
        "/play?session=",
        "/play?session=x",
        "/play?session=" + "x" * 43,
        "/play?session=" + "x" * 44,
        "/play?session=%ff" + "x" * 42,
        "/play?token=" + "x" * 43,
    ],
)
async def test_an_unknown_token_is_a_page_in_words_that_nobody_frames(port, target):
    answer = await play(port, target)
    assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert b"<h1>Unknown session</h1>" in answer.body
    assert policy(answer)["frame-ancestors"] == "'none'"
    assert policy(answer)["default-src"] == "'none'"


async def test_a_token_given_twice_opens_nothing(port, page):
    assert (await play(port, page + "&" + page.partition("?")[2])).status == 404


async def test_an_expired_session_is_told_inside_the_operators_frame(port, page, world):
    world.clock.ms += 3_600_000 - 1
    assert (await play(port, page)).status == 200
    world.clock.ms += 1
    answer = await play(port, page)
    assert answer.status == 410
    assert b'id="launch"' in answer.body
    assert policy(answer)["frame-ancestors"] == "https://casino.test https://*.casino.test"


async def test_a_database_in_trouble_is_unavailable(port, page, world):
    world.ledger.unavailable = True
    answer = await play(port, page)
    assert (answer.status, answer.code) == (503, "unavailable")


async def test_the_token_is_never_logged_nor_measured(port, page, world):
    await play(port, page)
    await play(port, page + "extra")
    token = page.partition("session=")[2]
    assert token not in repr(world.logged.entries)
    assert [entry["route"] for entry in world.logged.entries[-2:]] == ["/play", "/play"]
    for family in world.metrics.registry.collect():
        assert token not in repr(family.samples)


async def test_without_an_operator_there_is_no_page(port, page, world):
    world.operators.operators.clear()
    assert (await play(port, page)).status == 404


async def test_guesses_of_one_address_are_limited(world, start, casino):
    page = (await casino.launch()).json["launch_url"].removeprefix("https://game.test")
    port = await start(create_app(world.services(failures_per_second=1, failures_burst=3)))
    guesses = [(await play(port, "/play?session=" + "x" * 43)).status for _ in range(5)]
    assert guesses == [404, 404, 404, 429, 429]
    assert (await play(port, page)).status == 200, "a good token passes, whatever comes from its address"


def test_socket_origins():
    assert socket_origin("https://game.test") == "wss://game.test"
    assert socket_origin("http://127.0.0.1:8080/") == "ws://127.0.0.1:8080"


def test_no_origin_can_end_the_directive():
    assert frame_ancestors([]) == "'none'"
    assert frame_ancestors(["https://a.test", "*"]) == "https://a.test *"
    hostile = ("https://a.test; script-src *", "https://b.test,", "https://c.test\r\nX: y", "https://ü.test")
    assert sound_origins((*hostile, "https://d.test:8443", "*")) == ["https://d.test:8443", "*"]
    assert sound_origins(hostile) == []
    assert sound_origins(make_operator().frame_origins) == list(make_operator().frame_origins) != []
