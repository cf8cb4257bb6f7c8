"""JSON documents through pipes, one a line."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import trio

LINE_BYTES_MAX: Final = 32 * 1024 * 1024
"""A beat with every round of an interval is far below."""


async def documents(stream: trio.abc.ReceiveStream) -> AsyncIterator[dict[str, Any]]:
    """Every document until the other side closes. Raises ``ValueError`` for what is none."""
    pending = bytearray()
    while data := await stream.receive_some():
        pending += data
        if b"\n" not in data:
            if len(pending) > LINE_BYTES_MAX:
                raise ValueError("a line is too long")
            continue
        *lines, rest = bytes(pending).split(b"\n")
        pending = bytearray(rest)
        for line in lines:
            document = json.loads(line)
            if not isinstance(document, dict):
                raise ValueError("a line is no object")  # noqa: TRY004
            yield document


def line_of(document: dict[str, object]) -> bytes:
    """A document as it goes through a pipe."""
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"
