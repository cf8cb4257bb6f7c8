"""What a run measures: latencies, counts, errors. Kept by every process, sent each second, added up. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from server.loadtest.figures.histogram import Histogram

LATENCIES: Final = {
    "launch": "a launch, from when it was due",
    "welcome": "connecting until welcome, from when the launch was answered",
    "bet_stored": "a bet until bet_pending, from when it was due",
    "bet": "a bet until round_started, from when it was due",
    "bet_service": "a bet until round_started, from when it was sent",
    "cashout": "a cash-out until round_ended, from when it was due",
    "cashout_service": "a cash-out by hand until round_ended, from when it was sent",
    "crash": "a crash until round_ended, from when it happened",
    "tick": "a tick's arrival, or the next one's if it was skipped, from its moment by the server's clock",
    "round_trip": "ping to pong",
    "client": "how late the load generator itself was woken",
    "wallet": "a call in the stand-in wallet, without --wallet-latency",
}
"""Every latency and what it is; all are kept in whole microseconds."""


def microseconds(value_s: float) -> int:
    return round(value_s * 1_000_000)


@dataclass(slots=True)
class Measurements:
    """Histograms by latency, plain counts, and errors by ``what code``."""

    latencies: dict[str, Histogram] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def took(self, latency: str, value_s: float) -> None:
        """One more latency, in seconds."""
        assert latency in LATENCIES, latency
        self.latencies.setdefault(latency, Histogram()).add(microseconds(value_s))

    def failed(self, what: str, code: str) -> None:
        self.errors[f"{what} {code}"] += 1

    def histogram(self, latency: str) -> Histogram:
        """The latency's histogram, empty if it was never measured."""
        return self.latencies.get(latency) or Histogram()

    def merge(self, other: "Measurements") -> None:
        for latency, histogram in other.latencies.items():
            self.latencies.setdefault(latency, Histogram()).merge(histogram)
        self.counts.update(other.counts)
        self.errors.update(other.errors)
