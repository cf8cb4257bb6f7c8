import gzip

import pytest

from server.web.routes import create_app
from server.web.static_files import StaticFilesError, load_static_files
from tests.helpers.http_client import exchange, request_bytes
from tests.helpers.web_fakes import PAGE


async def fetch(port, target, headers=(), method="GET"):
    return await exchange(port, request_bytes(method, target, headers), method)


@pytest.mark.parametrize(
    ("target", "content_type", "content"),
    [
        ("/static/main.js", "text/javascript; charset=utf-8", b"export {};"),
        ("/static/sounds/engine.ogg", "audio/ogg", b"OggS"),
        ("/static/index.html", "text/html; charset=utf-8", PAGE.encode()),
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


def test_too_much_to_be_kept_in_memory_is_refused_at_the_start(static_dir, monkeypatch):
    monkeypatch.setattr("server.web.static_files.FILES_BYTES_MAX", 1_000)
    assert load_static_files(static_dir).player_page
    (static_dir / "large.js").write_text("x" * 1_000)
    with pytest.raises(StaticFilesError, match="exceed 1000 bytes"):
        load_static_files(static_dir)


async def test_files_are_only_read(port):
    answer = await fetch(port, "/static/main.js", method="POST")
    assert (answer.status, answer.code, answer.headers["allow"]) == (405, "method_not_allowed", "GET, HEAD")


LONG = {
    "long.js": "text/javascript; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "messages/de.json": "application/json",
    "art/icon.svg": "image/svg+xml",
    "rules.html": "text/html; charset=utf-8",
}
TEXT = "a text that is long enough to be shorter once it is compressed\n" * 20
GZIP = {"Accept-Encoding": "br, gzip"}


@pytest.fixture
async def texts(static_dir, world, start):
    for name in (*LONG, "sounds/long.ogg"):
        (static_dir / name).parent.mkdir(exist_ok=True)
        (static_dir / name).write_text(TEXT)
    return await start(create_app(world.services()))


@pytest.mark.parametrize("name", LONG)
async def test_texts_are_compressed_for_who_takes_them_so(texts, name):
    plain, short = await fetch(texts, f"/static/{name}"), await fetch(texts, f"/static/{name}", GZIP)
    assert plain.body.decode() == gzip.decompress(short.body).decode() == TEXT
    assert len(short.body) < len(plain.body) / 4
    assert "content-encoding" not in plain.headers
    assert short.headers["content-encoding"] == "gzip"
    for answer in (plain, short):
        assert (answer.status, answer.headers["content-type"]) == (200, LONG[name])
        assert answer.headers["vary"] == "accept-encoding"
        assert answer.headers["content-length"] == str(len(answer.body))
    assert plain.headers["etag"] != short.headers["etag"]
    head = await fetch(texts, f"/static/{name}", GZIP, "HEAD")
    assert (head.headers["content-length"], head.headers["etag"]) == (str(len(short.body)), short.headers["etag"])


async def test_each_coding_is_known_by_its_own_tag(texts):
    plain, short = await fetch(texts, "/static/long.js"), await fetch(texts, "/static/long.js", GZIP)
    for headers, mine, other in (({}, plain, short), (GZIP, short, plain)):
        known = await fetch(texts, "/static/long.js", headers | {"If-None-Match": mine.headers["etag"]})
        assert (known.status, known.body, known.headers["etag"]) == (304, b"", mine.headers["etag"])
        assert known.headers["vary"] == "accept-encoding"
        assert "content-encoding" not in known.headers
        unknown = await fetch(texts, "/static/long.js", headers | {"If-None-Match": other.headers["etag"]})
        assert (unknown.status, unknown.body) == (200, mine.body)


@pytest.mark.parametrize("name", ["sounds/long.ogg", "main.js"])
async def test_what_compression_does_not_help_is_sent_as_it_is(texts, name):
    answer = await fetch(texts, f"/static/{name}", GZIP)
    assert answer.status == 200
    assert not {"content-encoding", "vary"} & answer.headers.keys()


def test_two_nodes_send_the_same(static_dir):
    (static_dir / "long.js").write_text(TEXT)
    first, second = [load_static_files(static_dir)._files["long.js"] for _ in range(2)]
    assert first == second
    assert first.gzipped.content[4:8] == bytes(4), "no time of day"


@pytest.mark.parametrize(
    ("values", "accepts"),
    [
        ([], False),
        ([""], False),
        (["gzip"], True),
        (["br, GZIP"], True),
        (["deflate", "gzip"], True),
        (["gzip;q=0.5, br;q=1"], True),
        (["gzip ; q=1.000"], True),
        (["*"], True),
        (["*;q=0.1"], True),
        (["br, deflate"], False),
        (["gzip;q=0"], False),
        (["gzip; q=0.000"], False),
        (["*, gzip;q=0"], False),
        (["*;q=0"], False),
        (["gzip, *;q=0"], True),
        (["identity"], False),
        (["xgzip"], False),
    ],
)
async def test_what_accept_encoding_says(texts, values, accepts):
    headers = [("Accept-Encoding", value) for value in values]
    answer = await fetch(texts, "/static/long.js", headers)
    assert answer.headers.get("content-encoding") == ("gzip" if accepts else None)


def test_a_folder_without_a_page_is_refused(tmp_path):
    with pytest.raises(StaticFilesError, match=r"index\.html"):
        load_static_files(tmp_path)
