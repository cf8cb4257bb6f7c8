"""Answers that the edge gives by itself, before any application sees the request."""

import os
from http import HTTPStatus

from server.http.errors import ApiError
from server.http.exchange import error_response


def full() -> ApiError:
    """No connection is free."""
    message = "The server has no connection free: try again."
    return ApiError(503, "unavailable", message, headers=((b"retry-after", b"2"),))


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
    answer = error_response(error, os.urandom(16).hex())
    headers = [
        *answer.headers,
        (b"x-content-type-options", b"nosniff"),
        (b"content-length", b"%d" % len(answer.body)),
        (b"connection", b"close"),
    ]
    lines = [b"HTTP/1.1 %d %s" % (answer.status, HTTPStatus(answer.status).phrase.encode("ascii"))]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + answer.body
