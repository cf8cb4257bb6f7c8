"""Messages that come alone, each in one frame, pass by the library; nothing may be seen of that but its speed."""

import json
import random

import pytest
import trio
from trio_websocket import WebSocketConnection
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage
from wsproto.frame_protocol import Opcode

from actors.kit.clock import ServerClock
from server.edge.player.frame_meter import FrameMeter
from server.edge.player.player_stream import PlayerStream
from tests.helpers.edge_fakes import client_frame, open_edge, until

BYTES_MAX = 2_000
TEXTS = ["", "{}", "x" * 125, "x" * 126, "é" * 63, "\N{EARTH GLOBE EUROPE-AFRICA}" * 500, "x" * BYTES_MAX]


def masked(text, mask):
    """A client's frame with this mask."""
    frame = client_frame(Opcode.TEXT, text)
    at = len(frame) - len(text)
    return frame[: at - 4] + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(text))


async def lone(*chunks):
    meter = FrameMeter(1_000, 1_000)
    for chunk in chunks[:-1]:
        meter.count(chunk)
    return meter.lone_message(chunks[-1], BYTES_MAX)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x80\x00\xfe"])
async def test_a_message_is_read_as_the_library_reads_it(text, mask):
    data = masked(text.encode(), mask)
    library = Connection(ConnectionType.SERVER)
    library.receive_data(data)
    assert list(library.events()) == [TextMessage(data=text, frame_finished=True, message_finished=True)]
    assert await lone(data) == text.encode()


@pytest.mark.parametrize("length", range(9))
async def test_no_byte_of_a_message_is_lost_at_its_ends(length):
    text = bytes(range(length))
    assert await lone(masked(text, b"\x9c\x00\xff\x31")) == text


TEXT = client_frame(Opcode.TEXT, b"{}")
OTHERS = {
    "nothing": [b""],
    "a byte": [TEXT[:1]],
    "a part": [TEXT[:-1]],
    "the rest of a frame": [TEXT[:3], TEXT[3:]],
    "a frame within a frame": [client_frame(Opcode.TEXT, b"x" * 40)[:10], TEXT],
    "a frame after a part of a header": [b"\x81", TEXT],
    "more": [TEXT + b"\x81"],
    "two": [TEXT + TEXT],
    "a first part": [client_frame(Opcode.TEXT, b"{}", fin=False)],
    "within a message": [client_frame(Opcode.TEXT, b"{}", fin=False), TEXT],
    "within a message, after a ping": [client_frame(Opcode.TEXT, b"", fin=False), client_frame(Opcode.PING), TEXT],
    "after a close": [client_frame(Opcode.CLOSE, b"\x03\xe8"), TEXT],
    "after a close and a ping": [client_frame(Opcode.CLOSE, b"\x03\xe8") + client_frame(Opcode.PING), TEXT],
    "binary": [client_frame(Opcode.BINARY, b"{}")],
    "a last part": [client_frame(Opcode.CONTINUATION, b"{}")],
    "a ping": [client_frame(Opcode.PING, b"{}")],
    "no mask": [client_frame(Opcode.TEXT, b"{}", masked=False)],
    "a reserved bit": [client_frame(Opcode.TEXT, b"{}", reserved=0x40)],
    "no UTF-8": [client_frame(Opcode.TEXT, b"\xff")],
    "a surrogate": [client_frame(Opcode.TEXT, b"\xed\xa0\x80")],
    "too large": [client_frame(Opcode.TEXT, b"x" * (BYTES_MAX + 1))],
    "a short length in its long form": [b"\x81\xfe\x00\x02\0\0\0\0{}"],
    "a long length that is cut": [b"\x81\xfe\x01"],
    "the longest form": [b"\x81\xff" + (2).to_bytes(8, "big") + b"\0\0\0\0{}"],
    "the longest form, as long as its code": [b"\x81\xff" + (119).to_bytes(8, "big") + bytes(4) + b" " * 119],
    "the longest form, cut at its code": [b"\x81\xff" + (70_000).to_bytes(8, "big") + bytes(4) + b" " * 119],
}


@pytest.mark.parametrize("name", OTHERS)
async def test_whatever_else_comes_is_left_to_the_library(name):
    assert await lone(*OTHERS[name]) is None


@pytest.mark.parametrize(
    "before",
    [
        [TEXT, TEXT],
        [client_frame(Opcode.PING, b"x")],
        [TEXT[:4], TEXT[4:]],
        [client_frame(Opcode.TEXT, b"{", fin=False), client_frame(Opcode.CONTINUATION, b"}")],
        [client_frame(Opcode.TEXT, b"{", fin=False) + client_frame(Opcode.PING), client_frame(0, b"}"), TEXT],
    ],
)
async def test_after_whole_messages_a_message_is_alone(before):
    assert await lone(*before, TEXT) == b"{}"


class Said(trio.abc.ReceiveStream):
    """What a client says, chunk by chunk."""

    def __init__(self, *chunks):
        self.chunks = list(chunks)

    async def receive_some(self, max_bytes=None):
        await trio.lowlevel.checkpoint()
        return self.chunks.pop(0) if self.chunks else b""

    async def aclose(self):
        pass


def stream_of(*chunks):
    stream = PlayerStream(
        None, Said(*chunks), head=b"", early=b"", clock=ServerClock(0), meter=FrameMeter(1_000, 1_000)
    )
    stream.open(lambda: 1011)
    return stream


def say(number):
    return client_frame(Opcode.TEXT, b"%d" % number)


async def test_messages_that_come_alone_do_not_reach_the_library():
    taken = []
    stream = stream_of(say(1), say(2), client_frame(Opcode.PING), say(3))
    stream.take_messages(lambda text, _: taken.append(text), BYTES_MAX)
    assert await stream.receive_some() == client_frame(Opcode.PING)
    assert taken == [b"1", b"2"]
    assert await stream.receive_some() == b""
    assert taken == [b"1", b"2", b"3"]


async def test_frames_that_come_with_the_upgrade_wait_as_those_that_come_later(autojump_clock):
    early, began_at = say(1) * 5, trio.current_time()
    stream = PlayerStream(None, Said(), head=b"", early=early, clock=ServerClock(0), meter=FrameMeter(1, 3))
    stream.open(lambda: 1011)
    assert await stream.receive_some() == early
    assert trio.current_time() - began_at == pytest.approx(2)


async def test_a_message_was_received_when_it_came_however_slowly_its_client_is_read(autojump_clock):
    """A cash-out is worth what was shown at its receipt."""
    times, clock = [], ServerClock(0)
    stream = PlayerStream(None, Said(say(1), say(2), say(3)), head=b"", early=b"", clock=clock, meter=FrameMeter(1, 1))
    stream.open(lambda: 1011)
    stream.take_messages(lambda _, received_at_ms: times.append((received_at_ms, clock.steady_ms())), BYTES_MAX)
    await stream.receive_some()
    assert times == [(0, 0), (0, 1_000), (1_000, 2_000)]


async def test_a_message_that_comes_by_the_library_was_received_when_its_last_byte_came(autojump_clock):
    """Not when it began, and not when the next one did."""
    first, second = say(1), say(23)
    told = [first + second[:3], second[3:7], second[7:] + client_frame(Opcode.TEXT, b"a", fin=False)]
    told += [client_frame(Opcode.PING), client_frame(Opcode.CONTINUATION, b"bc"), say(4) + client_frame(Opcode.PING)]

    class Slow(Said):
        async def receive_some(self, max_bytes=None):
            await trio.sleep(1)
            return await super().receive_some(max_bytes)

    stream = PlayerStream(
        None, Slow(*told), head=b"", early=say(0), clock=ServerClock(0), meter=FrameMeter(10**6, 10**6)
    )
    stream.open(lambda: 1011)
    stream.take_messages(lambda *_: None, BYTES_MAX)
    for _ in range(7):
        await stream.receive_some()
    assert [stream.took() for _ in range(5)] == [0, 1_000, 3_000, 5_000, 6_000]


async def test_a_message_waits_behind_those_that_the_library_has():
    taken = []
    stream = stream_of(say(1) + say(2), say(3), say(4), say(5))
    stream.take_messages(lambda text, _: taken.append(text), BYTES_MAX)
    assert await stream.receive_some() == say(1) + say(2)
    assert await stream.receive_some() == say(3)
    stream.took()
    stream.took()
    assert await stream.receive_some() == say(4)
    assert taken == []
    stream.took()
    stream.took()
    assert await stream.receive_some() == b""
    assert taken == [b"5"]


async def test_nobody_takes_messages_before_and_after():
    taken = []
    stream = stream_of(say(1), say(2), say(3))
    assert await stream.receive_some() == say(1)
    stream.took()
    stream.take_messages(lambda text, _: taken.append(text), BYTES_MAX)
    stream.leave_messages()
    assert await stream.receive_some() == say(2)
    assert taken == []


def pieces(numbers, chance):
    """Messages as a client may send them: alone, several at a time, in parts, cut anywhere, with pings between."""
    chunk = b""
    for number in numbers:
        text = json.dumps({"n": number, "pad": "é" * chance.choice([0, 1, 60, 200])}).encode()
        if chance.random() < 0.3:
            cut = chance.randrange(len(text))
            chunk += client_frame(Opcode.TEXT, text[:cut], fin=False)
            chunk += client_frame(Opcode.PING) * chance.randrange(2)
            chunk += client_frame(Opcode.CONTINUATION, text[cut:])
        else:
            chunk += client_frame(Opcode.TEXT, text)
        if chance.random() < 0.6:
            yield from cut_somewhere(chunk, chance)
            chunk = b""
    yield from cut_somewhere(chunk, chance)


def cut_somewhere(chunk, chance):
    if chance.random() < 0.3 and len(chunk) > 1:
        at = chance.randrange(1, len(chunk))
        yield chunk[:at]
        chunk = chunk[at:]
    yield chunk


@pytest.mark.parametrize("seed", range(12))
async def test_messages_arrive_once_and_in_order_however_they_come(seed):
    chance = random.Random(seed)
    async with open_edge(messages_per_second=10_000, messages_burst=10_000) as world:
        client = await world.player()
        door = world.lobby.doors[0]
        for chunk in pieces(range(120), chance):
            await client.stream.send_all(chunk)
            if chance.random() < 0.5:
                await trio.sleep(0.001)  # so that it is read alone; without that it comes with others, or not
        await until(lambda: len(door.delivered) >= 120)
        assert [json.loads(text)["n"] for text, _ in door.delivered] == list(range(120))


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ([client_frame(Opcode.TEXT, b"{", fin=False), client_frame(Opcode.TEXT, b"{}")], 1002),
        ([client_frame(Opcode.CLOSE, b"\x03\xe8"), client_frame(Opcode.TEXT, b"{}")], 1000),
        ([client_frame(Opcode.TEXT, b"1"), client_frame(Opcode.TEXT, b"\xff")], 1007),
        ([client_frame(Opcode.TEXT, b"1"), client_frame(Opcode.TEXT, b"2", masked=False)], 1002),
    ],
)
async def test_what_is_wrong_ends_the_socket_between_messages_as_well(said, code):
    async with open_edge() as world:
        client = await world.player()
        for chunk in said:
            await client.stream.send_all(chunk)
            await trio.sleep(0.02)
        assert (await client.until_close())[1] == code
        texts = [text for text, _ in world.lobby.doors[0].delivered]
        assert texts == ([b"1"] if said[0].startswith(b"\x81") else [])


async def test_a_player_who_sends_too_many_lone_messages_is_read_more_slowly(autojump_clock):
    taken, times = [], []
    meter = FrameMeter(10, 5)
    clock = ServerClock(0)
    stream = PlayerStream(None, Said(*map(say, range(15))), head=b"", early=b"", clock=clock, meter=meter)
    stream.open(lambda: 1011)

    def take(message, received_at_ms):
        taken.append(message)
        times.append((received_at_ms, clock.now_ms()))

    stream.take_messages(take, BYTES_MAX)
    assert await stream.receive_some() == b""
    assert taken == [b"%d" % number for number in range(15)]
    assert all(received_at_ms == now_ms for received_at_ms, now_ms in times[:5])
    # What waits was received when it came all the same.
    assert all(99 <= now_ms - received_at_ms <= 101 for received_at_ms, now_ms in times[5:])


async def test_messages_that_come_alone_take_the_short_way_through_a_real_socket(monkeypatch):
    read, get_message = [], WebSocketConnection.get_message

    async def noted(websocket):
        message = await get_message(websocket)
        read.append(message)
        return message

    monkeypatch.setattr(WebSocketConnection, "get_message", noted)
    async with open_edge() as world:
        client = await world.player()
        door = world.lobby.doors[0]
        for number in range(3):
            await client.say(str(number))
            await until(lambda number=number: len(door.delivered) == number + 1)
        assert read == ['{"type":"hello"}']
        await client.send(Opcode.TEXT, b"par", fin=False)
        await client.send(Opcode.CONTINUATION, b"ted")
        await until(lambda: len(door.delivered) == 4)
        await client.say("last")
        await until(lambda: len(door.delivered) == 5)
        assert read == ['{"type":"hello"}', "parted"]


async def test_nothing_is_taken_once_the_server_closes():
    async with open_edge() as world:
        client = await world.player()
        await client.say("1")
        door = world.lobby.doors[0]
        await until(lambda: door.delivered)
        door.sink.close()
        await client.say("2")
        assert await client.until_close() == ([], 1000)
        await client.say("3")
        await client.send(Opcode.CLOSE, (1000).to_bytes(2, "big"))
        assert await client.frame() is None
        assert [text for text, _ in door.delivered] == [b"1"]
