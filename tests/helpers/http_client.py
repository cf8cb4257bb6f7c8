"""A small HTTP/1.1 client that sends exactly the bytes it is told to, and keeps repeated headers apart."""

import json
from dataclasses import dataclass, field

import h11
import trio


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    header_list: list[tuple[str, str]] = field(default_factory=list)

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        document = self.json
        assert document["ok"] is False
        assert document["request_id"] == self.headers["x-request-id"]
        return document["error"]

    @property
    def code(self):
        return self.error["code"]


def request_bytes(method, target, headers=(), body=b""):
    """``headers`` is a dict or a list of pairs; Host and Content-Length are added where missing."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    names = {name.lower() for name, _ in pairs}
    if "host" not in names:
        pairs.insert(0, ("Host", "game.test"))
    if body and "content-length" not in names and "transfer-encoding" not in names:
        pairs.append(("Content-Length", str(len(body))))
    lines = [f"{method} {target} HTTP/1.1"] + [f"{name}: {value}" for name, value in pairs]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


async def read_answer(stream, method="GET"):
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1_000_000)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "game.test")]))
    connection.send(h11.EndOfMessage())
    head, chunks = None, []
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(65_536))
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            chunks.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            break
        elif isinstance(event, h11.ConnectionClosed):
            raise EOFError("the server closed the connection without an answer")
    pairs = [(name.decode(), value.decode("latin-1")) for name, value in head.headers]
    return Answer(head.status_code, dict(pairs), b"".join(chunks), pairs)


async def exchange(port, data, method="GET", timeout_s=5):
    """One connection, one request, one answer."""
    with trio.fail_after(timeout_s):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(data)
            return await read_answer(stream, method)
