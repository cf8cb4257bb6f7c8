"""A TCP proxy that can turn bad, in front of a wallet or a database."""

import random
import socket
import struct
from dataclasses import dataclass

import trio

CHUNK_BYTES_MAX = 65_536
DRIP_BYTES = 7
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends RST
MODES = ("pass", "latency", "drip", "reset", "blackhole", "lost_reply", "truncated_reply", "lost_commit")
"""``reset``: every connection is cut at once. ``blackhole``: nothing comes through, either way. ``lost_reply``: what is
asked is done, what is answered is lost with its connection. ``truncated_reply``: half of an answer arrives.
``lost_commit``: of all answers, those to a database's ``COMMIT`` are lost."""


@dataclass(eq=False)
class _Pair:
    """The two ends of one proxied connection."""

    client: trio.SocketStream
    target: trio.SocketStream
    has_lost_data: bool = False
    is_committing: bool = False

    def cut(self):
        for stream in (self.client, self.target):
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            stream.socket.close()


class Proxy:
    """``turn(mode)`` changes how it treats all connections from then on."""

    def __init__(self, port, seed):
        self._target_port = port
        self._dice = random.Random(f"proxy:{seed}")
        self._mode = "pass"
        self._pairs = set()
        self._listener = None
        self.port = None

    async def open(self, nursery):
        """Listen on a port of the loopback, as long as ``nursery`` lives."""
        (self._listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = self._listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, self._serve, [self._listener])

    def turn(self, mode):
        """Connections that have lost something end now: a byte stream has no holes."""
        assert mode in MODES, mode
        self._mode = mode
        for pair in list(self._pairs):
            if pair.has_lost_data or mode == "reset":
                pair.cut()

    async def _serve(self, client):
        try:
            target = await trio.open_tcp_stream("127.0.0.1", self._target_port)
        except OSError:
            client.socket.close()
            return
        pair = _Pair(client, target)
        self._pairs.add(pair)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pump, pair, client, target, False, nursery)
                nursery.start_soon(self._pump, pair, target, client, True, nursery)
        finally:
            self._pairs.discard(pair)
            client.socket.close()
            target.socket.close()

    async def _pump(self, pair, source, sink, is_reply, nursery):
        try:
            while data := await source.receive_some(CHUNK_BYTES_MAX):
                if not await self._pass_on(pair, data, sink, is_reply):
                    break
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            pass
        nursery.cancel_scope.cancel()

    async def _pass_on(self, pair, data, sink, is_reply):
        """Treat one chunk by the present mode; whether the connection goes on."""
        mode = self._mode
        if mode == "reset":
            pair.cut()
            return False
        if mode == "blackhole":
            pair.has_lost_data = True
            return True
        if mode == "lost_commit" and not is_reply and b"COMMIT" in data:
            pair.is_committing = True
        is_lost = mode in ("lost_reply", "truncated_reply") or (mode == "lost_commit" and pair.is_committing)
        if is_lost and is_reply:
            if mode == "truncated_reply" and len(data) > 1:
                await sink.send_all(data[: len(data) // 2])
                await trio.sleep(0.01)
            pair.cut()
            return False
        if mode == "latency":
            await trio.sleep(self._dice.uniform(0.005, 0.05))
        if mode == "drip":
            for start in range(0, len(data), DRIP_BYTES):
                await sink.send_all(data[start : start + DRIP_BYTES])
                await trio.sleep(0.0005)
            return True
        await sink.send_all(data)
        return True
