"""A hostile HTTP server on a raw socket: it reads requests properly and answers exactly the bytes it is told to."""

import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio


@dataclass(frozen=True)
class RawRequest:
    connection: int
    request_line: bytes
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def target(self) -> str:
        return self.request_line.split(b" ")[1].decode("ascii")

    def header(self, name: str) -> str:
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) == 1, f"{name} {len(values)} times"
        return values[0]


Answer = Callable[[trio.SocketStream, RawRequest], Awaitable[bool]]
"""Writes an answer; whether the connection goes on."""


@dataclass
class RawServer:
    answer: Answer
    port: int = 0
    requests: list[RawRequest] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        connection, buffer = self.connections, b""
        try:
            async with stream:
                while True:
                    request, buffer = await read_request(stream, connection, buffer)
                    if request is None:
                        return
                    self.requests.append(request)
                    if not await self.answer(stream, request):
                        return
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return


async def read_request(stream: trio.SocketStream, connection: int, buffer: bytes) -> tuple[RawRequest | None, bytes]:
    while b"\r\n\r\n" not in buffer:
        data = await stream.receive_some(65536)
        if not data:
            return None, b""
        buffer += data
    head, _, rest = buffer.partition(b"\r\n\r\n")
    request_line, *lines = head.split(b"\r\n")
    headers = [tuple(part.decode("latin-1") for part in line.split(b": ", 1)) for line in lines]
    length = next((int(value) for key, value in headers if key.lower() == "content-length"), 0)
    while len(rest) < length:
        data = await stream.receive_some(65536)
        if not data:
            return None, b""
        rest += data
    return RawRequest(connection, request_line, headers, rest[:length]), rest[length:]


@asynccontextmanager
async def raw_server(answer: Answer) -> AsyncIterator[RawServer]:
    server = RawServer(answer)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server.port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, server.serve, listeners)
        yield server
        nursery.cancel_scope.cancel()


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def always(raw: bytes, keep: bool = True) -> Answer:
    async def answer(stream, request):
        await stream.send_all(raw)
        return keep

    return answer


def reset(stream: trio.SocketStream) -> None:
    """The next close sends RST instead of FIN."""
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
