from contextlib import asynccontextmanager
from itertools import pairwise
from uuid import UUID

import pytest
import trio
from trio.testing import wait_all_tasks_blocked
from wsproto.frame_protocol import Opcode

from actors.shared.metronome import Cohort, Flight
from server.edge.player.player_stream import text_frame
from tests.helpers.edge_fakes import open_edge, tick, until

BUSY_BYTES = 30_000
HUGE = b"t" * 1_000_000
"""More than the kernel takes at once for who reads through a small buffer; many more take seconds on a busy machine."""


def torn(sink, number):
    """A tick of which the kernel takes a part only."""
    tick(sink, number, text_frame(HUGE))
    assert sink._stream.has_rest


async def test_ticks_arrive_and_do_not_pass_frames():
    async with open_edge() as world:
        client = await world.player()
        sink = world.lobby.doors[0].sink
        await wait_all_tasks_blocked()
        tick(sink, 0, text_frame(b'{"e":0}'))
        sink.send(b"ended")
        tick(sink, 9, text_frame(b"skipped: there is news to be written"))
        await wait_all_tasks_blocked()
        tick(sink, 1, text_frame(b'{"e":50}'))
        assert [(await client.frame())[1] for _ in range(3)] == ['{"e":0}', "ended", '{"e":50}']
        await wait_all_tasks_blocked()
        tick(sink, 2, text_frame(b'{"e":100}'))
        sink.send(b"last")
        assert [(await client.frame())[1] for _ in range(2)] == ['{"e":100}', "last"]


async def test_a_slow_reader_gets_whole_frames_in_order_and_skips_ticks():
    async with open_edge(unsent_bytes_max=2_048, outgoing_frames_max=1_000) as world:
        client = await world.player(receive_buffer=4_096)
        sink = world.lobby.doors[0].sink
        offered = sent = 0
        for step in range(400):
            for _ in range(50):
                tick(sink, offered, text_frame(b"tick %d %s" % (offered, b"t" * (offered % 90))))
                offered += 1
            if step % 4 == 0:
                sink.send(b"frame %d %s" % (sent, b"f" * (sent * 7 % 900)))
                sent += 1
            await trio.lowlevel.checkpoint()
        sink.send(b"end")
        ticks, frames = [], []
        while (text := (await client.frame(bytes_max=977))[1]) != "end":
            kind, number, _ = text.split(" ")
            (ticks if kind == "tick" else frames).append(int(number))
        assert frames == list(range(sent))
        assert all(earlier < later for earlier, later in pairwise(ticks))
        assert 0 < len(ticks) < offered, "the newest ticks win; a busy socket skips some"


@pytest.mark.parametrize("frames", [0, 3])
async def test_what_the_kernel_left_over_of_a_tick_goes_first(frames):
    async with open_edge() as world:
        client = await world.player(receive_buffer=4_096)
        sink = world.lobby.doors[0].sink
        await wait_all_tasks_blocked()
        torn(sink, 0)
        tick(sink, 1, text_frame(b"skipped: the socket is busy"))
        tick(sink, 2, text_frame(b"the newest waits, unless there is news"))
        for number in range(frames):
            sink.send(b"frame %d" % number)
        assert await client.frame() == (Opcode.TEXT, HUGE.decode())
        behind = [f"frame {number}" for number in range(frames)] or ["the newest waits, unless there is news"]
        assert [(await client.frame())[1] for _ in behind] == behind
        await wait_all_tasks_blocked()
        tick(sink, 3, text_frame(b"next"))
        assert await client.frame() == (Opcode.TEXT, "next")


async def test_a_pong_does_not_tear_a_tick():
    async with open_edge() as world:
        client = await world.player(receive_buffer=4_096)
        await wait_all_tasks_blocked()
        torn(world.lobby.doors[0].sink, 0)
        await client.send(Opcode.PING, b"there?")
        assert await client.frame() == (Opcode.TEXT, HUGE.decode())
        assert await client.frame() == (Opcode.PONG, b"there?")


async def test_a_player_stalled_within_a_tick_is_dropped():
    async with open_edge(send_timeout_ms=150) as world:
        await world.player(receive_buffer=4_096)
        await wait_all_tasks_blocked()
        torn(world.lobby.doors[0].sink, 0)
        with trio.fail_after(20):
            await world.lobby.doors[0].left.wait()


async def test_a_player_who_takes_no_ticks_is_dropped():
    async with open_edge(send_timeout_ms=150) as world:
        await world.player(receive_buffer=4_096)
        door = world.lobby.doors[0]
        with trio.fail_after(20):
            while not door.left.is_set():
                tick(door.sink, 0, text_frame(b"t" * 900))
                await trio.sleep(0.001)


async def test_a_stalled_player_is_dropped():
    async with open_edge(send_timeout_ms=150, outgoing_frames_max=100_000) as world:
        await world.player(receive_buffer=4_096)
        sink = world.lobby.doors[0].sink
        other = await world.player()
        for _ in range(2_000):
            sink.send(b"x" * BUSY_BYTES)
        with trio.fail_after(20):
            await world.lobby.doors[0].left.wait()
        world.lobby.doors[1].sink.send(b"not concerned")
        assert await other.frame() == (Opcode.TEXT, "not concerned")


async def test_a_player_whose_queue_is_full_is_dropped():
    async with open_edge(outgoing_frames_max=4) as world:
        await world.player(receive_buffer=4_096)
        sink = world.lobby.doors[0].sink
        sink.send(b"x" * 20_000_000)
        for _ in range(5):
            sink.send(b"x")
        await until(lambda: world.observer.ends == ["overflow"])


async def test_ticks_to_a_player_who_left_are_harmless():
    async with open_edge() as world:
        client = await world.player()
        sink = world.lobby.doors[0].sink
        await client.stream.aclose()
        for number in range(200):
            tick(sink, number, text_frame(b"tick"))
            sink.send(b"frame")
            await trio.lowlevel.checkpoint()
        await until(lambda: world.edge.connections_open == 0)
        tick(sink, 201, text_frame(b"tick"))
        sink.send(b"frame")
        sink.close()


async def test_a_player_may_be_lost_before_what_was_said_is_written(caplog):
    async with open_edge() as world:
        await world.player()
        door = world.lobby.doors[0]
        await wait_all_tasks_blocked()
        door.sink.send(b"news")
        door.sink.overflow()
        with trio.fail_after(5):
            await door.left.wait()
            await until(lambda: world.edge.connections_open == 0)
        assert world.observer.ends == ["overflow"] and not caplog.records


async def test_no_tick_follows_the_close_frame():
    async with open_edge() as world:
        client = await world.player()
        sink = world.lobby.doors[0].sink
        await client.send(Opcode.PING, b"x" * 126)
        codes = []
        while (frame := await client.frame()) is not None:
            codes.append(frame[0])
            tick(sink, 0, text_frame(b"tick"))
        assert codes.count(Opcode.CLOSE) == 1 and codes[-1] is Opcode.CLOSE


class FullOnce:
    """A kernel that is full for one write and has room again for the next."""

    def __init__(self, sink):
        transport = sink._stream._transport
        self._send = transport.send_now
        self.is_full = True
        self.sent = []
        transport.send_now = self
        sink.outlet.let(self)

    def __call__(self, data):
        if self.is_full:
            self.is_full = False
            raise BlockingIOError
        self.sent.append(data)
        return self._send(data)


@asynccontextmanager
async def full_once():
    """A player, the server's side of its socket, and what is below that."""
    async with open_edge() as world:
        client = await world.player()
        sink = world.lobby.doors[0].sink
        await wait_all_tasks_blocked()
        yield client, sink, FullOnce(sink)


async def test_a_tick_that_waits_is_not_overtaken_by_a_newer_one():
    async with full_once() as (client, sink, kernel):
        ticks = [text_frame(b"tick %d" % number) for number in range(3)]
        tick(sink, 0, ticks[0])
        tick(sink, 1, ticks[1])
        assert kernel.sent == [], "it would come before the one that waits"
        assert (await client.frame())[1] == "tick 1", "the newest wins"
        await wait_all_tasks_blocked()
        tick(sink, 2, ticks[2])
        assert kernel.sent == [ticks[2]], "written at once again, without a task"
        assert (await client.frame())[1] == "tick 2"


async def test_a_flight_finds_out_when_its_socket_is_busy_and_when_it_is_free_again():
    async with full_once() as (client, sink, kernel):
        cohort, flight = Cohort(), Flight(UUID(int=1), 0, 1_000, sink.outlet)
        assert not sink.outlet.takes_ticks
        cohort.add(flight)
        assert sink.outlet.takes_ticks
        ticks = [text_frame(b"tick %d" % number) for number in range(3)]
        for number in range(2):
            cohort.send(number, ticks[number], 50 * number)
            assert not sink.outlet.takes_ticks
        assert kernel.sent == []
        assert (await client.frame())[1] == "tick 1"
        await wait_all_tasks_blocked()
        assert sink.outlet.takes_ticks
        cohort.send(2, ticks[2], 100)
        assert kernel.sent == [ticks[2]]
        assert (await client.frame())[1] == "tick 2"
        cohort.remove(flight)
        assert not sink.outlet.takes_ticks


async def test_a_message_that_waits_is_overtaken_by_nothing():
    async with open_edge() as world:
        client = await world.player()
        sink = world.lobby.doors[0].sink
        sink.send(b"first", b"with it")
        tick(sink, 0, text_frame(b"tick"))
        sink.send(b"second")
        sink.ping()
        assert [(await client.frame())[1] for _ in range(3)] == ["first", "with it", "second"]
        assert (await client.frame())[0] is Opcode.PING
        await wait_all_tasks_blocked()
        sink.send(b"third")
        assert await client.frame() == (Opcode.TEXT, "third")


async def test_a_tick_that_waits_is_not_sent_to_who_is_told_to_leave():
    async with full_once() as (client, sink, _):
        tick(sink, 0, text_frame(b"tick"))
        sink.send(b"session over")
        sink.close()
        tick(sink, 1, text_frame(b"tick"))
        assert await client.until_close() == (["session over"], 1000)


async def test_a_socket_that_broke_down_takes_ticks_without_harm():
    async with open_edge() as world:
        client = await world.player()
        door = world.lobby.doors[0]
        await wait_all_tasks_blocked()
        door.deliver = None  # A defect: whatever the player says now ends the socket.
        await client.send(Opcode.TEXT, b"{}")
        assert await client.until_close() == ([], 1011)
        # It lingers for the client, who has not left yet.
        assert world.edge.connections_open == 1
        tick(door.sink, 0, text_frame(b"tick"))
        door.sink.send(b"news")
