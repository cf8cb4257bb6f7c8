"""The streams by themselves, on real sockets."""

import socket
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from wsproto.frame_protocol import Opcode

from actors.kit.clock import ServerClock
from server.edge.player.frame_meter import FrameMeter
from server.edge.player.player_stream import PlayerStream, text_frame
from server.edge.wire.budgets import Budget
from server.edge.wire.transport import Transport
from tests.helpers.edge_fakes import Client, client_frame

HUGE = text_frame(b"t" * 8_000_000)


def offer(stream, frame):
    """A tick, as the metronome offers it: how many bytes of it the kernel took."""
    sent = 0
    if stream.outlet.write is not None:
        with suppress(BlockingIOError):
            sent = stream.outlet.write(frame)
    if 0 < sent < len(frame):
        stream.outlet.offer_tick(0, frame, sent)
    return sent


@asynccontextmanager
async def tcp_pair(*, send_timeout_s=20.0, send_bytes_per_second_min=1_000):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        raw, _ = listener.accept()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    for each in (near, raw):
        each.setblocking(False)
    limits = {"send_timeout_s": send_timeout_s, "send_bytes_per_second_min": send_bytes_per_second_min}
    transport = Transport(raw, **limits)
    async with trio.SocketStream(trio.socket.from_stdlib_socket(near)) as client:
        try:
            yield transport, client
        finally:
            transport.cut()


@asynccontextmanager
async def player_pair():
    async with tcp_pair() as (transport, client):
        meter = FrameMeter(1_000, 1_000)
        stream = PlayerStream(transport, transport, head=b"head", early=b"early", clock=ServerClock(0), meter=meter)
        stream.open(lambda: 1011)
        yield stream, Client(client)


@pytest.mark.parametrize("how", ["send_all", "send_frames", "aclose", "linger"])
async def test_whatever_follows_a_tick_comes_after_its_rest(how):
    async with player_pair() as (stream, client), trio.open_nursery() as nursery:
        assert 0 < offer(stream, HUGE) < len(HUGE) and stream.has_rest
        assert not offer(stream, text_frame(b"skipped"))
        argument = {"send_all": (b"\x8a\0",), "send_frames": (text_frame(b"next"),), "linger": (1,)}.get(how, ())
        nursery.start_soon(getattr(stream, how), *argument)
        opcode, text = await client.frame()
        assert (opcode, len(text)) == (Opcode.TEXT, 8_000_000)
        after = await client.frame()
        assert after[0] is {"send_all": Opcode.PONG, "send_frames": Opcode.TEXT}.get(how, Opcode.CLOSE)
        nursery.cancel_scope.cancel()


async def test_ticks_never_get_between_the_parts_of_a_frame():
    async with player_pair() as (stream, client), trio.open_nursery() as nursery:
        taken = 0

        async def offer_for_ever():
            nonlocal taken
            while True:
                taken += offer(stream, text_frame(b"tick")) > 0
                if stream.has_rest:
                    await stream.send_frames(b"")
                await trio.lowlevel.checkpoint()

        async def write():
            for _ in range(3):
                await stream.send_frames(HUGE)
                before = taken
                while taken == before:
                    await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

        async def read():
            while True:
                seen.append(len((await client.frame())[1]))

        seen = []
        for task in (write, offer_for_ever, read):
            nursery.start_soon(task)
    assert taken > 0 and set(seen) == {8_000_000, 4}


async def test_nothing_follows_a_close_frame():
    async with player_pair() as (stream, client):
        await stream.send_all(b"\x88\x02\x03\xe8")
        assert not offer(stream, text_frame(b"tick"))
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_frames(text_frame(b"frame"))
        await stream.aclose()
        assert await client.until_close() == ([], 1000)
        assert await client.frame() is None


async def test_the_head_comes_first_and_the_rest_after_the_handshake():
    async with player_pair() as (stream, client):
        assert await stream.receive_some() == b"head"
        assert await stream.receive_some() == b"early"
        await client.stream.send_all(b"more")
        assert await stream.receive_some() == b"more"


async def read_steadily(client, pause_s):
    while await client.receive_some(32_768):
        await trio.sleep(pause_s)


@pytest.mark.parametrize("bytes_per_second_min", [1_000, 1_000_000_000])
async def test_a_steady_reader_must_not_be_too_slow(bytes_per_second_min):
    limits = {"send_timeout_s": 0.4, "send_bytes_per_second_min": bytes_per_second_min}
    async with tcp_pair(**limits) as (transport, client), trio.open_nursery() as nursery:
        nursery.start_soon(read_steadily, client, 0.01)
        if bytes_per_second_min == 1_000:
            await transport.send_all(bytes(2_000_000))
        else:
            with pytest.raises(trio.BrokenResourceError, match="does not read"):
                await transport.send_all(bytes(100_000_000))
            assert transport.is_closed
        nursery.cancel_scope.cancel()


async def test_whoever_sends_without_end_is_not_waited_for():
    async with tcp_pair() as (transport, client), trio.open_nursery() as nursery:

        async def send_for_ever():
            with suppress(trio.BrokenResourceError):
                while True:
                    await client.send_all(bytes(65_536))

        nursery.start_soon(send_for_ever)
        with trio.fail_after(10):
            await transport.linger(600)
        assert transport.is_closed


async def test_a_write_that_is_cancelled_cuts_the_connection():
    async with tcp_pair() as (transport, _):
        with trio.move_on_after(0.05):
            await transport.send_all(bytes(50_000_000))
        assert transport.is_closed
        with pytest.raises(trio.ClosedResourceError):
            await transport.send_all(b"more")
        with pytest.raises(trio.ClosedResourceError):
            await transport.receive_some()
        with pytest.raises(OSError):
            transport.send_now(b"more")


async def test_who_waits_is_told_of_a_cut():
    async with tcp_pair() as (transport, _), trio.open_nursery() as nursery:
        told = []
        transport.when_closed(lambda: told.append("closed"))

        async def read():
            with pytest.raises(trio.ClosedResourceError):
                await transport.receive_some()

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        transport.cut()
        transport.cut()
        transport.when_closed(lambda: told.append("late"))
        assert told == ["closed", "late"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000_000])
def test_frames_are_counted_however_they_are_cut(size):
    async def count():
        meter = FrameMeter(1_000, 1_000)
        frames = [client_frame(Opcode.TEXT, b"x" * length) for length in (0, 1, 125, 126, 65_535, 65_536)]
        data = b"".join(frames) + client_frame(Opcode.PING) + client_frame(Opcode.TEXT, b"y" * 10)[:3]
        return sum(meter.count(data[at : at + size]) for at in range(0, len(data), size))

    assert trio.run(count) == 7


def test_a_budget_refills_up_to_its_burst(autojump_clock):
    async def spend():
        budget = Budget(10, 3)
        assert [budget.take() for _ in range(4)] == [True, True, True, False]
        await trio.sleep(0.1)
        assert [budget.take() for _ in range(2)] == [True, False]
        await trio.sleep(60)
        assert [budget.take() for _ in range(4)] == [True, True, True, False]
        assert budget.charge(5) == pytest.approx(0.5)

    trio.run(spend, clock=autojump_clock)
