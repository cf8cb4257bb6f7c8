"""The public web application: which resources there are and what guards them."""

from typing import Never

from quart import Blueprint

from server.http.errors import ApiError
from server.web.application import WebApp
from server.web.authentication import Authenticator
from server.web.connections import Bounds
from server.web.health import liveness, readiness
from server.web.openapi import describe
from server.web.operator_api import operator_api
from server.web.player_page import player_page
from server.web.request_log import RequestLog
from server.web.services import WebServices
from server.web.static_files import load_static_files, static_files
from server.web.verify_page import verify_page

TRANSPORT_SECURITY = {"strict-transport-security": "max-age=63072000; includeSubDomains"}
"""For two years browsers come by https alone. Sent only where that is how they come."""


def create_app(services: WebServices) -> WebApp:
    """The application of the public port.

    Raises ``server.web.static_files.StaticFilesError`` if the player's page is missing or can't be filled in.
    """
    settings = services.settings
    bounds = Bounds(
        body_bytes_max=settings.body_bytes_max,
        body_timeout_ms=settings.body_timeout_ms,
        discard_bytes_max=settings.discard_bytes_max,
        discard_timeout_ms=settings.discard_timeout_ms,
        trusted_proxies=tuple(settings.trusted_proxies),
    )
    request_log = RequestLog(services.log, services.metrics, services.security)
    app = WebApp(bounds, request_log, TRANSPORT_SECURITY if settings.public_url.startswith("https:") else {})
    authenticator = Authenticator(services.operators, services.clock, services.metrics, settings)
    files = load_static_files(settings.static_dir)
    for blueprint in (
        operator_api(services, authenticator),
        player_page(services, files, authenticator),
        verify_page(files),
        static_files(files),
        stream(),
        liveness(),
        readiness(services),
    ):
        app.register_blueprint(blueprint)
    describe(app)
    return app


def stream() -> Blueprint:
    """``/stream`` for who asks for it without an upgrade, which never gets here."""
    blueprint = Blueprint("stream", __name__)

    @blueprint.get("/stream")
    async def upgrade_required() -> Never:
        message = "This is the players' websocket: open it with an upgrade, as the first request of a connection."
        raise ApiError(426, "upgrade_required", message, headers={"upgrade": "websocket"})

    return blueprint
