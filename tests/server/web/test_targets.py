"""The forms of a request's target, and what is signed of each."""

import pytest

from server.http.errors import ApiError
from server.web.targets import Target, read_target
from tests.helpers.http_client import exchange, request_bytes

REVENUE = "/api/public/rgs/revenue"
QUERY = "from=2026-07-01&to=2026-07-31"


@pytest.mark.parametrize(
    ("method", "raw_path", "query", "target"),
    [
        ("GET", "/livez", "", Target("/livez", "")),
        ("GET", "//livez", "a=/", Target("//livez", "a=/")),
        ("GET", "http://host/livez", "", Target("/livez", "", "http://host/livez")),
        ("GET", "HTTPS://host:8443/a//b%2F", "x=?", Target("/a//b%2F", "x=?", "HTTPS://host:8443/a//b%2F?x=?")),
        ("GET", "http://host", "", Target("/", "", "http://host")),
        ("GET", "http://host", "a", Target("/", "a", "http://host?a")),
        ("GET", "http://[::1]:80/x", "", Target("/x", "", "http://[::1]:80/x")),
        ("OPTIONS", "*", "", Target("*", "")),
    ],
)
def test_forms_that_are_read(method, raw_path, query, target):
    assert read_target(method, raw_path, query) == target


@pytest.mark.parametrize(
    ("method", "raw_path", "query", "status"),
    [
        ("GET", "livez", "", 400),
        ("GET", "*", "", 400),
        ("OPTIONS", "*", "a", 400),
        ("GET", "ftp://host/livez", "", 400),
        ("GET", "http:/livez", "", 400),
        ("GET", "http:///livez", "", 400),
        ("GET", "http://user@host/livez", "", 400),
        ("GET", "http://host/livez#top", "", 400),
        ("GET", "", "a", 400),
        ("CONNECT", "host:443", "", 405),
        ("CONNECT", "/livez", "", 405),
    ],
)
def test_forms_that_are_refused(method, raw_path, query, status):
    with pytest.raises(ApiError) as caught:
        read_target(method, raw_path, query)
    assert caught.value.status == status


async def test_an_absolute_target_is_the_resource_that_its_path_names(casino):
    absolute = f"http://elsewhere.example{REVENUE}?{QUERY}"
    for signed in (REVENUE, f"{REVENUE}?{QUERY}", absolute):
        headers = casino.headers("GET", signed)
        answer = await exchange(casino.port, request_bytes("GET", absolute, headers), "GET")
        assert answer.status == 200, signed
    for signed in ("http://elsewhere.example" + REVENUE, f"http://game.test{REVENUE}?{QUERY}", "/", REVENUE + "/"):
        headers = casino.headers("GET", signed)
        answer = await exchange(casino.port, request_bytes("GET", absolute, headers), "GET")
        assert (answer.status, answer.json["error"]["code"]) == (401, "bad_signature"), signed


async def test_options_of_the_server_itself(casino):
    answer = await exchange(casino.port, request_bytes("OPTIONS", "*", {}), "OPTIONS")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_a_target_of_no_form_names_itself(casino):
    answer = await exchange(casino.port, request_bytes("GET", "livez", {}), "GET")
    assert (answer.status, answer.json["error"]["field"]) == (400, "target")
