"""What a run has found, added up as it comes in, and as one document in the end. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from server.loadtest.compare.comparison import Compared, LastBalance
from server.loadtest.figures.measurements import LATENCIES, Measurements
from server.loadtest.figures.returns import Return, returned
from server.loadtest.plan.plan import RunPlan
from server.loadtest.plan.thresholds import STATISTICS, Threshold
from server.loadtest.play.probe import Terms
from server.loadtest.play.seen_round import REFUNDED, SETTLED, SeenRound

INTERVALS_MAX: Final = 300
_CLIENT_P99_S_MAX: Final = 0.020


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


class Results:
    """A run, from its first beat to its last word. Moments are seconds from the start."""

    def __init__(self, plan: RunPlan, terms: Terms, bets_per_second: float) -> None:
        self.plan = plan
        self.terms = terms
        self.bets_per_second = bets_per_second
        self.interval_s = max(1.0, plan.duration_s / INTERVALS_MAX)
        self.measured = Measurements()
        self.intervals: list[Interval] = []
        self.seen: list[SeenRound] = []
        self.balances: list[LastBalance] = []
        self.unfinished = 0
        self.compared = Compared()
        self.clock: Clock | None = None
        self.wallet_calls: int | None = None
        self.betting_s = plan.duration_s
        self.was_interrupted = False
        self.failure: str | None = None
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

    @property
    def rounds_per_second(self) -> float:
        """Rounds that ended, over the time in which bets were due."""
        return self.measured.counts["rounds"] / self.betting_s if self.betting_s > 0 else 0.0

    @property
    def errors(self) -> int:
        return sum(self.measured.errors.values())

    @property
    def rounds_played(self) -> int:
        """Rounds that flew, whatever their end: a bet that was refused is none."""
        return sum(one.status in {SETTLED, REFUNDED} for one in self.seen)

    @property
    def stakes_minor(self) -> int:
        """Stakes of settled rounds."""
        return sum(one.stake_minor for one in self.seen if one.status == SETTLED)

    @property
    def payouts_minor(self) -> int:
        """Payouts of settled rounds."""
        return sum(one.payout_minor for one in self.seen if one.status == SETTLED)

    def returned(self) -> Return | None:
        """Seen and expected return to the players."""
        return returned(one.wager for one in self.seen if one.status == SETTLED)

    def values(self) -> dict[str, float | None]:
        """Everything that a threshold can name."""
        given = self.returned()
        values: dict[str, float | None] = {
            "errors": self.errors,
            "books": len(self.compared.differences),
            "too_late": self.measured.counts["too_late"],
            "ticks_skipped": self.measured.counts["ticks_skipped"],
            "skipped": self.measured.counts["skipped"],
            "rounds": self.measured.counts["rounds"],
            "rounds_per_second": self.rounds_per_second,
            "return_percent": None if given is None else 100 * given.seen,
        }
        for latency in LATENCIES:
            for statistic in STATISTICS:
                values[f"{latency}_{statistic}"] = statistic_s(self.measured, latency, statistic)
        return values

    def missed(self) -> list[Threshold]:
        """The conditions of ``--fail-if`` that hold."""
        values = self.values()
        return [threshold for threshold in self.plan.thresholds if threshold.is_missed(values)]

    @property
    def is_good(self) -> bool:
        """Whether rounds were played, every threshold was kept and all books agree."""
        return self.rounds_played > 0 and not self.has_failed

    @property
    def has_failed(self) -> bool:
        """Whether the run broke off, a threshold was missed, or books differ."""
        return self.failure is not None or bool(self.missed() or self.compared.differences)

    def notes(self) -> list[str]:
        """What a reader of the figures should know, a sentence each."""
        notes, counts = [], self.measured.counts
        if self.was_interrupted:
            notes.append("the run was interrupted: the figures are of what had happened until then")
        if self.rounds_played == 0:
            notes.append("no round was played, so there was nothing to measure and no book to compare")
        if self.wallet_calls == 0 and counts["bets"]:
            notes.append(
                "no wallet call came: the address of --wallet-listen must be the operator's wallet callback URL, "
                "and be reachable from the server"
            )
        lag_s = statistic_s(self.measured, "client", "p99")
        if lag_s is not None and lag_s > _CLIENT_P99_S_MAX:
            notes.append(
                f"the load generator was woken {1000 * lag_s:.0f} ms late at p99, which is part of every latency; "
                "it needs more CPU, more --processes or fewer --players"
            )
        if counts["skipped"]:
            notes.append(f"{counts['skipped']} bets found no free player: more --players, or fewer --bets-per-second")
        if counts["cut"]:
            notes.append(f"{counts['cut']} rounds that still flew at the end were cashed out before their target")
        if self.unfinished:
            notes.append(f"{self.unfinished} players still wait for the end of their round")
        return notes


def statistic_s(measured: Measurements, latency: str, statistic: str) -> float | None:
    """One of ``STATISTICS`` of a latency, in seconds; ``None`` if it was never measured."""
    histogram = measured.histogram(latency)
    if histogram.count == 0:
        return None
    value: float | None
    if statistic == "max":
        value = histogram.largest
    elif statistic == "mean":
        value = histogram.mean()
    else:
        value = histogram.percentile(float(statistic.removeprefix("p")))
    assert value is not None
    return value / 1_000_000
