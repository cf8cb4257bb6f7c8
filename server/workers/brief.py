"""What a worker is told by its parent, and the line between the two.

The line is a pair of sockets, the worker's end is its standard input: no command line and no environment shows what
goes over it. The parent sends the brief, the worker answers with words; and while the line is open, the parent lives.
"""

import pickle
import socket
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from server.config.configuration import Config

SERVING: Final = b"s"
"""The worker's word: it serves its ports."""
FENCED: Final = b"f"
"""The worker's word: a newer process has taken its node's name, so it must not be started again."""
BEAT: Final = b"b"
"""The worker's word, again and again: its event loop goes round."""
BEAT_S: Final = 0.5
"""How often it says so."""

BRIEF_BYTES_MAX: Final = 1_048_576
_LENGTH_BYTES: Final = 4


class LostParentError(Exception):
    """The line ended before the whole brief had come: the parent is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """``number`` counts from 1. The ports are descriptors of sockets that are bound and don't listen yet.

    ``config`` is the whole server's, but for the names that are this worker's own: ``node`` and ``metrics_port``.
    """

    number: int
    config: Config
    master_key: bytes = field(repr=False)
    public_descriptor: int
    private_descriptor: int


def config_of(config: Config, number: int) -> Config:
    """The configuration with the node's name and the metrics port of worker ``number`` (from 1)."""
    server = config.server
    metrics_port = server.metrics_port + number - 1 if server.metrics_port else 0
    own = replace(server, node=f"{server.node}-{number}", metrics_port=metrics_port)
    # A read-only view can't be pickled; the copy is as good, since nobody else has it.
    return replace(config, server=own, currencies=dict(config.currencies))


def packed(brief: Brief) -> bytes:
    """The bytes that ``receive`` takes from the line."""
    body = pickle.dumps(brief)
    assert len(body) <= BRIEF_BYTES_MAX
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def receive(line: socket.socket) -> Brief:
    """The brief, from the worker's end of the line; waits for it. Raises ``LostParentError``."""
    length = int.from_bytes(_exactly(line, _LENGTH_BYTES), "big")
    if length > BRIEF_BYTES_MAX:
        raise LostParentError
    brief = pickle.loads(_exactly(line, length))  # noqa: S301 - nobody but our parent has the other end
    assert isinstance(brief, Brief)
    return brief


def _exactly(line: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        data = line.recv(count - len(got))
        if not data:
            raise LostParentError
        got += data
    return got
