"""A network between a client and PostgreSQL, which can fail."""

import socket
from contextlib import suppress

import trio


class Proxy:
    """TCP in front of the server's socket. It goes dark, for both sides, once the server has said some pieces."""

    def __init__(self, url, password):
        head, _, self.folder = url.partition("?host=")
        self.name = head.rpartition("/")[2]
        self.password = password
        self.last = trio.CancelScope()
        self.darken(None)

    def url(self, hosts=None, query="") -> str:
        return f"postgresql://postgres:{self.password}@{hosts or f'127.0.0.1:{self.port}'}/{self.name}?{query}"

    def darken(self, pieces=0):
        """``None``: all is well again."""
        self._pieces = pieces
        self.dark = trio.Event()

    async def serve(self, client):
        with trio.CancelScope() as self.last:
            server = await trio.open_unix_socket(f"{self.folder}/.s.PGSQL.5432")
            async with server, trio.open_nursery() as nursery:
                nursery.start_soon(self._forward, client, server, nursery.cancel_scope)
                nursery.start_soon(self._forward, server, client, nursery.cancel_scope)

    async def _forward(self, source, sink, scope):
        with suppress(trio.BrokenResourceError):
            async for piece in source:
                if self._pieces == 0:
                    self.dark.set()
                    continue
                if self._pieces and source.socket.family == socket.AF_UNIX:
                    self._pieces -= 1
                await sink.send_all(piece)
        scope.cancel()
