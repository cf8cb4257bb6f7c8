"""The life of a player's socket: handshake, first frame, frames and pings, farewell."""

import logging
from dataclasses import dataclass
from typing import Protocol

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from actors.facts.error_texts import words
from actors.facts.frames_out import ErrorOut, WaitOut, encode
from actors.kit.clock import ServerClock
from actors.play.door import Door
from actors.play.lobby import Lobby
from server.edge.player.pinger import Pinger
from server.edge.player.player_sink import (
    CLOSE_GOING_AWAY,
    CLOSE_PROTOCOL_ERROR,
    CLOSE_TOO_LARGE,
    CLOSE_TRY_AGAIN,
    SocketSink,
)
from server.edge.player.player_stream import CLOSE_INTERNAL_ERROR, CLOSE_POLICY, PlayerStream
from server.edge.settings import EdgeSettings
from server.edge.wire.budgets import Budget
from server.edge.wire.unsent import Unsent

log = logging.getLogger("getaway.edge")

ABUSE_BURSTS = 10
"""So many bursts of refused messages close the socket."""
RECEIVE_BYTES = 4_096
_FAILURES = frozenset({1003, 1007, 1009})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerPort:
    """What all players' sockets of a port share."""

    lobby: Lobby
    clock: ServerClock
    settings: EdgeSettings
    pinger: Pinger
    unsent: Unsent


class PlayerPlace(Protocol):
    """What a player's socket has among the other connections of its port."""

    async def hello_turn(self) -> None:
        """Wait until a hello may be looked at, which costs more than a request. Raises ``trio.TooSlowError``."""
        ...

    def entered(self) -> None: ...

    @property
    def is_crowded(self) -> bool:
        """Whether the places that are left are for those who were here."""
        ...


class PlayerSocket:
    """One player's socket on a stream whose unread bytes begin with the upgrade request, already judged.

    It is one task, beside the library's own: whatever has to wait to be written has a task for so long.
    """

    __slots__ = ("_lobby", "_messages", "_pinger", "_place", "_refusals", "_settings", "_sink", "_stream")

    def __init__(self, stream: PlayerStream, port: PlayerPort, place: PlayerPlace) -> None:
        settings = port.settings
        self._place = place
        self._stream = stream
        self._lobby = port.lobby
        self._settings = settings
        self._pinger = port.pinger
        self._sink = SocketSink(stream, settings, port.unsent)
        self._messages = Budget(settings.messages_per_second, settings.messages_burst)
        self._refusals = Budget(settings.messages_per_second, settings.messages_burst * ABUSE_BURSTS)

    @property
    def end(self) -> str:
        """Why the socket ended, one of a few words."""
        return self._sink.end

    @property
    def heard_at(self) -> float:
        """When bytes last came, by trio's clock."""
        return self._stream.heard_at

    def takes_ticks(self) -> bool:
        return self._sink.outlet.takes_ticks

    def ping(self) -> None:
        self._sink.ping()

    def drop(self) -> None:
        """See ``Pinged``: a client from which nothing comes, a pong or anything else, is gone."""
        self._sink.end = "no_pong"
        self._stream.cut()

    def go_away(self) -> None:
        """The server stops: close the socket after what is queued was written."""
        self._sink.close(CLOSE_GOING_AWAY, "shutdown")

    async def run(self) -> None:
        """Serve the socket to its end. Raises, in groups, what a broken client makes the library raise."""
        try:
            async with trio.open_nursery() as nursery:
                websocket = await self._shake_hands(nursery)
                if websocket is not None:
                    self._sink.open(nursery, websocket)
                    self._stream.when_closed(self._sink.lost)
                    await self._read(websocket, nursery)
                    await self._sink.over()
                nursery.cancel_scope.cancel()
        finally:
            self._sink.lost()  # However it came to this: whoever still has news or ticks for it must not start a task.
            with trio.CancelScope(shield=True):
                await self._stream.linger(self._settings.close_timeout_ms / 1000)

    async def _shake_hands(self, nursery: trio.Nursery) -> WebSocketConnection | None:
        with trio.move_on_after(self._settings.hello_timeout_ms / 1000) as scope:
            # The library tells nobody when it refuses a handshake, it only closes the stream.
            self._stream.when_closed(scope.cancel)
            request = await wrap_server_stream(
                nursery, self._stream, 1, self._settings.message_bytes_max, RECEIVE_BYTES
            )
            websocket = await request.accept()
            self._stream.open(lambda: _failure_code(websocket))
            return websocket
        self._sink.end = "handshake"
        return None

    async def _read(self, websocket: WebSocketConnection, nursery: trio.Nursery) -> None:
        """Everything that the player says, until it or the server closes."""
        door: Door | None = None
        try:
            door = await self._enter(websocket, nursery)
            if door is not None:
                self._pinger.add(self)
                await self._deliver_all(websocket, door)
            while True:  # the closing handshake is read behind whatever the player still says
                await self._message(websocket)
        except ConnectionClosed:
            if not self._sink.is_closing:
                self._sink.end = self._stream.abuse or self._sink.end
                self._sink.lost()
        finally:
            self._pinger.remove(self)
            if door is not None:
                door.leave()

    async def _enter(self, websocket: WebSocketConnection, nursery: trio.Nursery) -> Door | None:
        hello: bytes | None = None
        with trio.move_on_after(self._settings.hello_timeout_ms / 1000):
            message, _ = await self._message(websocket)
            hello = self._text(message)
        if hello is None:
            if not self._sink.is_closing:
                message = "The first frame must be `hello`, as text and in time."
                self._refuse("unauthorized", message, CLOSE_POLICY, "no_hello")
            return None
        waiting = trio.CancelScope()
        nursery.start_soon(self._ask_for_patience, waiting)
        try:
            return await self._enter_in_turn(hello)
        finally:
            waiting.cancel()

    async def _ask_for_patience(self, waiting: trio.CancelScope) -> None:
        """Thousands may come back at once: whoever gives up and begins anew comes behind them all."""
        with waiting:
            while True:
                await trio.sleep(self._settings.wait_told_ms / 1000)
                self._sink.send(encode(WaitOut(ms=self._settings.enter_timeout_ms)))

    async def _enter_in_turn(self, hello: bytes) -> Door | None:
        await self._place.hello_turn()
        if self._place.is_crowded and not self._lobby.was_here(hello):
            self._refuse("rate_limited", words("rate_limited"), CLOSE_TRY_AGAIN, "crowded")
            return None
        with trio.move_on_after(self._settings.enter_timeout_ms / 1000):
            door = await self._lobby.enter(hello, self._sink)
            if door is not None:
                self._place.entered()
            return door
        log.warning("the lobby did not answer a socket in time")
        self._sink.close(CLOSE_TRY_AGAIN, "enter_timeout")
        return None

    async def _deliver_all(self, websocket: WebSocketConnection, door: Door) -> None:
        while not self._sink.is_closing:
            message, received_at_ms = await self._message(websocket)
            self._deliver(door, message, received_at_ms)

    async def _message(self, websocket: WebSocketConnection) -> tuple[str | bytes, int]:
        """The next one, and when it was received: the library may have kept it waiting while others ran."""
        message = await websocket.get_message()
        return message, self._stream.take_receipt_ms()

    def _deliver(self, door: Door, message: str | bytes, received_at_ms: int) -> None:
        text = self._text(message)
        if self._sink.is_closing:
            return
        if self._messages.take():
            if text is None:
                self._say("bad_message", "Messages are JSON text, not binary.")
            else:
                door.deliver(text, received_at_ms)
        elif self._refusals.take():
            self._say("rate_limited", words("rate_limited"))
        else:
            self._refuse("rate_limited", words("rate_limited"), CLOSE_POLICY, "flood")

    def _text(self, message: str | bytes) -> bytes | None:
        """The message as UTF-8; ``None`` if it is none, or closes the socket."""
        if isinstance(message, bytes):
            return None
        text = message.encode("utf-8")
        if len(text) > self._settings.message_bytes_max:  # the library counts characters
            self._sink.close(CLOSE_TOO_LARGE, "too_large")
            return None
        return text

    def _refuse(self, code: str, message: str, close_code: int, end: str) -> None:
        self._say(code, message)
        self._sink.close(close_code, end)

    def _say(self, code: str, message: str) -> None:
        self._sink.send(encode(ErrorOut(code=code, message=message)))


def _failure_code(websocket: WebSocketConnection) -> int:
    """What the library found wrong with the client's frames; else something is wrong on our side."""
    found = websocket.closed
    if found is None:
        return CLOSE_INTERNAL_ERROR
    return found.code if found.code in _FAILURES else CLOSE_PROTOCOL_ERROR
