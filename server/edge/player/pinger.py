"""The pinger: one task that pings the silent ones of a port's players and drops those from which nothing comes.

A ping and its answer cost as much as twenty ticks, and a page that is looked at speaks every few seconds by itself.
"""

from typing import Final, Protocol

import trio

from server.edge.settings import EdgeSettings

SPOKES: Final = 200
"""Sockets that came together are pinged in so many portions: thousands of pings and their answers at one moment would
hold up everybody's frames."""

LOOK_S_MIN: Final = 0.01
"""The shortest time between two looks, however short the interval is."""


class Pinged(Protocol):
    """A socket that can be asked whether somebody is there."""

    @property
    def heard_at(self) -> float:
        """When bytes last came, by trio's clock."""

    def takes_ticks(self) -> bool:
        """Whether there are any, and the client reads them."""

    def ping(self) -> None:
        """Ask for a pong, without waiting for it."""

    def drop(self) -> None:
        """Nobody is there: cut it."""


class Pinger:
    """A wheel that turns once in a ping interval. Each socket is put on the emptiest spoke of the half that was pinged
    last, so its turn comes half an interval after its coming at the earliest, and a whole one at the latest.

    A socket that was heard within half an interval before its turn is not asked, nor one that took ticks since its last
    turn: if nobody is there, they pile up, and who does not take what is sent is dropped. So one is asked two intervals
    after its last word or tick at the latest."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._interval_s = settings.ping_interval_ms / 1000
        self._timeout_s = settings.ping_timeout_ms / 1000
        self._look_s = max(min(self._interval_s / SPOKES, self._timeout_s / 20), LOOK_S_MIN)
        self._spokes: list[dict[Pinged, None]] = [{} for _ in range(SPOKES)]
        self._spoke_of: dict[Pinged, dict[Pinged, None]] = {}
        self._passed = 0
        self._asked: dict[Pinged, float] = {}
        """When each socket was last asked, the longest ago first."""

    def add(self, socket: Pinged) -> None:
        """Look after the socket once in each interval from now on, until ``remove``."""
        passed_last = (self._spokes[(self._passed - back) % SPOKES] for back in range(1, SPOKES // 2 + 1))
        spoke = min(passed_last, key=len)
        self._spoke_of[socket] = spoke
        spoke[socket] = None

    def remove(self, socket: Pinged) -> None:
        """The socket has ended; harmless if it was never added."""
        self._asked.pop(socket, None)
        spoke = self._spoke_of.pop(socket, None)
        if spoke is not None:
            del spoke[socket]

    async def run(self) -> None:
        began_at = trio.current_time()
        while True:
            await trio.sleep(self._look_s)
            now = trio.current_time()
            self._drop_silent(now)
            due = int((now - began_at) / self._interval_s * SPOKES)
            # After a pause of more than a turn, as of a machine that slept, one turn is enough.
            for number in range(max(self._passed, due - SPOKES), due):
                self._ping_all(self._spokes[number % SPOKES], now)
            self._passed = due

    def _drop_silent(self, now: float) -> None:
        while self._asked:
            socket, asked_at = next(iter(self._asked.items()))
            if asked_at > now - self._timeout_s:
                return
            del self._asked[socket]
            if socket.heard_at < asked_at:
                socket.drop()

    def _ping_all(self, spoke: dict[Pinged, None], now: float) -> None:
        heard_lately_at = now - self._interval_s / 2
        for socket in list(spoke):
            asked_at = self._asked.get(socket)
            if asked_at is not None and socket.heard_at < asked_at:
                continue  # Its answer is still awaited: the timeout is longer than the interval.
            if socket.takes_ticks() or socket.heard_at > heard_lately_at:
                continue
            self._asked.pop(socket, None)
            self._asked[socket] = now
            socket.ping()
