"""A simulated player: launches a session, keeps a socket to it, and bets when the desk says so."""

from typing import Final

import trio
from trio_websocket import ConnectionClosed, HandshakeError

from server.loadtest.plan.plan import ANSWER_S
from server.loadtest.play.desk import Desk
from server.loadtest.play.game import Game
from server.loadtest.play.operator_api import ApiError
from server.loadtest.play.sockets import player_socket
from server.loadtest.play.view import LostError

_AGAIN_S_FIRST: Final = 0.2
_AGAIN_S_MAX: Final = 3.0
LOSSES: Final = (
    LostError,
    HandshakeError,
    ConnectionClosed,
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
)
"""What a socket that is lost may raise."""


class Player:
    def __init__(self, name: str, launch_due_at: float, desk: Desk) -> None:
        self.game = Game(name, desk)
        self._launch_due_at = launch_due_at
        self._desk = desk

    async def run(self) -> None:
        """Play until the desk closes, or the session is no more."""
        await trio.sleep_until(self._launch_due_at)
        token = None if self._desk.is_over else await self._launch()
        again_s = _AGAIN_S_FIRST
        while token is not None:
            opened_at = trio.current_time()
            await self._sit_down(token)
            if self._desk.is_closed or self.game.view.has_ended or (self._desk.is_over and self.game.is_resting):
                return
            self._desk.measured.counts["reconnects"] += 1
            was_long = trio.current_time() - opened_at > _AGAIN_S_MAX
            again_s = _AGAIN_S_FIRST if was_long else min(again_s * 2, _AGAIN_S_MAX)
            await trio.sleep(again_s)

    async def _launch(self) -> str | None:
        """The session's token; ``None`` if there is none to be had. Launches are repeated when the server says so."""
        plan, deadline_at = self._desk.plan, self._launch_due_at + 2 * ANSWER_S
        while True:
            try:
                launched = await self._desk.api.launch(self.game.name, plan.currency, plan.balance_minor, plan.ttl_s)
            except ApiError as error:
                self._desk.measured.failed("launch", error.code)
                wait_s = error.retry_after_s
                if wait_s is None or trio.current_time() + wait_s > deadline_at or self._desk.is_over:
                    return None
                await trio.sleep(wait_s)
                continue
            self._desk.measured.took("launch", trio.current_time() - self._launch_due_at)
            self._desk.measured.counts["launched"] += 1
            return launched.token

    async def _sit_down(self, token: str) -> None:
        """One connection, from its opening to its loss or the end of the run."""
        opened_at = trio.current_time()
        try:
            async with player_socket(self._desk.target) as socket, trio.open_nursery() as nursery:
                nursery.start_soon(self.game.read, socket)
                await self.game.play(socket, token, opened_at)
                nursery.cancel_scope.cancel()
        except* LOSSES as group:
            if not self._desk.is_closed and not self.game.view.has_ended:
                self._desk.measured.failed("socket", _code_of(group))


def _code_of(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case LostError():
            return error.code
        case HandshakeError():
            return "handshake"
        case ConnectionClosed():
            return f"closed_{error.reason.code}" if error.reason is not None else "closed"
        case trio.TooSlowError():
            return "timeout"
        case _:
            return "no_connection"
