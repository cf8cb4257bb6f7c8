"""The verifier's page and the static files, under the policy of the real server, and a note of every request."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STATIC = Path(__file__).resolve().parents[2] / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


class VerifySite:
    """Serves on a free port of the loopback; ``requests`` are method and target of all that came."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append(f"GET {self.path}")
                path = self.path.partition("?")[0]
                name = "verify.html" if path == "/verify" else path.removeprefix("/static/")
                file = STATIC / name
                content = file.read_bytes() if file.is_file() and STATIC in file.resolve().parents else None
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Type", CONTENT_TYPES.get(file.suffix, "text/plain"))
                self.send_header("Content-Security-Policy", POLICY)
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(content or b"")

            def do_POST(self) -> None:
                site.requests.append(f"POST {self.path}")
                self.send_error(405)

            def log_message(self, *_: object) -> None:
                """The requests are noted above."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def serving() -> Iterator[VerifySite]:
    """The site until the block ends."""
    site = VerifySite()
    thread = threading.Thread(target=site.server.serve_forever, name="verify-site")
    thread.start()
    try:
        yield site
    finally:
        site.server.shutdown()
        site.server.server_close()
        thread.join(10)
