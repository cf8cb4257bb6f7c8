"""One HTTP request and its answer, straight on ASGI.

The operator API answers a thousand launches a second, so requests do not go through Quart's routing, contexts and
signals, which cost as much again as the HTTP server itself: the application plugs this class into Quart's own
``asgi_http_class``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, WebsocketScope

from actors.rules.compact_json import compact_json
from server.http.errors import ApiError, MalformedError, body_too_large, body_too_slow

NO_PAGE_POLICY = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""The Content-Security-Policy of what is no page: should a browser take it for one, nothing in it has an effect."""
JSON_HEADERS = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", NO_PAGE_POLICY),
    (b"referrer-policy", b"no-referrer"),
)


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete: nobody waits for an answer."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. ``code`` is the error code, for the log."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    code: str | None = None


def json_response(document: dict[str, object], status: int = 200) -> Response:
    """A JSON answer that nobody may cache."""
    return Response(status, compact_json(document), JSON_HEADERS)


def error_response(error: ApiError, request_id: str) -> Response:
    """A refusal in the contract's error format."""
    body = compact_json(error.document(request_id))
    return Response(error.status, body, JSON_HEADERS + error.headers, error.code)


def _nobody_asked() -> None:
    """Whoever serves the connection does not want to know."""


@dataclass(slots=True, kw_only=True)
class Request:
    """A request's head. ``path`` and ``query`` are as on the wire, undecoded; ``headers`` has lower-case names.
    ``absolute_target`` is the whole target, if it named scheme and host, too.

    ``address`` is the client's, behind trusted proxies. ``brought_secret``: it carried X-Operator-Hmac.
    ``operator_id`` is filled in once the caller is known.
    """

    method: str
    path: str
    query: str
    headers: dict[bytes, list[bytes]]
    address: str
    request_id: str
    body: "RequestBody"
    absolute_target: str | None = None
    brought_secret: bool = False
    operator_id: str | None = None
    note_signed: Callable[[], object] = _nobody_asked
    """To be called once its signature was found right."""

    @property
    def target(self) -> str:
        """The request target as on the wire, but for scheme and host."""
        return f"{self.path}?{self.query}" if self.query else self.path


class RequestBody:
    """The body of a request, read at most once and never beyond a limit."""

    def __init__(self, receive: ASGIReceiveCallable, headers: dict[bytes, list[bytes]]) -> None:
        self._receive = receive
        self._announced = _announced_bytes(headers)
        self.complete = False

    async def read(self, bytes_max: int, timeout_ms: int) -> bytes:
        """The whole body. Raises the refusals 413 and 408, and ``ClientGoneError``."""
        if self._announced > bytes_max:
            raise body_too_large(bytes_max)
        chunks: list[bytes] = []
        length = 0
        with trio.move_on_after(timeout_ms / 1000):
            while not self.complete:
                chunk = await self._next_chunk()
                length += len(chunk)
                if length > bytes_max:
                    raise body_too_large(bytes_max)
                chunks.append(chunk)
        if not self.complete:
            raise body_too_slow()
        return b"".join(chunks)

    async def discard(self, bytes_max: int, timeout_ms: int) -> None:
        """Read what is left, up to a limit and for a while, so that a client that still sends can read the answer."""
        length = 0
        with trio.move_on_after(timeout_ms / 1000):
            while not self.complete and length <= bytes_max:
                length += len(await self._next_chunk())

    async def drain(self) -> None:
        """Read for as long as the connection lasts."""
        while (await self._receive())["type"] == "http.request":
            pass

    async def _next_chunk(self) -> bytes:
        message = await self._receive()
        if message["type"] != "http.request":
            raise ClientGoneError
        self.complete = not message["more_body"]
        return message["body"]


def _announced_bytes(headers: dict[bytes, list[bytes]]) -> int:
    try:
        return int(headers[b"content-length"][0])
    except (KeyError, ValueError):
        return 0


def collect_headers(scope: HTTPScope | WebsocketScope) -> dict[bytes, list[bytes]]:
    """All headers by lower-case name, the repeated ones with every value."""
    headers: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.lower(), []).append(value)
    return headers


def query_values(query: str, names: frozenset[str]) -> dict[str, list[bytes]]:
    """The values of some parameters of a query string, decoded to bytes; other parameters are ignored."""
    values: dict[str, list[bytes]] = {}
    for pair in query.split("&"):
        raw_name, _, raw_value = pair.partition("=")
        name = unquote_to_bytes(raw_name).decode("latin-1")
        if name in names:
            values.setdefault(name, []).append(unquote_to_bytes(raw_value.replace("+", " ")))
    return values


def only_values(query: str, names: frozenset[str]) -> dict[str, list[bytes]]:
    """As ``query_values``, for a query that may have no other parameter. Raises ``MalformedError`` that names it.

    What is passed over in silence is taken for granted by whoever sent it.
    """
    for pair in query.split("&"):
        name = unquote_to_bytes(pair.partition("=")[0]).decode("latin-1")
        if pair and name not in names:
            known = f"there are {', '.join(sorted(names))}" if names else "there are none"
            raise MalformedError(name[:64], f"This resource has no such query parameter: {known}.")
    return query_values(query, names)


async def send_response(response: Response, request_id: str, body: RequestBody, send: ASGISendCallable) -> None:
    """Send an answer.

    While a body is unfinished it is read on beside the answer: hypercorn waits for the application to take a body's
    parts, and would never close the connection otherwise.
    """
    if body.complete:
        await _send(response, request_id, send)
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(body.drain)
        await _send(response, request_id, send)
        nursery.cancel_scope.cancel()


async def _send(response: Response, request_id: str, send: ASGISendCallable) -> None:
    headers = [
        (b"x-request-id", request_id.encode("ascii")),
        (b"x-content-type-options", b"nosniff"),
        *response.headers,
    ]
    if response.status != 304:
        headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": response.body, "more_body": False})
