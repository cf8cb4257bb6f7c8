"""The Quart application of a port: how any request is matched, refused, answered and recorded."""

from quart import Response
from quart.routing import QuartMap
from quart.typing import ResponseTypes
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import MapAdapter

from server.http.errors import (
    JSON_HEADERS,
    ApiError,
    Headers,
    body_too_large,
    body_too_slow,
    method_not_allowed,
    not_found,
)
from server.web.connections import BoundedApp, Bounds, HttpConnection, RefusedWebsocket
from server.web.request_facts import CLIENT_GONE_STATUS, ClientGoneError, facts, facts_of
from server.web.request_log import RequestLog
from server.web.targets import METHODS_TAKEN, SERVER_ITSELF


class WireMap(QuartMap):
    """Matches the path as it is on the wire. There is one site here, whatever Host says."""

    def bind_to_request(
        self, request: BaseRequestWebsocket, subdomain: str | None, server_name: str | None
    ) -> MapAdapter:
        """See Quart. Werkzeug takes several slashes at the beginning for one: here they name no resource."""
        path = facts_of(request.scope).target.path
        if path.startswith("//"):
            path = f"/%2F{path[2:]}"
        return self.bind("localhost", path_info=path, default_method=request.method)


class WebApp(BoundedApp):
    """Beyond Quart: targets and bodies within bounds, the contract's errors, and one record of each request."""

    asgi_http_class = HttpConnection  # type: ignore[assignment]  # it asks for bounds
    asgi_websocket_class = RefusedWebsocket
    url_map_class = WireMap

    def __init__(self, bounds: Bounds, request_log: RequestLog, common_headers: Headers | None = None) -> None:
        """``common_headers`` are on every answer, beside its own."""
        super().__init__(__name__, static_folder=None)
        self.bounds = bounds
        self.request_log = request_log
        self._common_headers = {"x-content-type-options": "nosniff", **(common_headers or {})}
        self.url_map.merge_slashes = False
        self.config.update(
            MAX_CONTENT_LENGTH=bounds.body_bytes_max,
            BODY_TIMEOUT=bounds.body_timeout_ms / 1000,
            RESPONSE_TIMEOUT=None,  # Whoever serves the connection cuts off who does not read.
            PROVIDE_AUTOMATIC_OPTIONS=False,
        )
        self.before_request(_judge_target)
        self.after_request(self._finish)
        self.teardown_request(request_log.record)
        self.register_error_handler(ApiError, _refuse)
        self.register_error_handler(HTTPException, self._refuse_as_quart_does)
        self.register_error_handler(ClientGoneError, _leave_unanswered)
        self.register_error_handler(Exception, self._fail)

    async def _finish(self, response: Response) -> Response:
        known = facts()
        known.status = response.status_code
        response.headers["x-request-id"] = known.request_id
        response.headers.update(self._common_headers)
        return response

    async def _refuse_as_quart_does(self, error: HTTPException) -> ResponseTypes:
        if isinstance(error, MethodNotAllowed):
            return await _refuse(method_not_allowed(", ".join(sorted(error.valid_methods or ()))))
        if error.code == 404:
            return await _refuse(not_found())
        if error.code == 408:
            return await _refuse(body_too_slow())
        if error.code == 413:
            return await _refuse(body_too_large(self.bounds.body_bytes_max))
        if error.code is not None and error.code < 500:
            return await _refuse(ApiError(error.code, error.name.lower().replace(" ", "_"), f"{error.name}."))
        return await self._fail(error)

    async def _fail(self, _error: Exception) -> ResponseTypes:
        self.request_log.failed()
        message = "Something went wrong on our side; the request_id finds it in our log."
        return await _refuse(ApiError(500, "internal", message))


async def _judge_target() -> Response | None:
    known = facts()
    if known.refusal is not None:
        raise known.refusal
    if known.target.path == SERVER_ITSELF:
        about_the_server = Response(b"", headers={"allow": METHODS_TAKEN})
        del about_the_server.content_type
        return about_the_server
    return None


async def _leave_unanswered(_error: ClientGoneError) -> Response:
    return Response(b"", CLIENT_GONE_STATUS)


async def _refuse(error: ApiError) -> Response:
    known = facts()
    known.code = error.code
    return Response(error.body(known.request_id), error.status, headers=JSON_HEADERS | error.headers)
