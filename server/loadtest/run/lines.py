"""What processes tell each other through pipes: values of our types as JSON, one a line."""

from collections import Counter
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Final, TypeVar

import msgspec
import trio

LINE_BYTES_MAX: Final = 32 * 1024 * 1024
"""A beat with every round of an interval is far below."""

Value = TypeVar("Value")


class Word(StrEnum):
    """``ready`` is the worker's, the others are its parent's."""

    READY = "ready"
    START = "start"
    STOP = "stop"


async def lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    """Every line until the other side closes. Raises ``ValueError`` for one that is too long."""
    pending = bytearray()
    while data := await stream.receive_some():
        pending += data
        if b"\n" not in data:
            if len(pending) > LINE_BYTES_MAX:
                raise ValueError("a line is too long")
            continue
        *whole, rest = bytes(pending).split(b"\n")
        pending = bytearray(rest)
        for line in whole:
            yield line


def read(line: bytes, kind: type[Value]) -> Value:
    """A line's value. Raises ``msgspec.DecodeError`` if it is none of this type."""
    # Counters are the only type in there that msgspec does not know.
    return msgspec.json.decode(line, type=kind, dec_hook=lambda _, value: Counter(value))


def line_of(value: object) -> bytes:
    """A value as it goes through a pipe."""
    return msgspec.json.encode(value) + b"\n"
