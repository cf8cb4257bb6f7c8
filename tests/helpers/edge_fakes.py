"""A served edge on a real port with a scripted lobby behind it, and a websocket client that sees every frame."""

import json
import logging
import time
from contextlib import asynccontextmanager
from uuid import UUID

import trio
from wsproto.frame_protocol import FrameProtocol, Opcode

from actors.kit.clock import ServerClock
from actors.shared.metronome import Cohort, Flight
from server.edge.listen.listener import listen, serve_edge
from server.edge.settings import EdgeSettings

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = {
    "Host": "game.test",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}
PATIENCE_S = 20
"""For what must happen: long, because the machine may be busy; never waited for when all is well."""


def upgrade_request(target="/stream", **changes):
    headers = UPGRADE | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if value is not None)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def tick(sink, number, frame):
    """A tick as the metronome sends it, amid a flight that lasts as long as the socket."""
    if sink.outlet.changed is None:
        Cohort().add(Flight(UUID(int=1), 0, 1, sink.outlet))
    sink.outlet.changed.__self__.send(number, frame, 0)


class FakeDoor:
    def __init__(self, sink):
        self.sink = sink
        self.delivered = []
        self.left = trio.Event()
        self.echoes = False

    def deliver(self, text, received_at_ms):
        self.delivered.append((text, received_at_ms))
        if self.echoes:
            self.sink.send(text)

    def leave(self):
        self.left.set()


class FakeLobby:
    """Lets everybody in whose hello says so, and welcomes them."""

    def __init__(self):
        self.doors = []
        self.hellos = []
        self.gate = None
        self.failure = None

    async def enter(self, hello, sink):
        self.hellos.append(hello)
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        if b"hello" not in hello:
            sink.send(b'{"type":"error","code":"unauthorized"}')
            sink.close()
            return None
        door = FakeDoor(sink)
        self.doors.append(door)
        sink.send(b'{"type":"welcome"}')
        return door


class CountingObserver:
    def __init__(self):
        self.refused = 0
        self.ends = []

    def connection_refused(self):
        self.refused += 1

    def player_ended(self, end):
        self.ends.append(end)


class SecurityRecord:
    """Who came in and who did not, as the security log is told."""

    def __init__(self):
        self.told = []

    def accepted(self, address):
        self.told.append(("accepted", address))

    def refused(self, address, code):
        self.told.append(("refused", address, code))

    def ended(self, address, end):
        self.told.append(("ended", address, end))


async def small_app(scope, receive, send):
    """Answers /livez; /big with 64 MiB; /slow when its gate opens; anything else with 404."""
    assert scope["type"] in {"http", "websocket"}
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close"})
        return
    if scope["path"] == "/fail":
        raise ZeroDivisionError
    if scope["path"] == "/slow":
        await trio.sleep(0.3)
    body = b"x" * 67_108_864 if scope["path"] == "/big" else json.dumps({"scheme": scope["scheme"]}).encode()
    status = 200 if scope["path"] in {"/livez", "/big", "/slow"} else 404
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class World:
    def __init__(self, edge, lobby, observer, clock, security):
        self.edge = edge
        self.security = security
        self.lobby = lobby
        self.observer = observer
        self.clock = clock
        self.sockets = []

    async def connect(self, receive_buffer=None):
        raw = trio.socket.socket()
        self.sockets.append(raw)
        if receive_buffer is not None:
            raw.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, receive_buffer)
        await raw.connect(("127.0.0.1", self.edge.port))
        return trio.SocketStream(raw)

    async def player(self, *, hello=True, receive_buffer=None, stream=None, **headers):
        """A client that is through the handshake, and welcomed unless ``hello`` is false."""
        stream = stream or await self.connect(receive_buffer)
        await stream.send_all(upgrade_request(**headers))
        client = Client(stream)
        await client.shake_hands()
        if hello:
            await client.say('{"type":"hello"}')
            assert (await client.frame())[1] == '{"type":"welcome"}'
        return client

    async def get(self, target="/livez"):
        """Status and body of one request on a connection of its own."""
        async with await self.connect() as stream:
            await stream.send_all(f"GET {target} HTTP/1.1\r\nHost: game.test\r\nConnection: close\r\n\r\n".encode())
            return split_answer(await read_all(stream))

    async def is_well(self):
        status, _ = await self.get()
        return status == 200


async def read_all(stream):
    """Until the end; a reset counts as one."""
    data = bytearray()
    with trio.fail_after(PATIENCE_S):
        try:
            while received := await stream.receive_some():
                data += received
        except trio.BrokenResourceError:
            pass
    return bytes(data)


def split_answer(data):
    """Status and body of the first answer; ``None`` without one."""
    head, _, body = data.partition(b"\r\n\r\n")
    return (int(head.split(b" ")[1]) if head.startswith(b"HTTP/1.1 ") else None), body


class Client:
    """The client side of a websocket: whole frames in, anything out."""

    def __init__(self, stream):
        self.stream = stream
        self.frames = FrameProtocol(client=True, extensions=[])
        self._parts = []
        self._ready = []

    async def shake_hands(self):
        data = b""
        with trio.fail_after(PATIENCE_S):
            while b"\r\n\r\n" not in data:
                received = await self.stream.receive_some()
                assert received, f"closed in the handshake after {data!r}"
                data += received
        head, _, early = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        self._take(early)

    def _take(self, data):
        self.frames.receive_bytes(data)
        for frame in self.frames.received_frames():
            self._parts.append(frame.payload)
            if frame.frame_finished:
                assert frame.message_finished, "the server never sends a message in pieces"
                self._ready.append((frame.opcode, sum_of(self._parts)))
                self._parts = []

    async def frame(self, bytes_max=None):
        """The next frame as (opcode, payload); ``None`` at the end of the stream."""
        with trio.fail_after(PATIENCE_S):
            while not self._ready:
                try:
                    data = await self.stream.receive_some(bytes_max)
                except trio.BrokenResourceError:
                    return None
                if not data:
                    return None
                self._take(data)
        return self._ready.pop(0)

    async def until_close(self):
        """The texts up to the close frame, and its code; ``None`` if the stream ends without one."""
        texts = []
        with trio.fail_after(PATIENCE_S):  # however many frames come instead
            while (frame := await self.frame()) is not None:
                opcode, payload = frame
                if opcode is Opcode.CLOSE:
                    return texts, payload[0]
                if opcode is Opcode.TEXT:
                    texts.append(payload)
        return texts, None

    async def say(self, text):
        await self.stream.send_all(client_frame(Opcode.TEXT, text.encode() if isinstance(text, str) else text))

    async def send(self, opcode, payload=b"", **how):
        await self.stream.send_all(client_frame(opcode, payload, **how))


def sum_of(parts):
    """One payload of a frame that came in parts."""
    return parts[0] if len(parts) == 1 else type(parts[0])().join(parts)


def client_frame(opcode, payload=b"", *, fin=True, masked=True, reserved=0, length=None):
    """One frame as a client sends it, or as none should."""
    first = (0x80 if fin else 0) | reserved | int(opcode)
    length = len(payload) if length is None else length
    mask_bit = 0x80 if masked else 0
    if length < 126:
        head = bytes((first, mask_bit | length))
    elif length < 65_536:
        head = bytes((first, mask_bit | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, mask_bit | 127)) + length.to_bytes(8, "big")
    if not masked:
        return head + payload
    mask = b"\x11\x22\x33\x44"
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def settings(**changes):
    return EdgeSettings(**({"host": "127.0.0.1", "port": 0, "origins": frozenset({"https://game.test"})} | changes))


@asynccontextmanager
async def open_edge(app=small_app, *, with_lobby=True, is_caller=lambda head: False, **changes):
    clock, lobby, observer = ServerClock(time.time() * 1000), FakeLobby() if with_lobby else None, CountingObserver()
    security = SecurityRecord()

    async def serve(task_status):
        chosen = settings(**changes)
        await serve_edge(
            await listen(chosen),
            app,
            lobby=lobby,
            clock=clock,
            observer=observer,
            is_caller=is_caller,
            security=security,
            task_status=task_status,
        )

    world = None
    try:
        async with trio.open_nursery() as nursery:
            world = World(await nursery.start(serve), lobby, observer, clock, security)
            yield world
            nursery.cancel_scope.cancel()
    finally:  # not before: the server has to end without the clients' help
        for client in world.sockets if world else ():
            client.close()


async def until(condition):
    """Wait until something is so."""
    with trio.fail_after(PATIENCE_S):
        while not condition():
            await trio.sleep(0.005)


def errors_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
