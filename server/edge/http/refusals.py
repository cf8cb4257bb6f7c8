"""Answers that the edge gives by itself, before any application sees the request."""

import os
from http import HTTPStatus

from server.http.errors import JSON_HEADERS, ApiError


def full() -> ApiError:
    """The answer where no connection is free."""
    message = "The server has no connection free: try again."
    return ApiError(503, "unavailable", message, headers={"retry-after": "2"})


def http2() -> ApiError:
    """HTTP/2, by its preface or by an upgrade, which is not spoken here."""
    return ApiError(505, "http_version_not_supported", "Only HTTP/1.1 is spoken here.")


def no_request(status: int) -> ApiError:
    """What came is no HTTP request that can be answered, by hypercorn's judgement: 400, 431, 501 and the like."""
    phrase = HTTPStatus(status).phrase
    if status == 400:
        return ApiError(status, "malformed", "This is no HTTP/1.1 request.")
    return ApiError(status, phrase.lower().replace(" ", "_"), f"{phrase}.")


def refusal_bytes(error: ApiError) -> bytes:
    """The whole HTTP/1.1 answer, after which the connection is closed."""
    body = error.body(os.urandom(16).hex())
    headers = {
        **JSON_HEADERS,
        **error.headers,
        "x-content-type-options": "nosniff",
        "content-length": str(len(body)),
        "connection": "close",
    }
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
