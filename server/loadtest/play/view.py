"""What a player knows: what the frames have said so far, and what was measured by their arrival."""

import math
from decimal import Decimal
from typing import Any, Final

import trio

from actors.rules.growth import GrowthCurve
from server.loadtest.play.attempt import Attempt
from server.loadtest.play.desk import Desk
from server.loadtest.play.seen_round import REFUNDED, SETTLED, VOID, Promise

_TOO_EARLY_S: Final = 0.3
_RACES: Final = {"too_late", "no_such_round"}


class LostError(Exception):
    """The connection is of no more use; ``code`` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class View:
    """Moments are seconds of trio's clock."""

    def __init__(self, name: str, desk: Desk) -> None:
        self.balance_minor: int | None = None
        self.pending_minor = 0
        self.has_ended = False
        """The server has ended the session."""
        self.next = Promise("", "", 0)
        """Under which the next bet is placed."""
        self.attempt: Attempt | None = None
        """The bet that is under way, until its round is over."""
        self.bets = 0
        """How many were sent; the last one's frame had this number."""
        self.curve = GrowthCurve(Decimal(1))
        self.free_from = -math.inf
        """When the last round would have ended with a server that takes no time at all."""
        self.pings: dict[int, float] = {}
        """When those were sent that were not answered yet."""
        self._name = name
        self._desk = desk
        self._tick_ms = 100

    def take(self, frame: dict[str, Any], arrived_at: float) -> None:
        """Learn what a frame says. Raises ``KeyError``, ``TypeError``, ``ValueError`` for what is no such frame."""
        match frame["type"]:
            case "tick":
                self._on_tick(frame, arrived_at)
            case "welcome":
                self._on_welcome(frame, arrived_at)
            case "bet_pending":
                self._on_pending(frame, arrived_at)
            case "round_started":
                self._on_started(frame, arrived_at)
            case "round_ended":
                self.next = _promise(frame["next"])
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

    def _on_tick(self, frame: dict[str, Any], arrived_at: float) -> None:
        attempt = self.attempt
        if attempt is None or attempt.started_at_ms is None:
            return
        elapsed_ms, measured = int(frame["e"]), self._desk.measured
        measured.took("tick", arrived_at - self._desk.server_time.local(attempt.started_at_ms + elapsed_ms))
        # What a skipped tick would have shown is known only now: else a server that stalls would have no late ticks.
        if attempt.last_tick_ms is not None:
            for skipped_ms in range(elapsed_ms - self._tick_ms, attempt.last_tick_ms, -self._tick_ms):
                measured.took("tick", arrived_at - self._desk.server_time.local(attempt.started_at_ms + skipped_ms))
                measured.counts["ticks_skipped"] += 1
        attempt.last_tick_ms = elapsed_ms

    def _on_welcome(self, frame: dict[str, Any], arrived_at: float) -> None:
        self.curve = GrowthCurve(Decimal(str(frame["growth"]["rate_per_ms"])))
        self._tick_ms = max(1, int(frame["tick_ms"]))
        self.balance_minor, self.pending_minor = int(frame["balance_minor"]), int(frame["pending_minor"])
        attempt, self.next = self.attempt, _promise(frame["next"])
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
        if self.attempt is not None and self.attempt.round_id is None:
            self.attempt.round_id = str(frame["round_id"])
            self._desk.measured.took("bet_stored", arrived_at - self.attempt.due_at)

    def _on_started(self, frame: dict[str, Any], arrived_at: float) -> None:
        attempt = self.attempt
        if attempt is None or attempt.started_at_ms is not None or frame["nonce"] != attempt.promise.nonce:
            return
        attempt.round_id = str(frame["round_id"])
        self.balance_minor = int(frame["balance_minor"])
        if not self._desk.server_time.is_known:
            raise LostError("no_pong")
        attempt.note_start(int(frame["started_at"]), self.curve, self._desk.server_time)
        self._desk.gauges["flying"] += 1
        self._desk.measured.took("bet", arrived_at - attempt.due_at)
        self._desk.measured.took("bet_service", arrived_at - attempt.sent_at)

    def _on_ended(self, frame: dict[str, Any], arrived_at: float | None) -> None:
        """A round's end; ``arrived_at`` is ``None`` if it was read in the history after a loss."""
        attempt = self.attempt
        if attempt is None or frame["nonce"] != attempt.promise.nonce:
            return
        attempt.ended = frame
        if "balance_minor" in frame:
            self.balance_minor = int(frame["balance_minor"])
        seen = attempt.see(self._name, self._desk.plan.stake_minor, self._desk.plan.cap_hundredths)
        self._desk.seen.append(seen)
        measured = self._desk.measured
        measured.counts["rounds"] += 1
        measured.counts["cut"] += attempt.was_cut and seen.result != "crash"
        if seen.status != SETTLED:
            measured.failed("bet" if seen.status == VOID else "round", str(frame["reason"]))
        landed_at = attempt.landed_at(seen, self.curve, self._desk.server_time)
        flight_s = 0.0
        if landed_at is not None and attempt.started_at_ms is not None:
            flight_s = landed_at - self._desk.server_time.local(attempt.started_at_ms)
            if arrived_at is not None:
                attempt.measure(seen, landed_at, arrived_at, measured)
        self.free_from = attempt.due_at + flight_s
        self.over(attempt)

    def over(self, attempt: Attempt) -> None:
        """The round has ended, or the bet was refused or is lost."""
        if attempt.started_at_ms is not None:
            self._desk.gauges["flying"] -= 1
        attempt.is_over = True
        self.attempt = None

    def _on_pong(self, frame: dict[str, Any], arrived_at: float) -> None:
        sent_at = self.pings.pop(int(frame["t"]), None)
        if sent_at is not None:
            self._desk.measured.took("round_trip", arrived_at - sent_at)
            self._desk.server_time.heard(sent_at, arrived_at, int(frame["server_time"]))

    def _on_error(self, frame: dict[str, Any]) -> None:
        attempt, code, frame_id = self.attempt, str(frame["code"]), frame.get("id")
        if frame_id == f"bet-{self.bets}":
            if attempt is not None:  # otherwise the round has been told as void with this very code
                self._desk.measured.failed("bet", code)
                self.free_from = attempt.due_at
                self.over(attempt)
        elif code in _RACES:
            self._desk.measured.counts["too_late"] += 1
        elif code == "too_early" and attempt is not None:
            attempt.cash_due_at, attempt.cash_sent_at = trio.current_time() + _TOO_EARLY_S, None
        else:
            self._desk.measured.failed("socket", code)


def _owed_minor(ended: dict[str, Any]) -> int:
    if ended["status"] == SETTLED:
        return int(ended["payout_minor"])
    return int(ended["amount_minor"]) if ended["status"] == REFUNDED else 0


def _promise(fields: dict[str, Any]) -> Promise:
    return Promise(str(fields["server_seed_hash"]), str(fields["client_seed"]), int(fields["nonce"]))
