"""One line in the log for each request, its measures, and what the security log is told."""

import logging
import re
import time
from typing import Final

from quart import request

from server.http.security_log import SecurityLog
from server.metrics.metrics import WebMetrics
from server.process.sampling import Sampler
from server.web.request_facts import CLIENT_GONE_STATUS, facts

UNKNOWN_ROUTE: Final = "unknown"
REFUSALS_PER_SECOND: Final = 20
"""Lines about refused requests of each route, status and code. Overflow: counted, see ``server.process.sampling``."""
REFUSAL_STATUS_MIN: Final = 400
SECURITY_CODES: Final = frozenset(
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

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_CONVERTER = re.compile("<[a-z]+:")


class RequestLog:
    """Tells of requests. ``metrics`` and ``security`` may be ``None``: nobody keeps them."""

    def __init__(
        self, log: logging.Logger, metrics: WebMetrics | None = None, security: SecurityLog | None = None
    ) -> None:
        self._log = log
        self._metrics = metrics
        self._security = security
        self._refusals = Sampler(REFUSALS_PER_SECOND, time.monotonic)

    def failed(self) -> None:
        """A mistake of ours, which is being handled."""
        self._log.exception("request_failed", extra={"request_id": facts().request_id})

    async def record(self, _error: BaseException | None = None) -> None:
        """The request at hand has its answer, which is about to be sent, or its client has gone."""
        known, rule = facts(), request.url_rule
        seconds = time.perf_counter() - known.started_s
        route = UNKNOWN_ROUTE if rule is None else _CONVERTER.sub("<", rule.rule)
        method = request.method if request.method in _METHODS else "OTHER"
        status = known.status or CLIENT_GONE_STATUS
        operator_id = None if known.signed is None else str(known.signed.caller.operator.operator_id)
        if self._metrics is not None:
            self._metrics.request_answered(route, method, status, seconds)
        if self._security is not None and known.code in SECURITY_CODES:
            self._security.request_refused(known.address, known.code, route, operator_id, known.request_id)
        left_out: int | None = 0
        if status >= REFUSAL_STATUS_MIN:
            left_out = self._refusals.admit(f"{route} {status} {known.code}")
        if left_out is None:
            return
        fields = {
            "method": method,
            "route": route,
            "status": status,
            "code": known.code,
            "milliseconds": round(seconds * 1000, 1),
            "operator_id": operator_id,
            "request_id": known.request_id,
        }
        self._log.info("request", extra=fields | ({"left_out": left_out} if left_out else {}))

    def tell_left_out(self) -> None:
        """To be called about every second: tells of lines about refusals that were left out."""
        for kind, count in self._refusals.left_out():
            self._log.warning("requests_left_out", extra={"kind": kind, "left_out": count})
