"""What ASGI brings, as Quart takes it, within bounds: bodies of so many bytes and seconds, and no websockets."""

from collections.abc import Sequence
from dataclasses import dataclass

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from quart.typing import ResponseTypes
from quart.wrappers import Request
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection, TrioASGIWebsocketConnection

from server.http.errors import JSON_HEADERS, not_found
from server.http.forwarded import Network
from server.web.request_facts import CLIENT_GONE_STATUS, facts_of, request_id, take_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a request may take, and whose word about its client counts."""

    body_bytes_max: int = 0
    body_timeout_ms: int = 100
    discard_bytes_max: int = 0
    discard_timeout_ms: int = 100
    trusted_proxies: Sequence[Network] = ()


class BoundedApp(QuartTrio):
    """An application whose connections keep to its bounds."""

    bounds: Bounds


class HttpConnection(TrioASGIHTTPConnection):
    """One HTTP request.

    Quart reads a body while the request is answered and throws away what exceeds MAX_CONTENT_LENGTH, without end. Here
    what is thrown away is bounded: beyond ``discard_bytes_max`` nothing is read before the answer goes out. The answer
    waits for the body, for ``discard_timeout_s`` at most, so that a client that still sends can read it. And a client's
    end does not cancel its request: who says no more may still listen.
    """

    def __init__(self, app: BoundedApp, scope: HTTPScope) -> None:
        take_facts(scope, app.bounds.trusted_proxies)
        super().__init__(app, scope)
        self._discard_timeout_s = app.bounds.discard_timeout_ms / 1000
        self._bytes_left = app.bounds.body_bytes_max + app.bounds.discard_bytes_max
        self._has_body = trio.Event()
        """All of it, or as much as is read before the answer."""
        self._is_answering = trio.Event()

    async def handle_messages(  # type: ignore[override]  # as Quart-Trio overrides it
        self, nursery: trio.Nursery, request: Request, receive: ASGIReceiveCallable
    ) -> None:
        """Read the body, until its end or the client's."""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                facts_of(self.scope).is_client_gone = True
                request.body.set_complete()
                self._has_body.set()
                return
            request.body.append(message["body"])
            self._bytes_left -= len(message["body"])
            if not message["more_body"]:
                request.body.set_complete()
                self._has_body.set()
                return
            if self._bytes_left < 0:
                self._has_body.set()
                await self._is_answering.wait()  # Then hypercorn waits for somebody to take the rest, to close.

    async def _send_response(self, send: ASGISendCallable, response: ResponseTypes) -> None:
        if not self._has_body.is_set():
            with trio.move_on_after(self._discard_timeout_s):
                await self._has_body.wait()
        self._is_answering.set()
        if response.status_code != CLIENT_GONE_STATUS:
            await super()._send_response(send, response)


class RefusedWebsocket(TrioASGIWebsocketConnection):
    """A websocket that came this way: players' sockets never reach the web application."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await receive()
        chosen_id = request_id(self.scope)
        body = not_found().body(chosen_id)
        headers = JSON_HEADERS | {
            "content-length": str(len(body)),
            "connection": "close",
            "x-request-id": chosen_id,
            "x-content-type-options": "nosniff",
        }
        encoded = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        await send({"type": "websocket.http.response.start", "status": 404, "headers": encoded})
        await send({"type": "websocket.http.response.body", "body": body, "more_body": False})
