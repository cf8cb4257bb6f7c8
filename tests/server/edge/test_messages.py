"""Messages arrive once, in order, and with the moment of their receipt, however a client cuts them up."""

import json
import random

import pytest
import trio
from wsproto.frame_protocol import Opcode

from actors.kit.clock import ServerClock
from server.edge.player.frame_meter import FrameMeter
from server.edge.player.player_stream import PlayerStream
from tests.helpers.edge_fakes import client_frame, open_edge, until


class Said(trio.abc.ReceiveStream):
    """What a client says, chunk by chunk."""

    def __init__(self, *chunks):
        self.chunks = list(chunks)

    async def receive_some(self, max_bytes=None):
        await trio.lowlevel.checkpoint()
        return self.chunks.pop(0) if self.chunks else b""

    async def aclose(self):
        pass


def say(number):
    return client_frame(Opcode.TEXT, b"%d" % number)


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
    while await stream.receive_some():
        times.append((stream.take_receipt_ms(), clock.steady_ms()))
    assert times == [(0, 0), (0, 1_000), (1_000, 2_000)]


async def test_a_message_was_received_when_its_last_byte_came(autojump_clock):
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
    for _ in range(7):
        await stream.receive_some()
    assert [stream.take_receipt_ms() for _ in range(5)] == [0, 1_000, 3_000, 5_000, 6_000]


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


async def test_a_player_who_sends_too_many_messages_is_read_more_slowly(autojump_clock):
    times, clock = [], ServerClock(0)
    meter = FrameMeter(10, 5)
    stream = PlayerStream(None, Said(*map(say, range(15))), head=b"", early=b"", clock=clock, meter=meter)
    stream.open(lambda: 1011)
    for number in range(15):
        assert await stream.receive_some() == say(number)
        times.append((stream.take_receipt_ms(), clock.steady_ms()))
    assert all(received_at_ms == now_ms for received_at_ms, now_ms in times[:5])
    # What waits was received when it came all the same.
    assert all(99 <= now_ms - received_at_ms <= 101 for received_at_ms, now_ms in times[5:])


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
