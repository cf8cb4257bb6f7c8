"""A Quart application whose requests go straight to a dispatcher of ours, through Quart's own connection classes."""

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection, TrioASGIWebsocketConnection

from server.web.dispatcher import Dispatcher, refuse_websocket


class HttpConnection(TrioASGIHTTPConnection):
    """One HTTP request, as Quart hands it over."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer it."""
        assert isinstance(self.app, DispatchedApp)
        await self.app.dispatcher.exchange(self.scope, receive, send)


class WebsocketConnection(TrioASGIWebsocketConnection):
    """One websocket, as Quart hands it over: players' sockets never come this way."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Refuse it."""
        await refuse_websocket(self.scope, receive, send)


class DispatchedApp(QuartTrio):
    """Lifespan, shutdown and the ASGI surface are Quart's; requests are the dispatcher's."""

    asgi_http_class = HttpConnection
    asgi_websocket_class = WebsocketConnection

    def __init__(self, import_name: str, dispatcher: Dispatcher) -> None:
        super().__init__(import_name, static_folder=None)
        self.dispatcher = dispatcher
