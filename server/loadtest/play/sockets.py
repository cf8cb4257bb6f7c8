"""A player's websocket: protocol 1 over ``/stream``."""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import trio
from trio_websocket import WebSocketConnection, wrap_client_stream

from server.loadtest.plan.plan import ANSWER_S
from server.loadtest.plan.quantities import Target

PATH: Final = "/stream"
_CLOSE_S: Final = 2.0


@asynccontextmanager
async def player_socket(target: Target) -> AsyncIterator[WebSocketConnection]:
    """A socket on which nothing has been said. Raises ``OSError``, trio's errors, ``HandshakeError``; in groups."""
    with trio.fail_after(ANSWER_S):
        stream = await _stream(target)
    is_done = False
    try:
        async with stream, trio.open_nursery() as nursery:
            with trio.fail_after(ANSWER_S):
                socket = await wrap_client_stream(nursery, stream, target.authority, PATH)
            yield socket
            is_done = True
            with trio.move_on_after(_CLOSE_S):
                await socket.aclose()
            nursery.cancel_scope.cancel()
    except* Exception:
        # A ping amid the closing handshake makes trio-websocket raise (its issue 184): of no interest any more.
        if not is_done:
            raise


async def _stream(target: Target) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    if not target.is_tls:
        return await trio.open_tcp_stream(target.host, target.port)
    return await trio.open_ssl_over_tcp_stream(target.host, target.port, ssl_context=ssl.create_default_context())


def frame_text(frame_type: str, **fields: object) -> str:
    return json.dumps({"type": frame_type, **fields}, separators=(",", ":"))


def read_frame(text: str | bytes) -> dict[str, Any]:
    """A frame of the server. Raises ``ValueError``."""
    frame = json.loads(text)
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise ValueError("no frame of protocol 1")  # noqa: TRY004 - as json's own
    return frame
