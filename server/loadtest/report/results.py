"""What a run has found, added up as it comes in, and as one document in the end. Pure."""

from typing import Final

from server.loadtest.compare.comparison import Compared
from server.loadtest.figures.measurements import LATENCIES, Measurements
from server.loadtest.figures.returns import Return, returned
from server.loadtest.plan.plan import RunPlan
from server.loadtest.plan.thresholds import STATISTICS, Threshold
from server.loadtest.play.probe import Terms
from server.loadtest.play.seen_round import REFUNDED, SETTLED
from server.loadtest.report.beats import Heard

_CLIENT_P99_S_MAX: Final = 0.020


class Results:
    """A run, from its first beat to its last word. Moments are seconds from the start."""

    def __init__(self, plan: RunPlan, terms: Terms, bets_per_second: float) -> None:
        self.plan = plan
        self.terms = terms
        self.bets_per_second = bets_per_second
        self.heard = Heard(plan.duration_s)
        self.compared = Compared()
        self.wallet_calls: int | None = None
        self.betting_s = plan.duration_s
        self.was_interrupted = False
        self.failure: str | None = None

    @property
    def rounds_per_second(self) -> float:
        """Rounds that ended, over the time in which bets were due."""
        return self.heard.measured.counts["rounds"] / self.betting_s if self.betting_s > 0 else 0.0

    @property
    def errors(self) -> int:
        return sum(self.heard.measured.errors.values())

    @property
    def rounds_played(self) -> int:
        """Rounds that flew, whatever their end: a bet that was refused is none."""
        return sum(one.status in {SETTLED, REFUNDED} for one in self.heard.seen)

    @property
    def stakes_minor(self) -> int:
        return sum(one.stake_minor for one in self.heard.seen if one.status == SETTLED)

    @property
    def payouts_minor(self) -> int:
        return sum(one.payout_minor for one in self.heard.seen if one.status == SETTLED)

    def returned(self) -> Return | None:
        return returned(one.wager for one in self.heard.seen if one.status == SETTLED)

    def values(self) -> dict[str, float | None]:
        """Everything that a threshold can name."""
        given = self.returned()
        values: dict[str, float | None] = {
            "errors": self.errors,
            "books": len(self.compared.differences),
            "too_late": self.heard.measured.counts["too_late"],
            "ticks_skipped": self.heard.measured.counts["ticks_skipped"],
            "skipped": self.heard.measured.counts["skipped"],
            "rounds": self.heard.measured.counts["rounds"],
            "rounds_per_second": self.rounds_per_second,
            "return_percent": None if given is None else 100 * given.seen,
        }
        for latency in LATENCIES:
            for statistic in STATISTICS:
                values[f"{latency}_{statistic}"] = statistic_s(self.heard.measured, latency, statistic)
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
        notes, counts = [], self.heard.measured.counts
        if self.was_interrupted:
            notes.append("the run was interrupted: the figures are of what had happened until then")
        if self.rounds_played == 0:
            notes.append("no round was played, so there was nothing to measure and no book to compare")
        if self.wallet_calls == 0 and counts["bets"]:
            notes.append(
                "no wallet call came: the address of --wallet-listen must be the operator's wallet callback URL, "
                "and be reachable from the server"
            )
        lag_s = statistic_s(self.heard.measured, "client", "p99")
        if lag_s is not None and lag_s > _CLIENT_P99_S_MAX:
            notes.append(
                f"the load generator was woken {1000 * lag_s:.0f} ms late at p99, which is part of every latency; "
                "it needs more CPU, more --processes or fewer --players"
            )
        if counts["skipped"]:
            notes.append(f"{counts['skipped']} bets found no free player: more --players, or fewer --bets-per-second")
        if counts["cut"]:
            notes.append(f"{counts['cut']} rounds that still flew at the end were cashed out before their target")
        if self.heard.unfinished:
            notes.append(f"{self.heard.unfinished} players still wait for the end of their round")
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
