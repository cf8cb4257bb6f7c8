"""The documented nginx example, as it stands but for its addresses and paths, in front of the real server."""

import json
import re
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio
from trio_websocket import open_websocket_url

from tests.helpers.certificates import make_certificate
from tests.helpers.programs import needed
from tests.helpers.server_process import ROOT, ServerProcess, free_ports
from tests.whole.casino import LAUNCH, signature

START_S_MAX = 10


def example(folder: Path, tls_port: int, server_port: int) -> str:
    text = (ROOT / "docs" / "nginx.conf").read_text(encoding="utf-8")
    for documented, here in {
        "/etc/ssl/game.example.com": str(folder),
        "/var/log/nginx": str(folder),
        "listen 443 ssl": f"listen 127.0.0.1:{tls_port} ssl",
        "127.0.0.1:8080": f"127.0.0.1:{server_port}",
        "game.example.com": "localhost",
    }.items():
        assert documented in text, documented
        text = text.replace(documented, here)
    return text


@pytest.fixture
def behind_nginx(postgres, tmp_path):
    """The server, its origin behind nginx, and what trusts that origin's certificate."""
    nginx = needed("nginx", "/usr/sbin/nginx")
    (tls_port,) = free_ports(1)
    make_certificate(tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
    origin = f"https://localhost:{tls_port}"
    with postgres.database() as database_url:
        server = ServerProcess(
            database_url,
            tmp_path,
            GETAWAY_SERVER_PUBLIC_URL=origin,
            GETAWAY_SERVER_TRUSTED_PROXIES="127.0.0.1/32",
        )
        (tmp_path / "site.conf").write_text(example(tmp_path, tls_port, server.port))
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}\n"
            f"http {{ include {tmp_path}/site.conf; }}\n"
        )
        proxy = subprocess.Popen([nginx, "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log")])
        try:
            yield server, origin, ssl.create_default_context(cafile=str(tmp_path / "fullchain.pem"))
        finally:
            proxy.terminate()
            proxy.wait(START_S_MAX)
            server.kill()


def wait_for(origin: str, context: ssl.SSLContext) -> None:
    give_up_at = time.monotonic() + START_S_MAX
    while time.monotonic() < give_up_at:
        try:
            with urllib.request.urlopen(f"{origin}/readyz", context=context, timeout=5):
                return
        except urllib.error.URLError:
            time.sleep(0.05)
    pytest.fail("nginx does not answer")


def read(url: str, context: ssl.SSLContext) -> bytes:
    with urllib.request.urlopen(url, context=context, timeout=10) as answer:
        return answer.read()


def signed_launch(origin: str, operator: dict[str, str], context: ssl.SSLContext) -> dict:
    body = b'{"operator_player_id":"player-42","currency":"USD","balance_minor":500000,"ttl_seconds":3600}'
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "X-Operator-Id": operator["operator_id"],
        "X-Operator-Key": operator["api_key"],
        "X-Timestamp": timestamp,
        "X-Signature": signature(operator["hmac_secret"], timestamp, "POST", LAUNCH, body),
        "X-Forwarded-For": "198.51.100.1",
    }
    request = urllib.request.Request(origin + LAUNCH, data=body, headers=headers)
    with urllib.request.urlopen(request, context=context, timeout=10) as answer:
        return json.load(answer)


def test_the_example_bounds_what_an_address_asks_for_but_not_signed_calls(behind_nginx):
    server, origin, context = behind_nginx
    operator = server.create_operator("http://127.0.0.1:9")
    server.start()
    wait_for(origin, context)
    statuses = pipelined(origin, context, b"/livez", 900)
    assert statuses.count(429) > 100 and statuses.count(200) >= 400
    assert set(statuses) == {200, 429}
    for _ in range(5):
        assert signed_launch(origin, operator, context)["ok"]


def pipelined(origin: str, context: ssl.SSLContext, target: bytes, count: int) -> list[int]:
    """The statuses of so many requests that were sent at once on one connection."""
    split = urlsplit(origin)
    request = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % target
    with (
        socket.create_connection(("127.0.0.1", split.port), timeout=60) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as stream,
    ):
        stream.sendall(request * (count - 1) + request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        data = b""
        while received := stream.recv(65_536):
            data += received
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", data)]


async def test_the_example_serves_the_api_the_page_and_the_players(behind_nginx):
    server, origin, context = behind_nginx
    # nginx alone says who the client is: what the client says itself would be refused here.
    operator = server.create_operator("http://127.0.0.1:9", "--allow-ip", "127.0.0.1")
    server.start()
    wait_for(origin, context)

    launched = signed_launch(origin, operator, context)
    assert launched["launch_url"].startswith(f"{origin}/play?session=")
    assert b"Getaway" in read(launched["launch_url"], context)

    token = launched["launch_url"].partition("session=")[2]
    socket_url = origin.replace("https", "wss") + "/stream"
    with trio.fail_after(20):
        async with open_websocket_url(socket_url, context, extra_headers=[("origin", origin)]) as websocket:
            await websocket.send_message(json.dumps({"type": "hello", "session": token}))
            assert json.loads(await websocket.get_message())["type"] == "welcome"
    log = (server.log_path.parent / "getaway.log").read_text()
    assert '"GET /play" 200' in log
    assert token not in log + server.log()


WAYS = {
    "as launched": "/play?session={token}",
    "with more in the query": "/play?lang=de&session={token}",
    "a slash too many": "//play?session={token}",
    "a slash at the end": "/play/?session={token}",
    "percent-encoded": "/%70lay?session={token}",
    "too long": "/play?session={token}&" + "a" * 9_000,
}


def answer(url: str, context: ssl.SSLContext, **headers: str) -> tuple[int, dict[str, str]]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answered:
            return answered.status, dict(answered.headers)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, dict(refusal.headers)


def logs_of(folder: Path) -> str:
    return "".join(path.read_text(errors="replace") for path in folder.glob("*.log"))


def test_no_log_on_the_way_ever_has_a_token(behind_nginx):
    """Also while the server is away, or ends in the middle of it all: an error log quotes whole requests."""
    server, origin, context = behind_nginx
    folder = server.log_path.parent
    operator = server.create_operator("http://127.0.0.1:9")
    server.start()
    wait_for(origin, context)
    token = signed_launch(origin, operator, context)["launch_url"].partition("session=")[2]
    for way in WAYS.values():
        answer(origin + way.format(token=token), context)
    server.kill()
    for name, way in WAYS.items():
        status, headers = answer(origin + way.format(token=token), context)
        assert status == (414 if name == "too long" else 502), name
        # What the browser asks for next, such as an icon, must not say where it comes from.
        assert name == "too long" or headers["Referrer-Policy"] == "no-referrer"
    assert answer(f"{origin}/static/main.js", context)[0] == 502
    wait_until_logged(folder / "getaway-error.log", "/static/main.js")
    assert token not in logs_of(folder)
    # What is looked for would be found: everywhere else such a line is there.
    answer(f"{origin}/elsewhere?session={token}", context)
    wait_until_logged(folder / "getaway-error.log", token)


def wait_until_logged(path: Path, text: str) -> None:
    give_up_at = time.monotonic() + START_S_MAX
    while text not in path.read_text(errors="replace"):
        assert time.monotonic() < give_up_at, f"{text} is not in {path}"
        time.sleep(0.02)


def test_tls_is_as_documented(behind_nginx):
    server, origin, context = behind_nginx
    server.start()
    wait_for(origin, context)
    for path in ("/livez", "/play?session=none", "/static/main.js"):
        _, headers = answer(origin + path, context)
        assert headers["Strict-Transport-Security"] == "max-age=63072000; includeSubDomains"
    port = int(origin.rpartition(":")[2])
    weak = ssl.create_default_context(cafile=str(server.log_path.parent / "fullchain.pem"))
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("AES128-SHA:AES256-SHA:AES128-GCM-SHA256")
    with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(ssl.SSLError):
        weak.wrap_socket(plain, server_hostname="localhost")
