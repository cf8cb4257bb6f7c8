"""What a launch asks of the page, and the page that is made of it."""

import json
import re

import pytest

from actors.facts.records import PageOptions
from server.web.page_template import PageTemplate, json_block
from server.web.routes import create_app
from server.web.static_files import StaticFilesError
from tests.helpers.http_client import exchange, request_bytes
from tests.helpers.operator_client import Casino
from tests.helpers.web_fakes import PAGE, make_operator

LOBBY = "https://casino.test/lobby?from=game&x=</script>#top"
NOTHING = {"lang": None, "reality_check_minutes": None, "lobby_url": None}
GOOD = [
    ("lang", "de"),
    ("lang", "pt-BR"),
    ("lang", "zh-Hant-TW"),
    ("lang", "xx-12345678-a"),
    ("lang", "aa-1234567-1234567-1234567-12345678"),
    ("reality_check_minutes", 1),
    ("reality_check_minutes", 1_440),
    ("lobby_url", "https://casino.test"),
    ("lobby_url", "https://casino.test:8443/a/../b?c={d}#e"),
    ("lobby_url", LOBBY),
    ("lobby_url", "https://casino.test/" + "a" * 2_028),
]
BAD = [
    ("lang", ""),
    ("lang", "d"),
    ("lang", "languages-de"),
    ("lang", "de_DE"),
    ("lang", "de-"),
    ("lang", "de\n"),
    ("lang", "d\u00e9"),
    ("lang", "aa-1234567-1234567-1234567-12345678-a"),
    ("lang", 1),
    ("lang", False),
    ("lang", ["de"]),
    ("reality_check_minutes", 0),
    ("reality_check_minutes", -60),
    ("reality_check_minutes", 1_441),
    ("reality_check_minutes", 60.0),
    ("reality_check_minutes", True),
    ("reality_check_minutes", "60"),
    ("lobby_url", ""),
    ("lobby_url", "/lobby"),
    ("lobby_url", "casino.test"),
    ("lobby_url", "//casino.test"),
    ("lobby_url", "http://casino.test"),
    ("lobby_url", "javascript:alert(1)"),
    ("lobby_url", "data:text/html,x"),
    ("lobby_url", "https://me:pass@casino.test"),
    ("lobby_url", "https://casino.test\\@evil.test"),
    ("lobby_url", "https://casino.test/a b"),
    ("lobby_url", "https://casino.test/\u2028"),
    ("lobby_url", "https://c\u00e4sino.test/"),
    ("lobby_url", "https://casino.test:0/"),
    ("lobby_url", "https:///lobby"),
    ("lobby_url", "https://casino.test/" + "a" * 2_029),
    ("lobby_url", 1),
    ("lobby_url", {}),
]
LOOPBACK = ["http://127.0.0.1:8090/", "http://localhost/lobby?x=1#y", "http://[::1]:8090"]


def options_of(world):
    return world.ledger.transitions[-1].page


async def play(port, launched):
    target = launched.json["launch_url"].removeprefix("https://game.test")
    return await exchange(port, request_bytes("GET", target))


def block_of(page):
    (text,) = re.findall(rb'<script type="application/json" id="launch">(.*?)</script>', page)
    return text


@pytest.mark.parametrize(("field", "value"), GOOD)
async def test_what_is_asked_is_stored_and_in_the_page(casino, world, port, field, value):
    launched = await casino.launch(**{field: value})
    assert launched.status == 200
    assert options_of(world) == PageOptions(**{field: value})
    page = await play(port, launched)
    origins = ["https://casino.test", "https://*.casino.test"]
    assert json.loads(block_of(page.body)) == NOTHING | {field: value, "frame_origins": origins}


async def test_what_is_not_asked_is_null(casino, world, port):
    for launched in (await casino.launch(), await casino.launch(**NOTHING)):
        assert options_of(world) == PageOptions()
        assert json.loads(block_of((await play(port, launched)).body)).items() >= NOTHING.items()


@pytest.mark.parametrize(("field", "value"), BAD)
async def test_a_bad_one_is_named_and_changes_nothing(casino, world, field, value):
    answer = await casino.launch(**{field: value})
    assert (answer.status, answer.code, answer.error["field"]) == (400, "malformed", field)
    assert world.ledger.transitions == []


async def test_a_lobby_on_loopback_may_be_plain_http_where_callbacks_may(casino, world, start):
    for url in LOOPBACK:
        answer = await casino.launch(lobby_url=url)
        assert (answer.status, answer.error["field"]) == (400, "lobby_url")
    lenient = Casino(await start(create_app(world.services(allow_insecure_lobbies=True))), casino.operator)
    for url in LOOPBACK:
        assert (await lenient.launch(lobby_url=url)).status == 200
        assert options_of(world).lobby_url == url
    assert (await lenient.launch(lobby_url="http://casino.test/")).status == 400


async def test_a_repeated_launch_keeps_what_the_first_one_asked(casino, world, port):
    first = await casino.launch(lang="de", lobby_url=LOBBY)
    again = await casino.launch(lang="de", lobby_url=LOBBY)
    assert (again.status, again.body) == (200, first.body)
    assert json.loads(block_of((await play(port, again)).body))["lobby_url"] == LOBBY


async def test_nothing_in_the_block_ends_it(casino, world, port):
    world.operators.add(make_operator(1, frame_origins=("https://<!--<script>.test", "https://a.test;", "https://b&c")))
    page = await play(port, await casino.launch(lobby_url=LOBBY))
    block = block_of(page.body)
    assert not set(b"<>&") & set(block)
    document = json.loads(block)
    assert document["lobby_url"] == LOBBY
    assert document["frame_origins"] == ["https://<!--<script>.test", "https://b&c"]
    assert page.body == PAGE.encode().replace(b"{}", block)


def test_a_block_is_ascii_and_escaped():
    document = {"a": "</script><!--&amp;\u2028\u2029\u00e9\U0001f3b2"}
    block = json_block(document)
    assert block == (b'{"a":"\\u003c/script\\u003e\\u003c!--\\u0026amp;\\u2028\\u2029\\u00e9\\ud83c\\udfb2"}')
    assert json.loads(block) == document


@pytest.mark.parametrize("page", ["<!doctype html>", PAGE + PAGE, PAGE.replace("{}", "{ }")])
def test_a_page_without_its_one_place_is_refused_at_the_start(page, static_dir, world):
    with pytest.raises(StaticFilesError, match="launch"):
        PageTemplate(page.encode())
    (static_dir / "index.html").write_text(page)
    with pytest.raises(StaticFilesError, match=r"index\.html"):
        create_app(world.services())
