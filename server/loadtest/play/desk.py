"""What the players of one process share: the bets that are due, the clocks, the dice, and what was measured."""

import random
from collections import Counter, deque
from collections.abc import Iterable
from enum import IntEnum
from typing import Protocol

from server.loadtest.figures.measurements import Measurements
from server.loadtest.plan.plan import WorkerPlan
from server.loadtest.plan.quantities import Target
from server.loadtest.plan.strategy import Strategy
from server.loadtest.play.operator_api import OperatorApi
from server.loadtest.play.seen_round import SeenRound
from server.loadtest.play.server_time import ServerTime

WAITING_PER_PLAYER: int = 2
"""So many bets per player may wait for a free one; what is due above that is skipped, and counted."""


class Seat(Protocol):
    """A player, as the desk knows it."""

    def take_order(self, due_at: float) -> None:
        """A bet that was due at this moment."""

    def wake(self) -> None:
        """Something that the player may wait for has changed."""


class Phase(IntEnum):
    """A run goes through these in their order."""

    BETTING = 1
    LANDING = 2
    CUTTING = 3
    CLOSED = 4


class Desk:
    """Hands bets out to free players. Moments are seconds of trio's clock."""

    def __init__(self, plan: WorkerPlan, target: Target, strategy: Strategy, api: OperatorApi) -> None:
        self.plan = plan
        self.target = target
        self.strategy = strategy
        self.api = api
        self.dice = random.Random(plan.seed)  # noqa: S311 - to be repeated
        self.server_time = ServerTime()
        self.measured = Measurements()
        self.seen: list[SeenRound] = []
        self.gauges: Counter[str] = Counter()
        self.phase = Phase.BETTING
        self._free: deque[Seat] = deque()
        self._waiting: deque[float] = deque()

    @property
    def is_over(self) -> bool:
        """Whether no more bets are sent."""
        return self.phase >= Phase.LANDING

    @property
    def is_cutting(self) -> bool:
        """Whether what still flies is cashed out."""
        return self.phase >= Phase.CUTTING

    @property
    def is_closed(self) -> bool:
        return self.phase >= Phase.CLOSED

    def offer_bet(self, due_at: float) -> None:
        """A bet is due: give it to a free player, or let it wait for one."""
        if self._free:
            self._free.popleft().take_order(due_at)
        elif len(self._waiting) < WAITING_PER_PLAYER * len(self.plan.players):
            self.measured.counts["waited"] += 1
            self._waiting.append(due_at)
        else:
            self.measured.counts["skipped"] += 1

    def note_free(self, seat: Seat) -> None:
        """A player without a round: gets the bet that waits for longest, or waits itself."""
        if self._waiting and not self.is_over:
            seat.take_order(self._waiting.popleft())
        else:
            self._free.append(seat)

    def note_left(self, seat: Seat, due_at: float | None) -> None:
        """A player who can't bet any more, and the bet that it was given and did not send."""
        if seat in self._free:
            self._free.remove(seat)
        if due_at is not None and not self.is_over:
            self.offer_bet(due_at)

    def stop_betting(self, seats: Iterable[Seat]) -> None:
        """From now on rounds only land. Bets that still wait for a free player are counted as skipped."""
        self.phase = Phase.LANDING
        self.measured.counts["skipped"] += len(self._waiting)
        self._waiting.clear()
        self._wake(seats)

    def cut(self, seats: Iterable[Seat]) -> None:
        """Cash out whatever still flies."""
        self.phase = Phase.CUTTING
        self._wake(seats)

    def close(self, seats: Iterable[Seat]) -> None:
        self.phase = Phase.CLOSED
        self._wake(seats)

    def collect(self) -> tuple[Measurements, list[SeenRound]]:
        """What was measured and seen since this was asked for."""
        measured, self.measured = self.measured, Measurements()
        seen, self.seen = self.seen, []
        return measured, seen

    @staticmethod
    def _wake(seats: Iterable[Seat]) -> None:
        for seat in seats:
            seat.wake()
