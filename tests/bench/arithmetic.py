"""The arithmetic of the benchmark: quantiles, and the search for a capacity."""

import math
from collections.abc import Callable, Sequence


def quantile(values: Sequence[float], part: float) -> float:
    """The least value that at least this part of the values does not exceed. ``part`` is above 0 and at most 1.

    Raises ``ValueError`` without values.
    """
    if not values or not 0 < part <= 1:
        raise ValueError(f"a quantile needs values, and a part above 0 and at most 1: not {part} of {len(values)}")
    return sorted(values)[math.ceil(part * len(values)) - 1]


def capacity(holds: Callable[[int], bool], guess: int, step: int, most: int) -> int:
    """The largest multiple of ``step`` up to ``most`` that ``holds``; 0 if none does. All below one that holds do, too.

    It gallops away from ``guess`` until it has one that holds and one that does not, then halves the way between them:
    a good guess costs two or three trials.
    """
    good, bad = 0, most // step + 1
    at, stride = min(max(round(guess / step), 1), bad - 1), 1
    while bad - good > 1:
        if holds(at * step):
            good = at
        else:
            bad = at
        if good == 0 or bad > most // step:  # still galloping
            at = good + stride if good else bad - stride
            stride *= 2
        else:
            at = (good + bad) // 2
        at = min(max(at, good + 1), bad - 1)
    return good * step
