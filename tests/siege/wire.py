"""The least of HTTP, signatures and websockets that besiegers and the besieged need, on asyncio."""

import asyncio
import hashlib
import hmac
import json
import os
import struct
import time
from dataclasses import dataclass
from typing import Any

LAUNCH = "/api/public/rgs/launch"
TEXT, PING, PONG, CLOSE, CONTINUATION = 1, 9, 10, 8, 0
_MASK = b"\x11\x22\x33\x44"


@dataclass(frozen=True)
class Target:
    """The besieged server and an operator of it. ``source`` is the address that connections come from."""

    port: int
    operator_id: str
    api_key: str
    hmac_secret: str
    source: str = "127.0.0.1"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection from our address."""
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.source, 0))

    def signed(self, method: str, target: str, body: bytes = b"") -> bytes:
        """A whole request."""
        timestamp = int(time.time())
        text = f"{timestamp}.{method}.{target}.{hashlib.sha256(body).hexdigest()}"
        signature = hmac.new(self.hmac_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        lines = (
            f"{method} {target} HTTP/1.1",
            "Host: game",
            f"Content-Length: {len(body)}",
            f"X-Operator-Id: {self.operator_id}",
            f"X-Operator-Key: {self.api_key}",
            f"X-Timestamp: {timestamp}",
            f"X-Signature: {signature}",
        )
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def launch(self, player: str) -> bytes:
        """The request of a launch."""
        document = {"operator_player_id": player, "currency": "USD", "balance_minor": 10_000_000, "ttl_seconds": 3_600}
        return self.signed("POST", LAUNCH, json.dumps(document | {"nonce": os.urandom(8).hex()}).encode())


class HttpClient:
    """One connection for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        )
        return int(head.split(b" ")[1]), await self._reader.readexactly(length)

    def close(self) -> None:
        """Without a goodbye."""
        self._writer.transport.abort()


async def launched(target: Target, player: str, client: HttpClient | None = None) -> str:
    """The token of a new session. Raises ``RuntimeError`` for a refusal."""
    own = client or HttpClient(*await target.connect())
    try:
        status, body = await own.ask(target.launch(player))
    finally:
        if client is None:
            own.close()
    if status != 200:
        raise RuntimeError(f"a launch was answered {status}")
    return str(json.loads(body)["launch_url"]).partition("session=")[2]


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A client's frame."""
    first, length = (0x80 if fin else 0) | opcode, len(payload)
    head = bytes((first, 0x80 | length)) if length < 126 else struct.pack("!BBH", first, 0xFE, length)
    return head + _MASK + bytes(byte ^ _MASK[at % 4] for at, byte in enumerate(payload))


class Socket:
    """A player's socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, target: Target) -> "Socket":
        """Through the handshake. Raises ``ConnectionError`` where there is none."""
        reader, writer = await target.connect()
        writer.write(
            b"GET /stream HTTP/1.1\r\nHost: game\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            raise ConnectionError("closed in the handshake") from None
        if b" 101 " not in head.partition(b"\r\n")[0]:
            raise ConnectionError("refused in the handshake")
        return cls(reader, writer)

    @classmethod
    async def enter(cls, target: Target, token: str, **hello: object) -> "Socket":
        """Welcomed."""
        socket = await cls.open(target)
        socket.say("hello", session=token, **hello)
        while (await socket.next())["type"] != "welcome":
            pass
        return socket

    def say(self, kind: str, **fields: object) -> None:
        """Send a message."""
        self.writer.write(frame(TEXT, json.dumps({"type": kind, **fields}).encode()))

    async def next(self) -> dict[str, Any]:
        """The next message. Raises ``ConnectionError`` at the end, whatever it is."""
        try:
            while True:
                first, second = await self.reader.readexactly(2)
                length = second & 0x7F
                if length == 126:
                    length = int.from_bytes(await self.reader.readexactly(2), "big")
                elif length == 127:
                    length = int.from_bytes(await self.reader.readexactly(8), "big")
                payload = await self.reader.readexactly(length)
                opcode = first & 0x0F
                if opcode == PING:
                    self.writer.write(frame(PONG, payload))
                elif opcode == CLOSE:
                    raise ConnectionError(f"closed {int.from_bytes(payload[:2], 'big')}")
                elif opcode == TEXT:
                    message: dict[str, Any] = json.loads(payload)
                    return message
        except asyncio.IncompleteReadError:
            raise ConnectionError("the connection ended") from None

    def close(self) -> None:
        """Without a goodbye."""
        self.writer.transport.abort()
