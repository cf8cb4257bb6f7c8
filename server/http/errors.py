"""Refusals of HTTP requests: a status, a code that programs read, a message that people read.

ApiError
    MalformedError   400, names the field

The body of the answer is ``{"ok": false, "error": {...}, "request_id": ...}``.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import trio

from actors.ports.ledger import LedgerUnavailableError
from actors.rules.compact_json import compact_json

Headers = dict[str, str]

NO_PAGE_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""The Content-Security-Policy of what is no page: should a browser take it for one, nothing in it has an effect."""
JSON_HEADERS: Final[Headers] = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "content-security-policy": NO_PAGE_POLICY,
    "referrer-policy": "no-referrer",
}

UNAVAILABLE_RETRY_S = 1
DRAINING_RETRY_S = 5
NOT_OURS_RETRY_S = 3600


class ApiError(Exception):
    """A refusal. ``extra`` goes beside code and message; neither it nor the message may hold a secret."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        extra: Mapping[str, str | int] | None = None,
        headers: Headers | None = None,
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra or {}
        self.headers = headers or {}

    def body(self, request_id: str) -> bytes:
        error = {"code": self.code, "message": self.message, **self.extra}
        return compact_json({"ok": False, "error": error, "request_id": request_id})


class MalformedError(ApiError):
    """Input that breaks a rule; ``field`` is where (``body`` or ``query`` as a whole, or a member of them)."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(400, "malformed", message, {"field": field})


def not_found() -> ApiError:
    """What does not exist, or belongs to another operator: the two look the same."""
    return ApiError(404, "not_found", "There is no such resource.")


def method_not_allowed(allow: str) -> ApiError:
    """``allow`` as in the Allow header."""
    return ApiError(405, "method_not_allowed", f"This resource takes {allow}.", headers={"allow": allow})


def body_too_large(bytes_max: int) -> ApiError:
    """A body beyond the limit."""
    return ApiError(413, "body_too_large", f"A body has at most {bytes_max} bytes.")


def body_too_slow() -> ApiError:
    """A body that did not arrive in time."""
    return ApiError(408, "request_timeout", "The body did not arrive in time.")


def rate_limited(wait_ms: int) -> ApiError:
    """Too many requests; a token is there after ``wait_ms``."""
    retry_after_s = max(1, math.ceil(wait_ms / 1000))
    return ApiError(429, "rate_limited", "Too many requests: slow down.", headers=_retry_after(retry_after_s))


def draining() -> ApiError:
    """This process is about to stop."""
    message = "This server is about to restart: repeat the request."
    return ApiError(503, "draining", message, headers=_retry_after(DRAINING_RETRY_S))


def unavailable() -> ApiError:
    """The database can't be asked."""
    message = "The service is unavailable for a moment: repeat the request as it is."
    return ApiError(503, "unavailable", message, headers=_retry_after(UNAVAILABLE_RETRY_S))


def not_ours() -> ApiError:
    """What is stored has no code of ours: nothing of it is told."""
    message = (
        "The database does not hold this round as this server wrote it, so it is not shown. A person must look at it: "
        "tell us the request_id."
    )
    return ApiError(503, "unavailable", message, headers=_retry_after(NOT_OURS_RETRY_S))


def _retry_after(seconds: int) -> Headers:
    return {"retry-after": str(seconds)}


@contextmanager
def answered_within(timeout_ms: int) -> Iterator[None]:
    """Turn a slow or unavailable ledger into the refusal ``unavailable``."""
    try:
        with trio.fail_after(timeout_ms / 1000):
            yield
    except (trio.TooSlowError, LedgerUnavailableError):
        raise unavailable() from None
