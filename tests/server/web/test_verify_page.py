import pytest

from server.web.routes import create_app
from tests.helpers.http_client import exchange, request_bytes

PAGE = b"<!doctype html><title>Verify</title>"


async def fetch(port, method="GET", headers=(), target="/verify"):
    return await exchange(port, request_bytes(method, target, headers), method)


@pytest.fixture
async def with_page(static_dir, world, start):
    (static_dir / "verify.html").write_bytes(PAGE)
    return await start(create_app(world.services()))


async def test_the_page_needs_no_session_and_no_database(with_page, world):
    world.ledger.unavailable = world.reports.unavailable = True
    answer = await fetch(with_page)
    assert (answer.status, answer.body) == (200, PAGE)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await fetch(with_page, target="/verify?round=1")).body == PAGE


async def test_who_has_the_page_gets_304_and_heads_are_answered(with_page):
    etag = (await fetch(with_page)).headers["etag"]
    assert (await fetch(with_page, headers={"If-None-Match": etag})).status == 304
    head = await fetch(with_page, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert (await fetch(with_page, "POST")).headers["allow"] == "GET, HEAD"


async def test_without_the_file_there_is_no_page(port):
    answer = await fetch(port)
    assert (answer.status, answer.code) == (404, "not_found")
    assert answer.headers["content-type"] == "application/json"


async def test_only_its_path_is_measured(with_page, world):
    await fetch(with_page, target="/verify?seed=" + "a" * 64)
    assert world.logged.entries[-1]["route"] == "/verify"
    assert "a" * 64 not in repr(world.logged.entries)
