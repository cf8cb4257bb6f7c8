"""What processes of players tell, each second, and all of it added up. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from server.loadtest.compare.comparison import LastBalance
from server.loadtest.figures.measurements import Measurements
from server.loadtest.play.seen_round import SeenRound

INTERVALS_MAX: Final = 300


@dataclass(slots=True)
class Interval:
    """A piece of the run: what was measured in it, and how many players sat and flew at its end."""

    measured: Measurements = field(default_factory=Measurements)
    connected: int = 0
    flying: int = 0


@dataclass(slots=True)
class Clock:
    """How far the server's clock is ahead of this machine's, in seconds, and how wrong that may be."""

    ahead_s: float
    uncertainty_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """A process's last word: what its players were told last, and how many rounds have not ended."""

    balances: tuple[LastBalance, ...]
    unfinished: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What a process of players tells its parent each second; ``done`` with the last one. ``clock`` as far as known."""

    measured: Measurements
    gauges: dict[str, int]
    rounds: list[SeenRound]
    clock: Clock | None = None
    done: Done | None = None


class Heard:
    """Everything that was told, and when. Moments are seconds from the start."""

    def __init__(self, duration_s: float) -> None:
        self.interval_s = max(1.0, duration_s / INTERVALS_MAX)
        self.measured = Measurements()
        self.intervals: list[Interval] = []
        self.seen: list[SeenRound] = []
        self.balances: list[LastBalance] = []
        self.unfinished = 0
        self.clock: Clock | None = None
        self._gauges: dict[int, Counter[str]] = {}

    def take(self, process: int, beat: Beat, now_s: float) -> None:
        """A beat of one process."""
        self._gauges[process] = Counter(beat.gauges)
        self._add(beat.measured, now_s)
        self.seen += beat.rounds
        if beat.clock and (self.clock is None or beat.clock.uncertainty_s <= self.clock.uncertainty_s):
            self.clock = beat.clock
        if beat.done:
            self.balances += beat.done.balances
            self.unfinished += beat.done.unfinished

    def _add(self, measured: Measurements, now_s: float) -> None:
        self.measured.merge(measured)
        # The beats of a second come a moment after it.
        index = max(0, int((now_s - 0.5) / self.interval_s))
        while len(self.intervals) <= index:
            self.intervals.append(Interval())
        interval = self.intervals[index]
        interval.measured.merge(measured)
        gauges = sum(self._gauges.values(), Counter[str]())
        interval.connected, interval.flying = gauges["connected"], gauges["flying"]
