import pytest

from server.web.static_files import StaticFilesError, load_static_files
from tests.helpers.http_client import exchange, request_bytes


async def fetch(port, target, headers=(), method="GET"):
    return await exchange(port, request_bytes(method, target, headers), method)


@pytest.mark.parametrize(
    ("target", "content_type", "content"),
    [
        ("/static/main.js", "text/javascript; charset=utf-8", b"export {};"),
        ("/static/sounds/engine.ogg", "audio/ogg", b"OggS"),
        ("/static/index.html", "text/html; charset=utf-8", b"<!doctype html><title>Play</title>"),
        ("/static/main.js?version=3", "text/javascript; charset=utf-8", b"export {};"),
    ],
)
async def test_files_are_served_with_their_types(port, target, content_type, content):
    answer = await fetch(port, target)
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, content_type, content)
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_who_has_a_file_already_gets_304(port):
    etag = (await fetch(port, "/static/main.js")).headers["etag"]
    for known in (etag, "W/" + etag, f'"other", {etag}', "*"):
        answer = await fetch(port, "/static/main.js", {"If-None-Match": known})
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
    assert (await fetch(port, "/static/main.js", {"If-None-Match": '"other"'})).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "/static/",
        "/static",
        "/static/sounds",
        "/static/sounds/",
        "/static/../outside.js",
        "/static/%2e%2e/outside.js",
        "/static/..%2foutside.js",
        "/static/sounds/../main.js",
        "/static//main.js",
        "/static//etc/passwd",
        "/static/link.js",
        "/static/.hidden.js",
        "/static/notes.md",
        "/static/main.js%00",
        "/static/MAIN.JS",
    ],
)
async def test_nothing_else_is_there(port, target):
    answer = await fetch(port, target)
    assert (answer.status, answer.code) == (404, "not_found")


async def test_files_are_only_read(port):
    answer = await fetch(port, "/static/main.js", method="POST")
    assert (answer.status, answer.code, answer.headers["allow"]) == (405, "method_not_allowed", "GET, HEAD")


def test_a_folder_without_a_page_is_refused(tmp_path):
    with pytest.raises(StaticFilesError, match=r"index\.html"):
        load_static_files(tmp_path)
