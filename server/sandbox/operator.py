"""The demo operator as a program: ``python -m server.sandbox.operator --help``.

A plain threaded server of the standard library: an operator needs no framework to be integrated.
"""

import argparse
import json
import re
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from server.sandbox.getaway_client import GetawayClient
from server.sandbox.signatures import Credentials
from server.sandbox.site import OperatorSite, Reply, Request
from server.sandbox.wallet_book import WalletBook

BODY_BYTES_MAX: Final = 65_536
# Above it a connection is closed unanswered.
CONNECTIONS_MAX: Final = 256
_SAFETY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class OperatorServer(ThreadingHTTPServer):
    """A thread for each connection, at most ``CONNECTIONS_MAX``."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, _Handler)
        self.site: OperatorSite | None = None
        self._places = threading.BoundedSemaphore(CONNECTIONS_MAX)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's types
        """Start a thread, or close the connection if all places are taken."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - see above
        """Serve one connection, then free its place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - see above
        """A browser that goes away is no news; anything else is one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            say(f"operator: a request failed: {type(error).__name__}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "demo-operator"
    sys_version = ""
    timeout = 30
    disable_nagle_algorithm = True
    wbufsize = 65_536
    server: OperatorServer

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        """Wallet calls and the lobby's buttons."""
        lengths = self.headers.get_all("Content-Length", [])
        if len(lengths) != 1 or not re.fullmatch("[0-9]{1,9}", lengths[0]) or "Transfer-Encoding" in self.headers:
            self._refuse(411, "content_length_required")
        elif int(lengths[0]) > BODY_BYTES_MAX:
            self._refuse(413, "body_too_large")
        else:
            self._serve(self.rfile.read(int(lengths[0])))

    def _serve(self, body: bytes) -> None:
        headers: dict[str, list[str]] = {}
        for name, value in self.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        assert self.server.site is not None, "the site is set before the first connection"
        self._write(self.server.site.reply(Request(self.command, self.path, headers, body)))

    def _refuse(self, status: int, code: str) -> None:
        self.close_connection = True
        self._write(Reply(status, "application/json", json.dumps({"ok": False, "error": code}).encode()))

    def _write(self, reply: Reply) -> None:
        self.send_response(reply.status)
        charset = "; charset=utf-8" if reply.content_type.startswith("text/") else ""
        fixed = {"Content-Type": reply.content_type + charset, "Content-Length": str(len(reply.body))}
        for name, value in {**fixed, **_SAFETY_HEADERS, **reply.headers}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the wallet's own lines are the log."""


def load_credentials(path: Path) -> Credentials:
    """The file that ``getaway operator create --json`` filled. Raises ``ValueError`` with one line."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Credentials(
            operator_id=str(document["operator_id"]),
            api_key=str(document["api_key"]),
            hmac_secret=str(document["hmac_secret"]),
        )
    except OSError as error:
        raise ValueError(f"can't read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} must be a JSON object with operator_id, api_key and hmac_secret") from None


def say(line: str) -> None:
    """One line on standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(host: str, port: int, getaway_url: str, credentials_path: Path, database_path: Path) -> int:
    """Serve until SIGINT or SIGTERM; the exit status."""
    try:
        credentials = load_credentials(credentials_path)
        server = OperatorServer((host, port))
    except ValueError as error:
        sys.stderr.write(f"operator: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"operator: can't listen on {host}:{port}: {error.strerror}\n")
        return 1
    bound_port = server.socket.getsockname()[1]
    origins = [f"http://{name}:{bound_port}" for name in dict.fromkeys([host, "localhost"])]
    book = WalletBook(database_path)
    server.site = OperatorSite(book, GetawayClient(getaway_url, credentials), credentials, origins=origins, say=say)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    say(f"operator: lobby at http://{host}:{bound_port}/")
    stop.wait()
    server.shutdown()
    server.socket.shutdown(socket.SHUT_RDWR)
    server.server_close()
    book.close()
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m server.sandbox.operator", description="A demo casino operator.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--getaway-url", required=True, help="the game server's public URL")
    parser.add_argument("--credentials", type=Path, required=True, help="JSON: operator_id, api_key, hmac_secret")
    parser.add_argument("--database", type=Path, required=True, help="the wallet's SQLite file")
    options = parser.parse_args(arguments)
    return run(options.host, options.port, options.getaway_url, options.credentials, options.database)


if __name__ == "__main__":
    sys.exit(main())
