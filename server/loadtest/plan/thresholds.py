"""``--fail-if``: conditions under which a run has failed. Pure."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from server.loadtest.figures.measurements import LATENCIES
from server.loadtest.plan.quantities import duration_s, duration_text

STATISTICS: Final = ("p50", "p90", "p99", "max", "mean")
COUNTS: Final = {
    "errors": "errors of every kind",
    "books": "differences between the books",
    "too_late": "cash-outs that the crash overtook",
    "ticks_skipped": "ticks that never came",
    "skipped": "bets that found no free player",
    "rounds": "rounds that ended",
    "rounds_per_second": "of the time in which bets were due",
    "return_percent": "payouts of stakes",
}
_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_EXPRESSION: Final = re.compile(r"\s*([a-z0-9_]+)\s*(>=|<=|>|<)\s*([0-9.]+)\s*(us|ms|s|m|h)?\s*")


@dataclass(frozen=True, slots=True)
class Threshold:
    """``text`` as it was written; a run for which ``name comparison limit`` holds has failed. Latencies in seconds."""

    text: str
    name: str
    comparison: str
    limit: float

    def is_missed(self, values: Mapping[str, float | None]) -> bool:
        """Whether the run has failed by it: a value that was never measured can't be good."""
        value = values.get(self.name)
        return value is None or _COMPARISONS[self.comparison](value, self.limit)

    def told(self, values: Mapping[str, float | None]) -> str:
        """The condition and what was measured."""
        value = values.get(self.name)
        if value is None:
            return f"{self.text}: nothing was measured"
        shown = duration_text(value) if is_latency(self.name) else f"{value:.6g}"
        return f"{self.text}: {self.name} is {shown}"


def is_latency(name: str) -> bool:
    """Whether a name is that of a latency's statistic, such as ``bet_p99``."""
    latency, _, statistic = name.rpartition("_")
    return latency in LATENCIES and statistic in STATISTICS


def parse_threshold(text: str) -> Threshold:
    """``bet_p99>50ms``. Raises ``ValueError`` with a clause that names what is allowed."""
    match = _EXPRESSION.fullmatch(text) if text.isascii() else None
    if match is None:
        raise ValueError('must be like "bet_p99>50ms" or "errors>0": a name, one of > >= < <=, and a number')
    name, comparison, number, unit = match.groups()
    if is_latency(name):
        if unit is None:
            raise ValueError(f"must have a unit (us, ms, s) behind {name}'s number, such as {name}>50ms")
        return Threshold(text.strip(), name, comparison, duration_s(number + unit))
    if name not in COUNTS:
        raise ValueError(f"knows no {name}: there are {allowed_names()}")
    if unit is not None:
        raise ValueError(f"must have no unit behind {name}'s number")
    try:
        return Threshold(text.strip(), name, comparison, float(number))
    except ValueError:
        raise ValueError(f"has no number behind {comparison}") from None


def allowed_names() -> str:
    return f"{', '.join(COUNTS)}, and {'|'.join(LATENCIES)} with _{'|_'.join(STATISTICS)}"
