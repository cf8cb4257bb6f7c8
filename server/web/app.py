"""The public web application: which paths there are and what guards them."""

from collections.abc import Awaitable, Callable

from server.http.errors import ApiError, draining, unavailable
from server.http.exchange import Request, Response, json_response
from server.http.forwarded import client_address
from server.web.authentication import Authenticator, Caller
from server.web.dispatcher import BodyLimits, Dispatcher, Handler, Route
from server.web.launch import LaunchApi
from server.web.player_page import PlayerPages
from server.web.quart_app import DispatchedApp
from server.web.reads import ROUND_PREFIX, ReadsApi
from server.web.services import WebServices
from server.web.static_files import STATIC_PREFIX, load_static_files
from server.web.verify_page import VerifyPage

TRANSPORT_SECURITY = ((b"strict-transport-security", b"max-age=63072000; includeSubDomains"),)
"""For two years browsers come by https alone. Sent only where that is how they come."""

OperatorHandler = Callable[[Request, Caller, bytes], Awaitable[Response]]


def create_app(services: WebServices) -> DispatchedApp:
    """The application of the public port.

    Raises ``server.web.static_files.StaticFilesError`` if the player's page is missing or can't be filled in.
    """
    settings = services.settings
    trusted = tuple(settings.trusted_proxies)
    routes, prefixes = _routes(services)
    dispatcher = Dispatcher(
        routes=routes,
        prefixes=prefixes,
        metrics=services.metrics,
        log=services.log,
        limits=BodyLimits(settings.discard_bytes_max, settings.discard_timeout_ms),
        common_headers=TRANSPORT_SECURITY if settings.public_url.startswith("https:") else (),
        security=services.security,
        read_address=lambda peer, forwarded_for: client_address(peer, forwarded_for, trusted),
    )
    return DispatchedApp(__name__, dispatcher)


def _routes(services: WebServices) -> tuple[dict[str, Route], dict[str, Route]]:
    authenticator = Authenticator(services.operators, services.clock, services.metrics, services.settings)
    files = load_static_files(services.settings.static_dir)
    launches, reads = LaunchApi(services), ReadsApi(services)
    pages, health = PlayerPages(services, files, authenticator), Health(services)

    def guarded(handler: OperatorHandler) -> Handler:
        return _guarded(handler, authenticator, services)

    routes = {
        "/api/public/rgs/launch": {"POST": guarded(launches.launch)},
        "/api/public/rgs/revenue": {"GET": guarded(reads.revenue)},
        "/play": public(pages.play),
        "/verify": public(VerifyPage(files).verify),
        "/stream": public(_upgrade_required),
        "/livez": public(live),
        "/readyz": public(health.ready),
    }
    prefixes = {
        ROUND_PREFIX: Route(f"{ROUND_PREFIX}<round_id>", {"GET": guarded(reads.round)}),
        STATIC_PREFIX: Route(f"{STATIC_PREFIX}<path>", public(files.serve)),
    }
    return {path: Route(path, handlers) for path, handlers in routes.items()}, prefixes


def public(handler: Handler) -> dict[str, Handler]:
    """Who may see a resource may ask for its head."""
    return {"GET": handler, "HEAD": handler}


def _guarded(handler: OperatorHandler, authenticator: Authenticator, services: WebServices) -> Handler:
    settings = services.settings

    async def handle(request: Request) -> Response:
        caller = authenticator.identify(request)
        body = await request.body.read(settings.body_bytes_max, settings.body_timeout_ms)
        authenticator.verify(caller, request, body)
        request.note_signed()
        request.operator_id = str(caller.operator.operator_id)
        authenticator.admit(caller, request)
        return await handler(request, caller, body)

    return handle


class Health:
    """Whether this process should get new requests."""

    def __init__(self, services: WebServices) -> None:
        self._services = services

    async def ready(self, request: Request) -> Response:
        """200, or 503 with the reason as the error code."""
        if self._services.is_draining():
            raise draining()
        if not self._services.is_ready():
            raise unavailable()
        return json_response({"ok": True, "status": "ready"})


async def live(request: Request) -> Response:
    """200 for as long as this process answers anything."""
    return json_response({"ok": True, "status": "live"})


async def _upgrade_required(request: Request) -> Response:
    message = "This is the players' websocket: open it with an upgrade, as the first request of a connection."
    raise ApiError(426, "upgrade_required", message, headers=((b"upgrade", b"websocket"),))
