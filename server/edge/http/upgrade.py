"""Is a request a player's websocket, and may it be one? Pure.

hypercorn gets whatever is not; trio-websocket gets only what passed all of this, because malformed requests make it,
and hypercorn, fail.
"""

import base64
import binascii
import re
from typing import Final

import h11

from server.http.errors import ApiError

PATH: Final = b"/stream"
_BEGINNING: Final = b"GET " + PATH
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://[^/?#@]+" + PATH + rb"(?:[?].*)?")
_KEY_BYTES: Final = 16
_LINE_BYTES: Final = 64
_VERSION: Final = b"13"


def may_be_stream(begun: bytes) -> bool:
    """Whether a request that begins like this may be for ``/stream``; its target may be absolute (RFC 9112, 3.2.2)."""
    if begun.startswith((b"GET h", b"GET H")):
        target, space, _ = begun[4:].partition(b" ")
        return _ABSOLUTE.fullmatch(target) is not None if space else True
    if len(begun) <= len(_BEGINNING):
        return _BEGINNING.startswith(begun)
    return begun.startswith(_BEGINNING) and begun[len(_BEGINNING) : len(_BEGINNING) + 1] in b" ?"


def head_length(data: bytes) -> int | None:
    """Where a request's head ends, after its blank line; ``None`` if it does not end here."""
    ends = [at + len(blank) for blank in (b"\r\n\r\n", b"\n\n", b"\n\r\n") if (at := data.find(blank)) >= 0]
    return min(ends) if ends else None


def head_lines(data: bytes) -> int:
    """How many lines a head counts for, by what it takes to read them: a long one for one more with each 64 bytes."""
    return max(data.count(b"\n"), len(data) // _LINE_BYTES)


def is_upgrade(head: bytes, origins: frozenset[str]) -> bool:
    """Whether a complete head opens a player's websocket; ``False``: it is HTTP, right or wrong.

    Raises ``ApiError`` for an upgrade that is refused.
    """
    if not may_be_stream(head):
        return False
    request = _parse(head)
    if request is None:
        return False
    headers: dict[bytes, list[bytes]] = {}
    for name, value in request.headers:
        headers.setdefault(bytes(name), []).append(bytes(value))
    if b"websocket" not in _tokens(headers, b"upgrade") or b"upgrade" not in _tokens(headers, b"connection"):
        return False
    _check(request, headers, origins)
    return True


def _parse(head: bytes) -> h11.Request | None:
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=len(head) + 1)
    try:
        parser.receive_data(head)
        event = parser.next_event()
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Request) else None


def _tokens(headers: dict[bytes, list[bytes]], name: bytes) -> set[bytes]:
    return {token.strip().lower() for value in headers.get(name, []) for token in value.split(b",")}


def _check(request: h11.Request, headers: dict[bytes, list[bytes]], origins: frozenset[str]) -> None:
    if request.http_version != b"1.1":
        raise ApiError(400, "malformed", "A websocket needs HTTP/1.1.")
    if not all(value.isascii() for values in headers.values() for value in values):
        raise ApiError(400, "malformed", "The headers of a websocket's request must be ASCII.")
    if b"transfer-encoding" in headers or any(length != b"0" for length in headers.get(b"content-length", [])):
        raise ApiError(400, "malformed", "A websocket's request has no body.")
    if headers.get(b"sec-websocket-version") != [_VERSION]:
        message = "Sec-WebSocket-Version must be 13."
        raise ApiError(426, "upgrade_required", message, headers={"sec-websocket-version": _VERSION.decode()})
    if not _is_key(headers.get(b"sec-websocket-key", [])):
        raise ApiError(400, "malformed", "Sec-WebSocket-Key must be 16 bytes in base64.")
    origin = headers.get(b"origin", [])
    if len(origin) > 1 or any(value.decode("ascii") not in origins for value in origin):
        raise ApiError(403, "origin_not_allowed", "Pages of this origin may not open a player's socket.")


def _is_key(values: list[bytes]) -> bool:
    if len(values) != 1:
        return False
    try:
        return len(base64.b64decode(values[0], validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False
