"""The headers that protect browsers: what each kind of answer has, and what none has."""

import pytest

from server.web.metrics_app import create_metrics_app
from server.web.routes import create_app
from tests.helpers.http_client import exchange, request_bytes
from tests.helpers.operator_client import LAUNCH

NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
NO_PAGES = [
    ("GET", "/livez", 200),
    ("GET", "/readyz", 200),
    ("GET", "/nowhere", 404),
    ("GET", "livez", 400),
    ("POST", "/livez", 405),
    ("CONNECT", "host:443", 405),
    ("GET", "/stream", 426),
    ("POST", LAUNCH, 401),
    ("GET", "/static/main.js", 200),
    ("GET", "/static/sounds/engine.ogg", 200),
    ("GET", "/static/nothing.js", 404),
]


async def asked(port, method, target):
    return await exchange(port, request_bytes(method, target, {}), method)


@pytest.mark.parametrize(("method", "target", "status"), NO_PAGES)
async def test_what_is_no_page_may_do_nothing(port, method, target, status):
    answer = await asked(port, method, target)
    assert answer.status == status
    assert answer.headers["content-security-policy"] == NOTHING
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in answer.headers


async def test_signed_answers_too(casino):
    answer = await casino.launch()
    assert answer.status == 200 and answer.headers["content-security-policy"] == NOTHING


async def test_metrics_too(world, start):
    services = world.services()
    port = await start(create_metrics_app(world.metrics.registry, services.log))
    assert (await asked(port, "GET", "/metrics")).headers["content-security-policy"] == NOTHING


@pytest.mark.parametrize("target", ["/play?session=none", "/static/index.html"])
async def test_a_page_has_a_policy_of_its_own(port, target):
    policy = (await asked(port, "GET", target)).headers["content-security-policy"]
    assert "default-src" in policy and "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy


@pytest.mark.parametrize("public_url", ["https://game.example.com", "http://localhost:8080"])
async def test_browsers_are_told_to_come_by_https_where_they_do(public_url, world, start):
    port = await start(create_app(world.services(public_url=public_url)))
    for method, target, _ in [*NO_PAGES, ("GET", "/play?session=none", 404)]:
        told = (await asked(port, method, target)).headers.get("strict-transport-security")
        assert told == ("max-age=63072000; includeSubDomains" if public_url.startswith("https") else None), target
