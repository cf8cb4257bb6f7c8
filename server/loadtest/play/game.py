"""A player's game over one or, after a loss, several sockets: bets, cash-outs, and what the frames say."""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import trio
from trio_websocket import WebSocketConnection

from actors.rules.growth import GrowthCurve
from actors.rules.money import multiplier_number
from server.loadtest.plan.plan import ANSWER_S
from server.loadtest.play.attempt import Attempt
from server.loadtest.play.desk import Desk
from server.loadtest.play.seen_round import REFUNDED, SETTLED, VOID, Promise
from server.loadtest.play.sockets import frame_text, read_frame

LOST_BET_S: Final = 5.0
"""A bet of which nothing is heard for so long after a reconnect never reached the server."""
_TOO_EARLY_S: Final = 0.3
_PINGS_MAX: Final = 16
_RACES: Final = {"too_late", "no_such_round"}


class LostError(Exception):
    """The connection is of no more use; ``code`` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Game:
    """What a player knows and does. Moments are seconds of trio's clock."""

    def __init__(self, name: str, desk: Desk) -> None:
        self.name = name
        self.balance_minor: int | None = None
        self.pending_minor = 0
        self.has_ended = False
        """The server has ended the session."""
        self._desk = desk
        self._changed = trio.Event()
        self._socket: WebSocketConnection | None = None
        self._order: float | None = None
        self._attempt: Attempt | None = None
        self._curve = GrowthCurve(Decimal(1))
        self._tick_ms = 100
        self._next = Promise("", "", 0)
        self._bets = 0
        self._pings: dict[int, float] = {}
        self._pings_sent = 0
        self._free_from = -math.inf

    @property
    def is_resting(self) -> bool:
        """Whether no round is under way and nothing is owed to the player."""
        return self._attempt is None and self._order is None and self.pending_minor == 0

    @property
    def has_landed(self) -> bool:
        """Whether no round is under way."""
        return self._attempt is None

    @property
    def is_connected(self) -> bool:
        """Whether the player has been welcomed and still sits there."""
        return self._socket is not None

    def take_order(self, due_at: float) -> None:
        """A bet that was due at this moment.

        While this player's last round flew no server could have taken it: it is due when that round would have ended
        with a server that takes no time at all.
        """
        self._order = max(due_at, self._free_from)
        self.wake()

    def wake(self) -> None:
        """Something that the game may wait for has changed."""
        self._changed.set()
        self._changed = trio.Event()

    def _stand_up(self) -> None:
        if self._socket is not None:
            self._desk.gauges["connected"] -= 1
        self._socket = None
        self._pings.clear()
        if self._attempt is not None:
            self._attempt.cash_sent_at = None
        order, self._order = self._order, None
        self._desk.has_left(self, order)

    async def ping(self) -> None:
        """Ask for the server's time, if there is a socket that is not stuck."""
        if self._socket is not None and len(self._pings) < _PINGS_MAX:
            self._pings_sent += 1
            self._pings[self._pings_sent] = trio.current_time()
            await self._send(self._socket, "ping", t=self._pings_sent)

    # Playing.

    async def play(self, socket: WebSocketConnection, token: str, opened_at: float) -> None:
        """Play until the desk closes. Raises ``LostError``, and what a broken socket raises."""
        try:
            await self._send(socket, "hello", session=token)
            await self._until(lambda: self._socket is not None, ANSWER_S, "no_welcome")
            self._desk.measured.took("welcome", trio.current_time() - opened_at)
            await self.ping()
            if self._attempt is not None:
                await self._resume(socket, self._attempt)
            await self._take_orders(socket)
            await self._until(lambda: self._desk.is_closed, math.inf, "")
        finally:
            # Before the socket is closed: nobody may write to it meanwhile.
            self._stand_up()

    async def _take_orders(self, socket: WebSocketConnection) -> None:
        while True:
            self._desk.is_free(self)
            await self._until(lambda: self._order is not None or self._desk.is_over, math.inf, "")
            if self._order is None:
                return
            due_at, self._order = self._order, None
            await self._bet(socket, due_at)

    async def _bet(self, socket: WebSocketConnection, due_at: float) -> None:
        self._bets += 1
        dice, choice = self._desk.dice, self._desk.strategy.choose(self._desk.dice)
        promise = Promise(self._next.server_seed_hash, f"{dice.getrandbits(64):016x}", self._next.nonce)
        attempt = Attempt(due_at, trio.current_time(), f"bet-{self._bets}", choice, promise)
        self._attempt = attempt
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
            self._over(attempt)
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
        return self._local(attempt.started_at_ms + self._curve.reaches_at_ms(target)) + ANSWER_S

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

    def _local(self, server_ms: int) -> float:
        return self._desk.server_time.local(server_ms)

    # Frames.

    async def read(self, socket: WebSocketConnection) -> None:
        """Take frames until the socket closes, which raises ``ConnectionClosed``, or says something unknown."""
        while True:
            text = await socket.get_message()
            arrived_at = trio.current_time()
            try:
                self._take(read_frame(text), arrived_at, socket)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise LostError("bad_frame") from None

    def _take(self, frame: dict[str, Any], arrived_at: float, socket: WebSocketConnection) -> None:
        if frame["type"] == "tick":
            self._on_tick(frame, arrived_at)
            return
        match frame["type"]:
            case "welcome":
                self._on_welcome(frame, arrived_at, socket)
            case "bet_pending":
                self._on_pending(frame, arrived_at)
            case "round_started":
                self._on_started(frame, arrived_at)
            case "round_ended":
                self._next = _promise(frame["next"])
                self._on_ended(frame, arrived_at)
                # Said by the balance that follows: until then the player must not be taken for one who has it all.
                self.pending_minor = max(self.pending_minor, _owed_minor(frame))
            case "balance":
                self.balance_minor, self.pending_minor = int(frame["balance_minor"]), int(frame["pending_minor"])
            case "pong":
                self._on_pong(frame, arrived_at)
            case "error":
                self._on_error(frame)
            case "session_ended":
                self.has_ended = frame["reason"] != "shutdown"
                if not self._desk.is_closed:
                    self._desk.measured.failed("session", str(frame["reason"]))
        self.wake()

    def _on_tick(self, frame: dict[str, Any], arrived_at: float) -> None:
        attempt = self._attempt
        if attempt is None or attempt.started_at_ms is None:
            return
        elapsed_ms, measured = int(frame["e"]), self._desk.measured
        measured.took("tick", arrived_at - self._local(attempt.started_at_ms + elapsed_ms))
        # What a skipped tick would have shown is known only now: else a server that stalls would have no late ticks.
        if attempt.last_tick_ms is not None:
            for skipped_ms in range(elapsed_ms - self._tick_ms, attempt.last_tick_ms, -self._tick_ms):
                measured.took("tick", arrived_at - self._local(attempt.started_at_ms + skipped_ms))
                measured.counts["ticks_skipped"] += 1
        attempt.last_tick_ms = elapsed_ms

    def _on_welcome(self, frame: dict[str, Any], arrived_at: float, socket: WebSocketConnection) -> None:
        if self._socket is None:
            self._desk.gauges["connected"] += 1
        self._socket = socket
        self._curve = GrowthCurve(Decimal(str(frame["growth"]["rate_per_ms"])))
        self._tick_ms = max(1, int(frame["tick_ms"]))
        self.balance_minor, self.pending_minor = int(frame["balance_minor"]), int(frame["pending_minor"])
        attempt, self._next = self._attempt, _promise(frame["next"])
        if attempt is None:
            return
        flying = frame["round"]
        if flying is not None and flying["nonce"] == attempt.promise.nonce:
            self._on_started(flying, arrived_at)
        for entry in frame["history"]:
            # The history is the player's, also of other sessions: only the promise tells which one is meant.
            if entry["server_seed_hash"] == attempt.promise.server_seed_hash:
                self._on_ended(entry, None)

    def _on_pending(self, frame: dict[str, Any], arrived_at: float) -> None:
        if self._attempt is not None and self._attempt.round_id is None:
            self._attempt.round_id = str(frame["round_id"])
            self._desk.measured.took("bet_stored", arrived_at - self._attempt.due_at)

    def _on_started(self, frame: dict[str, Any], arrived_at: float) -> None:
        attempt = self._attempt
        if attempt is None or attempt.started_at_ms is not None or frame["nonce"] != attempt.promise.nonce:
            return
        attempt.round_id = str(frame["round_id"])
        self.balance_minor = int(frame["balance_minor"])
        if not self._desk.server_time.is_known:
            raise LostError("no_pong")
        attempt.has_started(int(frame["started_at"]), self._curve, self._desk.server_time)
        self._desk.gauges["flying"] += 1
        self._desk.measured.took("bet", arrived_at - attempt.due_at)
        self._desk.measured.took("bet_service", arrived_at - attempt.sent_at)

    def _on_ended(self, frame: dict[str, Any], arrived_at: float | None) -> None:
        """A round's end; ``arrived_at`` is ``None`` if it was read in the history after a loss."""
        attempt = self._attempt
        if attempt is None or frame["nonce"] != attempt.promise.nonce:
            return
        attempt.ended = frame
        if "balance_minor" in frame:
            self.balance_minor = int(frame["balance_minor"])
        seen = attempt.see(self.name, self._desk.plan.stake_minor, self._desk.plan.cap_hundredths)
        self._desk.seen.append(seen)
        measured = self._desk.measured
        measured.counts["rounds"] += 1
        measured.counts["cut"] += attempt.was_cut and seen.result != "crash"
        if seen.status != SETTLED:
            measured.failed("bet" if seen.status == VOID else "round", str(frame["reason"]))
        landed_at = attempt.landed_at(seen, self._curve, self._desk.server_time)
        flight_s = 0.0
        if landed_at is not None and attempt.started_at_ms is not None:
            flight_s = landed_at - self._local(attempt.started_at_ms)
            if arrived_at is not None:
                attempt.measure(seen, landed_at, arrived_at, measured)
        self._free_from = attempt.due_at + flight_s
        self._over(attempt)

    def _over(self, attempt: Attempt) -> None:
        if attempt.started_at_ms is not None:
            self._desk.gauges["flying"] -= 1
        attempt.is_over = True
        self._attempt = None

    def _on_pong(self, frame: dict[str, Any], arrived_at: float) -> None:
        sent_at = self._pings.pop(int(frame["t"]), None)
        if sent_at is not None:
            self._desk.measured.took("round_trip", arrived_at - sent_at)
            self._desk.server_time.heard(sent_at, arrived_at, int(frame["server_time"]))

    def _on_error(self, frame: dict[str, Any]) -> None:
        attempt, code, frame_id = self._attempt, str(frame["code"]), frame.get("id")
        if frame_id == f"bet-{self._bets}":
            if attempt is not None:  # otherwise the round has been told as void with this very code
                self._desk.measured.failed("bet", code)
                self._free_from = attempt.due_at
                self._over(attempt)
        elif code in _RACES:
            self._desk.measured.counts["too_late"] += 1
        elif code == "too_early" and attempt is not None:
            attempt.cash_due_at, attempt.cash_sent_at = trio.current_time() + _TOO_EARLY_S, None
        else:
            self._desk.measured.failed("socket", code)


def _owed_minor(ended: dict[str, Any]) -> int:
    """What the player gets at a round's end."""
    if ended["status"] == SETTLED:
        return int(ended["payout_minor"])
    return int(ended["amount_minor"]) if ended["status"] == REFUNDED else 0


def _promise(fields: dict[str, Any]) -> Promise:
    return Promise(str(fields["server_seed_hash"]), str(fields["client_seed"]), int(fields["nonce"]))
