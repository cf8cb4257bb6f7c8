"""The pinger: one task that pings all players' sockets of a port and drops those from which nothing comes."""

from typing import Final, Protocol

import trio

from server.edge.settings import EdgeSettings

STEPS: Final = 20
"""So many looks fit into the shorter one of interval and timeout: by one look a ping or a drop may be late."""


class Pinged(Protocol):
    """A socket that can be asked whether somebody is there."""

    @property
    def heard_at(self) -> float:
        """When bytes last came, by trio's clock."""
        ...

    def ping(self) -> None:
        """Ask. Does not wait."""
        ...

    def drop(self) -> None:
        """Nobody is there: cut it."""
        ...


class Pinger:
    """Keeps two queues in the order of time, since all sockets have the same interval and timeout."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._interval_s = settings.ping_interval_ms / 1000
        self._timeout_s = settings.ping_timeout_ms / 1000
        self._due: dict[Pinged, float] = {}
        self._asked: dict[Pinged, float] = {}

    def add(self, socket: Pinged) -> None:
        """Ping the socket at intervals from now on, until ``remove``."""
        self._due[socket] = trio.current_time() + self._interval_s

    def remove(self, socket: Pinged) -> None:
        """The socket has ended; harmless if it was never added."""
        self._due.pop(socket, None)
        self._asked.pop(socket, None)

    async def run(self) -> None:
        """Ping for ever."""
        while True:
            await trio.sleep(min(self._interval_s, self._timeout_s) / STEPS)
            self._look(trio.current_time())

    def _look(self, now: float) -> None:
        for socket in _until(self._asked, now - self._timeout_s):
            asked_at = self._asked.pop(socket)
            if socket.heard_at >= asked_at:
                self._due[socket] = asked_at + self._interval_s
            else:
                socket.drop()
        for socket in _until(self._due, now):
            del self._due[socket]
            self._asked[socket] = now
            socket.ping()


def _until(times: dict[Pinged, float], last: float) -> list[Pinged]:
    found = []
    for socket, at in times.items():
        if at > last:
            break
        found.append(socket)
    return found
