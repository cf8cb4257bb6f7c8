"""The pinger's wheel, on a clock that the tests move."""

from collections import Counter

import trio
import trio.testing
from trio.testing import MockClock

from server.edge.player.pinger import SPOKES, Pinger
from tests.helpers.edge_fakes import settings

INTERVAL_S, TIMEOUT_S = 20, 10


class Socket:
    """Notes when it is pinged and dropped; ``answers`` at once, or never; ``has_ticks`` for it at all times."""

    def __init__(self, *, answers: bool = True, has_ticks: bool = False) -> None:
        self.heard_at = trio.current_time()
        self.answers = answers
        self.has_ticks = has_ticks
        self.pinged_at: list[float] = []
        self.dropped_at: float | None = None

    def takes_ticks(self) -> bool:
        return self.has_ticks

    def ping(self) -> None:
        self.pinged_at.append(trio.current_time())
        if self.answers:
            self.heard_at = trio.current_time()

    def drop(self) -> None:
        if self.dropped_at is None:
            self.dropped_at = trio.current_time()


def wheel(**changes: int) -> Pinger:
    return Pinger(settings(**{"ping_interval_ms": INTERVAL_S * 1000, "ping_timeout_ms": TIMEOUT_S * 1000, **changes}))


async def turned(pinger: Pinger, sockets: list[Socket], seconds: float) -> None:
    """Let the wheel turn for so long with the sockets on it."""
    for socket in sockets:
        pinger.add(socket)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pinger.run)
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()


async def test_sockets_that_came_together_are_pinged_one_after_the_other(autojump_clock: MockClock):
    sockets = [Socket() for _ in range(10 * SPOKES)]
    await turned(wheel(), sockets, INTERVAL_S + 1)
    at_once = Counter(socket.pinged_at[0] for socket in sockets)
    assert max(at_once.values()) <= 40, "more than two spokes at a time"
    assert min(at_once) >= INTERVAL_S / 2 - 0.2
    assert max(at_once) <= INTERVAL_S + 0.2


async def test_every_socket_is_pinged_once_in_an_interval(autojump_clock: MockClock):
    sockets = [Socket() for _ in range(3)]
    await turned(wheel(), sockets, 10.4 * INTERVAL_S)
    for socket in sockets:
        assert len(socket.pinged_at) == 10
        between = [later - earlier for earlier, later in zip(socket.pinged_at, socket.pinged_at[1:], strict=False)]
        assert all(abs(seconds - INTERVAL_S) < 0.2 for seconds in between)
        assert socket.dropped_at is None


async def test_a_silent_socket_is_dropped_when_its_time_is_up(autojump_clock: MockClock):
    silent, other = Socket(answers=False), Socket()
    await turned(wheel(), [silent, other], INTERVAL_S + TIMEOUT_S + 1)
    assert silent.dropped_at is not None
    assert TIMEOUT_S <= silent.dropped_at - silent.pinged_at[0] < TIMEOUT_S + 0.2
    assert other.dropped_at is None


async def test_an_answer_may_take_longer_than_an_interval(autojump_clock: MockClock):
    slow = Socket(answers=False)
    await turned(wheel(ping_interval_ms=1_000), [slow], 5)
    assert len(slow.pinged_at) == 1, "a socket is asked again while its answer is awaited"
    assert slow.dropped_at is None


async def test_a_removed_socket_is_neither_pinged_nor_dropped(autojump_clock: MockClock):
    pinger, gone, stays = wheel(), Socket(answers=False), Socket()
    pinger.add(gone)
    pinger.remove(gone)
    pinger.remove(gone)
    await turned(pinger, [stays], 2.4 * INTERVAL_S)
    assert gone.pinged_at == []
    assert len(stays.pinged_at) == 2


async def test_after_a_long_sleep_every_socket_is_pinged_once(mock_clock: MockClock):
    pinger, socket = wheel(), Socket()
    pinger.add(socket)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pinger.run)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(100 * INTERVAL_S)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert len(socket.pinged_at) == 1


async def test_sockets_that_come_at_the_pace_of_the_wheel_are_spread_too(autojump_clock: MockClock):
    pinger, sockets = wheel(), []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pinger.run)
        for _ in range(2 * SPOKES):
            sockets.append(Socket())
            pinger.add(sockets[-1])
            await trio.sleep(INTERVAL_S / SPOKES)
        await trio.sleep(2 * INTERVAL_S)
        nursery.cancel_scope.cancel()
    last = Counter(round(socket.pinged_at[-1], 1) for socket in sockets)
    assert max(last.values()) <= 10


async def test_a_socket_that_speaks_by_itself_is_not_asked(autojump_clock: MockClock):
    talker, silent = Socket(), Socket()

    async def talk() -> None:
        while True:
            await trio.sleep(INTERVAL_S / 2 - 1)
            talker.heard_at = trio.current_time()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk)
        await turned(wheel(), [talker, silent], 5 * INTERVAL_S)
        nursery.cancel_scope.cancel()
    assert talker.pinged_at == []
    assert len(silent.pinged_at) == 5


async def test_a_socket_that_falls_silent_is_asked_soon(autojump_clock: MockClock):
    socket, pinger = Socket(answers=False), wheel()
    pinger.add(socket)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pinger.run)
        await trio.sleep(2 * INTERVAL_S + 0.1)
        socket.heard_at = fell_silent_at = trio.current_time()
        socket.pinged_at.clear()
        socket.dropped_at = None
        await trio.sleep(3 * INTERVAL_S)
        nursery.cancel_scope.cancel()
    assert socket.dropped_at is not None
    assert TIMEOUT_S <= socket.dropped_at - socket.pinged_at[0] < TIMEOUT_S + 0.2
    assert INTERVAL_S / 2 <= socket.pinged_at[0] - fell_silent_at <= 1.5 * INTERVAL_S + 0.2


async def test_a_socket_that_takes_ticks_is_asked_when_there_are_no_more(autojump_clock: MockClock):
    socket, pinger = Socket(has_ticks=True), wheel()
    async with trio.open_nursery() as nursery:
        pinger.add(socket)
        nursery.start_soon(pinger.run)
        await trio.sleep(5 * INTERVAL_S)
        assert socket.pinged_at == []
        socket.has_ticks = False
        await trio.sleep(INTERVAL_S - 1)
        assert len(socket.pinged_at) == 1
        nursery.cancel_scope.cancel()
