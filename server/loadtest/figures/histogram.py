"""A histogram of whole numbers with a bounded relative error, cheap to fill and to add up. Pure.

Buckets are log-linear: each power of two is divided into ``STEPS`` equal parts, and below ``2 * STEPS`` every number
has a bucket of its own. A bucket is told by its middle, which is at most ``1 / (2 * STEPS)`` (0.4 %) away from anything
in it; the largest number is kept as it is.
"""

import math
from dataclasses import dataclass, field
from typing import Final

STEP_BITS: Final = 7
STEPS: Final = 1 << STEP_BITS
ERROR_MAX: Final = 1 / (2 * STEPS)
"""The largest relative error of a percentile."""


def bucket_of(value: int) -> int:
    """The bucket's index; indices grow with the values."""
    assert value >= 0
    shift = max(value.bit_length() - STEP_BITS - 1, 0)
    return (shift << STEP_BITS) + (value >> shift)


def bucket_bounds(index: int) -> tuple[int, int]:
    """The least and the largest whole number of a bucket."""
    shift = max((index >> STEP_BITS) - 1, 0)
    least = (index - (shift << STEP_BITS)) << shift
    return least, least + (1 << shift) - 1


@dataclass(slots=True)
class Histogram:
    """Counts of whole numbers from 0 on; ``counts`` are the buckets' by their indices."""

    counts: dict[int, int] = field(default_factory=dict)
    count: int = 0
    total: int = 0
    largest: int = 0

    def add(self, value: int) -> None:
        """Count one; a number below 0 counts as 0."""
        value = max(value, 0)
        index = bucket_of(value)
        self.counts[index] = self.counts.get(index, 0) + 1
        self.count += 1
        self.total += value
        self.largest = max(self.largest, value)

    def merge(self, other: "Histogram") -> None:
        for index, count in other.counts.items():
            self.counts[index] = self.counts.get(index, 0) + count
        self.count += other.count
        self.total += other.total
        self.largest = max(self.largest, other.largest)

    def percentile(self, percent: float) -> int | None:
        """The least number that at least ``percent`` of all do not exceed, within ``ERROR_MAX``; ``None`` of none."""
        if self.count == 0:
            return None
        rank, seen = max(1, math.ceil(self.count * percent / 100)), 0
        for index in sorted(self.counts):
            seen += self.counts[index]
            if seen >= rank:
                least, largest = bucket_bounds(index)
                return min((least + largest) // 2, self.largest)
        raise AssertionError("the buckets hold everything that was counted")

    def mean(self) -> float | None:
        """The exact mean, not that of the buckets."""
        return self.total / self.count if self.count else None

    def buckets(self) -> list[tuple[int, int, int]]:
        """Least number, largest number and count of every bucket in use, in order."""
        return [(*bucket_bounds(index), self.counts[index]) for index in sorted(self.counts)]
