"""From a request to its answer: route, method, handler, refusal, and one line in the log."""

import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, WebsocketScope
from structlog.typing import FilteringBoundLogger

from server.http.errors import ApiError, method_not_allowed, not_found
from server.http.exchange import (
    ClientGoneError,
    Request,
    RequestBody,
    Response,
    collect_headers,
    error_response,
    send_response,
)
from server.http.security_log import SecurityLog
from server.metrics.metrics import WebMetrics
from server.process.sampling import Sampler
from server.web.targets import METHODS_TAKEN, SERVER_ITSELF, Target, refusal_of

Handler = Callable[[Request], Awaitable[Response]]
AddressReader = Callable[[str, list[str]], str]

UNKNOWN_ROUTE = "unknown"
REFUSALS_PER_SECOND = 20
"""Lines about refused requests of each route, status and code. Overflow: counted, see ``server.process.sampling``."""
REFUSAL_STATUS_MIN = 400
SECURITY_CODES = frozenset(
    {
        "missing_header",
        "stale_timestamp",
        "invalid_credentials",
        "bad_signature",
        "ip_not_allowed",
        "operator_suspended",
        "rate_limited",
        "unknown_session",
    }
)
"""Refusals of who somebody is, of what it may do, or by a limit."""
CLIENT_GONE_STATUS = 499
"""For log and metrics only: the client did not wait for an answer."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_HIDDEN_HEADER = b"x-operator-hmac"


@dataclass(frozen=True, slots=True)
class Route:
    """A path's template and its handlers by method. Where ``GET`` is public, ``HEAD`` is among them."""

    template: str
    handlers: Mapping[str, Handler]


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How much of a body that nobody wanted is read, and for how long."""

    discard_bytes_max: int
    discard_timeout_ms: int


class Dispatcher:
    """Answers every HTTP request, whatever is in it.

    ``routes`` are matched by the exact path as on the wire, ``prefixes`` by its beginning.
    """

    def __init__(
        self,
        *,
        routes: Mapping[str, Route],
        prefixes: Mapping[str, Route],
        metrics: WebMetrics | None,
        log: FilteringBoundLogger,
        limits: BodyLimits,
        read_address: AddressReader,
        common_headers: tuple[tuple[bytes, bytes], ...] = (),
        security: SecurityLog | None = None,
        refusals: Sampler | None = None,
    ) -> None:
        """``common_headers`` are on every answer, beside its own; ``refusals`` bounds the lines about refusals."""
        self._security = security
        self._refusals = refusals or Sampler(REFUSALS_PER_SECOND, time.monotonic)
        self._common_headers = common_headers
        self._routes = routes
        self._prefixes = tuple(prefixes.items())
        self._metrics = metrics
        self._log = log
        self._limits = limits
        self._read_address = read_address

    async def exchange(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one request."""
        started = time.perf_counter()
        raw_path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        target, refusal = refusal_of(scope["method"], raw_path, query)
        request = self._request(scope, receive, target)
        route = self._route(request.path)
        response: Response | None = None
        with suppress(ClientGoneError):
            response = await self._answer(route, request, refusal)
            if not request.body.complete:
                await request.body.discard(self._limits.discard_bytes_max, self._limits.discard_timeout_ms)
        self._record(request, route, response, time.perf_counter() - started)
        if response is not None:
            answer = replace(response, headers=response.headers + self._common_headers)
            await send_response(answer, request.request_id, request.body, send)

    async def _answer(self, route: Route | None, request: Request, refusal: ApiError | None) -> Response:
        try:
            return await _handler(route, request.method, refusal)(request)
        except ApiError as error:
            return error_response(error, request.request_id)
        except ClientGoneError:
            raise
        except Exception:
            self._log.exception("request_failed", request_id=request.request_id)
            message = "Something went wrong on our side; the request_id finds it in our log."
            return error_response(ApiError(500, "internal", message), request.request_id)

    def _request(self, scope: HTTPScope, receive: ASGIReceiveCallable, target: Target) -> Request:
        headers = collect_headers(scope)
        # The secret itself is dropped here, before anything below or around could log it; that it came is remembered.
        brought_secret = headers.pop(_HIDDEN_HEADER, None) is not None
        if brought_secret:
            scope["headers"] = [(name, value) for name, value in scope["headers"] if name.lower() != _HIDDEN_HEADER]
        peer = scope["client"][0] if scope["client"] else ""
        forwarded_for = [value.decode("latin-1") for value in headers.get(b"x-forwarded-for", [])]
        state: Mapping[str, Any] = scope.get("state") or {}
        noted = {"note_signed": state["signed"]} if "signed" in state else {}
        return Request(
            method=scope["method"],
            path=target.path,
            query=target.query,
            absolute_target=target.absolute,
            headers=headers,
            address=self._read_address(peer, forwarded_for),
            request_id=request_id(headers),
            body=RequestBody(receive, headers),
            brought_secret=brought_secret,
            **noted,
        )

    def _route(self, path: str) -> Route | None:
        route = self._routes.get(path) or SERVER_ROUTES.get(path)
        if route is None:
            for prefix, prefixed in self._prefixes:
                if path.startswith(prefix):
                    return prefixed
        return route

    def tell_left_out(self) -> None:
        """To be called about every second: tells of lines about refusals that were left out."""
        for kind, count in self._refusals.left_out():
            self._log.warning("requests_left_out", kind=kind, left_out=count)

    def _record(self, request: Request, route: Route | None, response: Response | None, seconds: float) -> None:
        template = UNKNOWN_ROUTE if route is None else route.template
        method = request.method if request.method in _METHODS else "OTHER"
        status = CLIENT_GONE_STATUS if response is None else response.status
        if self._metrics is not None:
            self._metrics.request_answered(template, method, status, seconds)
        code = None if response is None else response.code
        if self._security is not None and code in SECURITY_CODES:
            self._security.request_refused(request.address, code, template, request.operator_id, request.request_id)
        left_out: int | None = 0
        if status >= REFUSAL_STATUS_MIN:
            left_out = self._refusals.admit(f"{template} {status} {code}")
        if left_out is None:
            return
        self._log.info(
            "request",
            method=method,
            route=template,
            status=status,
            code=code,
            milliseconds=round(seconds * 1000, 1),
            operator_id=request.operator_id,
            request_id=request.request_id,
            **({"left_out": left_out} if left_out else {}),
        )


async def about_the_server(request: Request) -> Response:
    """What ``OPTIONS *`` is answered: the methods that are known here."""
    return Response(200, b"", ((b"allow", METHODS_TAKEN.encode("ascii")),))


SERVER_ROUTES = {SERVER_ITSELF: Route(SERVER_ITSELF, {"OPTIONS": about_the_server})}


def _handler(route: Route | None, method: str, refusal: ApiError | None) -> Handler:
    if refusal is not None:
        raise refusal
    if route is None:
        raise not_found()
    handler = route.handlers.get(method)
    if handler is None:
        raise method_not_allowed(", ".join(sorted(route.handlers)))
    return handler


def request_id(headers: Mapping[bytes, list[bytes]]) -> str:
    """The client's own request id, if it gave a sane one, else a random one."""
    given = headers.get(b"x-request-id", [])
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        return given[0].decode("ascii")
    return os.urandom(16).hex()


async def refuse_websocket(scope: WebsocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Refuse a websocket that came this way: players' sockets never reach the web application."""
    await receive()
    chosen_id = request_id(collect_headers(scope))
    response = error_response(not_found(), chosen_id)
    headers = [
        (b"content-length", b"%d" % len(response.body)),
        (b"connection", b"close"),
        (b"x-request-id", chosen_id.encode("ascii")),
        (b"x-content-type-options", b"nosniff"),
        *response.headers,
    ]
    await send({"type": "websocket.http.response.start", "status": response.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": response.body, "more_body": False})
