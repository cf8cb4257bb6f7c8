"""A player's game over one or, after a loss, several sockets: when it bets, and when it cashes out."""

import math
from collections.abc import Callable
from typing import Final

import trio
from trio_websocket import WebSocketConnection

from actors.rules.money import multiplier_number
from server.loadtest.plan.plan import ANSWER_S
from server.loadtest.play.attempt import Attempt
from server.loadtest.play.desk import Desk
from server.loadtest.play.seen_round import Promise
from server.loadtest.play.sockets import frame_text, read_frame
from server.loadtest.play.view import LostError, View

LOST_BET_S: Final = 5.0
"""A bet of which nothing is heard for so long after a reconnect never reached the server."""
_PINGS_MAX: Final = 16


class Game:
    """What a player does with what its ``view`` knows. Moments are seconds of trio's clock."""

    def __init__(self, name: str, desk: Desk) -> None:
        self.name = name
        self.view = View(name, desk)
        self._desk = desk
        self._changed = trio.Event()
        self._socket: WebSocketConnection | None = None
        self._order: float | None = None
        self._pings_sent = 0

    @property
    def is_resting(self) -> bool:
        """Whether no round is under way and nothing is owed to the player."""
        return self.view.attempt is None and self._order is None and self.view.pending_minor == 0

    @property
    def has_landed(self) -> bool:
        """Whether no round is under way."""
        return self.view.attempt is None

    @property
    def is_connected(self) -> bool:
        """Whether the player has been welcomed and still sits there."""
        return self._socket is not None

    def take_order(self, due_at: float) -> None:
        """A bet that was due at this moment.

        While this player's last round flew no server could have taken it: it is due when that round would have ended
        with a server that takes no time at all.
        """
        self._order = max(due_at, self.view.free_from)
        self.wake()

    def wake(self) -> None:
        """Something that the game may wait for has changed."""
        self._changed.set()
        self._changed = trio.Event()

    def _stand_up(self) -> None:
        if self._socket is not None:
            self._desk.gauges["connected"] -= 1
        self._socket = None
        self.view.pings.clear()
        if self.view.attempt is not None:
            self.view.attempt.cash_sent_at = None
        order, self._order = self._order, None
        self._desk.note_left(self, order)

    async def ping(self) -> None:
        """Ask for the server's time, if there is a socket that is not stuck."""
        if self._socket is not None and len(self.view.pings) < _PINGS_MAX:
            self._pings_sent += 1
            self.view.pings[self._pings_sent] = trio.current_time()
            await self._send(self._socket, "ping", t=self._pings_sent)

    # Playing.

    async def play(self, socket: WebSocketConnection, token: str, opened_at: float) -> None:
        """Play until the desk closes. Raises ``LostError``, and what a broken socket raises."""
        try:
            await self._send(socket, "hello", session=token)
            await self._until(lambda: self._socket is not None, ANSWER_S, "no_welcome")
            self._desk.measured.took("welcome", trio.current_time() - opened_at)
            await self.ping()
            if self.view.attempt is not None:
                await self._resume(socket, self.view.attempt)
            await self._take_orders(socket)
            await self._until(lambda: self._desk.is_closed, math.inf, "")
        finally:
            # Before the socket is closed: nobody may write to it meanwhile.
            self._stand_up()

    async def _take_orders(self, socket: WebSocketConnection) -> None:
        while True:
            self._desk.note_free(self)
            await self._until(lambda: self._order is not None or self._desk.is_over, math.inf, "")
            if self._order is None:
                return
            due_at, self._order = self._order, None
            await self._bet(socket, due_at)

    async def _bet(self, socket: WebSocketConnection, due_at: float) -> None:
        self.view.bets += 1
        dice, choice = self._desk.dice, self._desk.strategy.choose(self._desk.dice)
        promise = Promise(self.view.next.server_seed_hash, f"{dice.getrandbits(64):016x}", self.view.next.nonce)
        attempt = Attempt(due_at, trio.current_time(), f"bet-{self.view.bets}", choice, promise)
        self.view.attempt = attempt
        self._desk.measured.counts["bets"] += 1
        fields: dict[str, object] = {"amount_minor": self._desk.plan.stake_minor, "client_seed": promise.client_seed}
        if choice.is_automatic and choice.target_hundredths is not None:
            fields["auto_cashout"] = multiplier_number(choice.target_hundredths)
        await self._send(socket, "bet", id=attempt.frame_id, **fields)
        await self._until(lambda: attempt.is_over or attempt.started_at_ms is not None, ANSWER_S, "no_answer")
        await self._land(socket, attempt)

    async def _resume(self, socket: WebSocketConnection, attempt: Attempt) -> None:
        """The round of a socket that was lost: the welcome has told what became of it, or will in a moment."""
        with trio.move_on_after(ANSWER_S if attempt.round_id is not None else LOST_BET_S):
            while not attempt.is_over and attempt.started_at_ms is None:
                await self._changed.wait()
        if not attempt.is_over and attempt.started_at_ms is None:
            self._desk.measured.failed("bet", "lost")
            self.view.over(attempt)
        await self._land(socket, attempt)

    async def _land(self, socket: WebSocketConnection, attempt: Attempt) -> None:
        """From the start of the flight to its end, cashing out when that is due."""
        while not attempt.is_over:
            now = trio.current_time()
            is_due = attempt.cash_due_at is not None and now >= attempt.cash_due_at
            if (is_due or self._desk.is_cutting) and attempt.cash_sent_at is None:
                attempt.was_cut = not is_due
                attempt.cash_due_at = attempt.cash_due_at if is_due else now
                attempt.cash_sent_at = now
                await self._send(socket, "cashout", round_id=attempt.round_id, id=f"out-{attempt.frame_id}")
            latest_at = self._latest_at(attempt)
            if now >= latest_at:
                raise LostError("no_end")
            is_waiting = attempt.cash_sent_at is None and attempt.cash_due_at is not None
            with trio.move_on_at(min(latest_at, attempt.cash_due_at or latest_at) if is_waiting else latest_at):
                await self._changed.wait()

    def _latest_at(self, attempt: Attempt) -> float:
        if attempt.cash_sent_at is not None:
            return attempt.cash_sent_at + ANSWER_S
        assert attempt.started_at_ms is not None
        target = min(attempt.choice.target_hundredths or self._desk.plan.cap_hundredths, self._desk.plan.cap_hundredths)
        return self._desk.server_time.local(attempt.started_at_ms + self.view.curve.reaches_at_ms(target)) + ANSWER_S

    async def _until(self, condition: Callable[[], bool], wait_s: float, code: str) -> None:
        with trio.move_on_after(wait_s):
            while not condition():
                await self._changed.wait()
            return
        raise LostError(code)

    @staticmethod
    async def _send(socket: WebSocketConnection, frame_type: str, **fields: object) -> None:
        with trio.fail_after(ANSWER_S):
            await socket.send_message(frame_text(frame_type, **fields))

    # Frames.

    async def read(self, socket: WebSocketConnection) -> None:
        """Take frames until the socket closes, which raises ``ConnectionClosed``, or says something unknown."""
        while True:
            text = await socket.get_message()
            arrived_at = trio.current_time()
            try:
                frame = read_frame(text)
                self.view.take(frame, arrived_at)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise LostError("bad_frame") from None
            if frame["type"] == "welcome":
                if self._socket is None:
                    self._desk.gauges["connected"] += 1
                self._socket = socket
            if frame["type"] != "tick":
                self.wake()
