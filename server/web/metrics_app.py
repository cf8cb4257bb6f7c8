"""The private port: metrics for a scraper, and whether the process lives."""

import logging

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from quart import Blueprint, Response

from server.http.errors import NO_PAGE_POLICY
from server.web.application import WebApp
from server.web.connections import Bounds
from server.web.health import liveness
from server.web.request_log import RequestLog

_HEADERS = {
    "content-type": CONTENT_TYPE_LATEST,
    "cache-control": "no-store",
    "content-security-policy": NO_PAGE_POLICY,
}


def create_metrics_app(registry: CollectorRegistry, log: logging.Logger) -> WebApp:
    """``/metrics`` and ``/livez``. It asks for no credentials: its port must not be reachable from outside."""
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), headers=_HEADERS)

    app = WebApp(Bounds(), RequestLog(log))
    app.register_blueprint(blueprint)
    app.register_blueprint(liveness())
    return app
