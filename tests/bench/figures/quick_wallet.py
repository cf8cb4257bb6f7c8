"""A local wallet that answers at once, as a process of its own: ``python -m tests.bench.figures.quick_wallet PORT``.

Idempotent by transaction id. Paths that begin with ``/refuse`` refuse everything.
From ``GET /hang`` to ``GET /answer`` paths that begin with ``/other`` get no answer.
``GET /counts`` tells, as JSON, the calls, the distinct transactions and the unix times of the first and the last one.
"""

import asyncio
import json
import re
import sys
import time

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TX_ID = re.compile(rb'"operator_tx_id": ?"([^"]+)"')
_BODY = b'{"ok":true,"balance_minor":1000000}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
_REFUSED = b'{"ok":false}'
_REFUSAL = b"HTTP/1.1 402 Payment Required\r\nContent-Length: %d\r\n\r\n%b" % (len(_REFUSED), _REFUSED)


class Books:
    """What was called."""

    def __init__(self) -> None:
        self.calls = 0
        self.seen: set[bytes] = set()
        self.first_s = self.last_s = 0.0
        self.hangs = False

    def note(self, body: bytes) -> None:
        self.calls += 1
        self.last_s = time.time()
        self.first_s = self.first_s or self.last_s
        found = _TX_ID.search(body)
        if found:
            self.seen.add(found[1])

    def told(self) -> bytes:
        counts = {"calls": self.calls, "distinct": len(self.seen), "first_s": self.first_s, "last_s": self.last_s}
        body = json.dumps(counts).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Connection(asyncio.Protocol):
    """One connection, requests one after the other."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) != -1:
            head = self._buffer[:end]
            found = _LENGTH.search(head)
            length = int(found[1]) if found else 0
            if len(self._buffer) < end + 4 + length:
                return
            body, self._buffer = self._buffer[end + 4 : end + 4 + length], self._buffer[end + 4 + length :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET /counts"):
            self._transport.write(self._books.told())
        elif head.startswith(b"POST /refuse"):
            self._transport.write(_REFUSAL)
        elif head.startswith((b"GET /hang", b"GET /answer")):
            self._books.hangs = head.startswith(b"GET /hang")
            self._transport.write(_ANSWER)
        elif not self._books.hangs or not head.startswith(b"POST /other"):
            self._books.note(body)
            self._transport.write(_ANSWER)


async def main(port: int) -> None:
    books = Books()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(books), "127.0.0.1", port, backlog=512)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
