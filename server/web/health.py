"""``/livez`` and ``/readyz``: whether this process answers, and whether it should get new requests."""

from quart import Blueprint, Response

from server.http.errors import draining, unavailable
from server.web.members import json_answer
from server.web.services import WebServices


def liveness() -> Blueprint:
    """``/livez``: 200 for as long as this process answers anything."""
    blueprint = Blueprint("liveness", __name__)

    @blueprint.get("/livez")
    async def live() -> Response:
        return json_answer({"ok": True, "status": "live"})

    return blueprint


def readiness(services: WebServices) -> Blueprint:
    """``/readyz``: 200, or 503 with the reason as the error code."""
    blueprint = Blueprint("readiness", __name__)

    @blueprint.get("/readyz")
    async def ready() -> Response:
        if services.is_draining():
            raise draining()
        if not services.is_ready():
            raise unavailable()
        return json_answer({"ok": True, "status": "ready"})

    return blueprint
