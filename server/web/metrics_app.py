"""The private port: metrics for a scraper, and whether the process lives."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from quart_trio import QuartTrio
from structlog.typing import FilteringBoundLogger

from server.http.exchange import NO_PAGE_POLICY, Request, Response
from server.web.app import live, public
from server.web.dispatcher import BodyLimits, Dispatcher, Route
from server.web.quart_app import DispatchedApp

_BODY_LIMITS = BodyLimits(discard_bytes_max=0, discard_timeout_ms=100)


def create_metrics_app(registry: CollectorRegistry, log: FilteringBoundLogger) -> QuartTrio:
    """``/metrics`` and ``/livez``. It asks for no credentials: its port must not be reachable from outside."""
    headers = (
        (b"content-type", CONTENT_TYPE_LATEST.encode("ascii")),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", NO_PAGE_POLICY),
    )

    async def metrics(request: Request) -> Response:
        return Response(200, generate_latest(registry), headers)

    routes = {"/metrics": Route("/metrics", public(metrics)), "/livez": Route("/livez", public(live))}
    dispatcher = Dispatcher(
        routes=routes,
        prefixes={},
        metrics=None,
        log=log,
        limits=_BODY_LIMITS,
        read_address=lambda peer, forwarded_for: peer,
    )
    return DispatchedApp(__name__, dispatcher)
