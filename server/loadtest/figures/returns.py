"""What players got back of their stakes, and what chance would have given them. Pure.

A round with a target pays ``payout`` with the chance that its crash point is at least that target, which the rules
fix exactly; so the band around the expectation needs no estimate.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from actors.rules.fairness import CRASH_DIGEST_BITS
from actors.rules.money import payout_minor

_Z: Final = 1.959963985
_TAIL: Final = 0.025
_EXACT_VARIANCE_MAX: Final = 10_000.0


@dataclass(frozen=True, slots=True)
class Wager:
    """A settled round: what it staked, what it paid, and the multiplier (hundredths) that it was to be taken at."""

    stake_minor: int
    payout_minor: int
    target_hundredths: int
    rtp_bps: int


@dataclass(frozen=True, slots=True)
class Return:
    """Parts of the stakes: 0.96 is 96 %. ``low`` to ``high`` holds what is seen in 95 of 100 fair runs."""

    seen: float
    expected: float
    low: float
    high: float
    method: str

    @property
    def is_inside(self) -> bool:
        return self.low - 1e-9 <= self.seen <= self.high + 1e-9


def reach_chance(target_hundredths: int, rtp_bps: int) -> float:
    """The chance that a crash point is at least ``target_hundredths``, by the definition of crash points."""
    span = 1 << CRASH_DIGEST_BITS
    return min(1.0, (rtp_bps * span // (100 * target_hundredths)) / span) if target_hundredths > 100 else 1.0


def returned(wagers: Iterable[Wager]) -> Return | None:
    """Seen and expected return with its band; ``None`` without stakes."""
    kinds: dict[tuple[int, int, int], int] = {}
    stakes = payouts = 0
    for wager in wagers:
        kind = (wager.stake_minor, wager.target_hundredths, wager.rtp_bps)
        kinds[kind] = kinds.get(kind, 0) + 1
        stakes += wager.stake_minor
        payouts += wager.payout_minor
    if stakes == 0:
        return None
    if len(kinds) == 1:
        ((kind, rounds),) = kinds.items()
        return _of_one_kind(payouts / stakes, kind, rounds)
    mean = variance = 0.0
    for (stake, target, rtp_bps), rounds in kinds.items():
        chance, pay = reach_chance(target, rtp_bps), payout_minor(stake, target)
        mean += rounds * chance * pay
        variance += rounds * chance * (1 - chance) * pay**2
    spread = _Z * math.sqrt(variance) / stakes
    expected = mean / stakes
    method = "normal, from the exact variance of the targets that were drawn"
    return Return(payouts / stakes, expected, max(0.0, expected - spread), expected + spread, method)


def _of_one_kind(seen: float, kind: tuple[int, int, int], rounds: int) -> Return:
    """All rounds have one stake and one target: the number of those that reached it is binomial."""
    stake, target, rtp_bps = kind
    chance = reach_chance(target, rtp_bps)
    pay = payout_minor(stake, target) / stake
    if rounds * chance * (1 - chance) > _EXACT_VARIANCE_MAX:
        spread = _Z * math.sqrt(rounds * chance * (1 - chance))
        low, high = rounds * chance - spread, rounds * chance + spread
        method = "binomial in its normal limit"
    else:
        low, high = (float(count) for count in binomial_band(rounds, chance))
        method = "exact binomial"
    return Return(seen, chance * pay, low / rounds * pay, high / rounds * pay, method)


def binomial_band(rounds: int, chance: float) -> tuple[int, int]:
    """Between these two numbers of successes lie at least 95 % of all runs, at most 2.5 % on either side."""
    if chance >= 1.0:
        return rounds, rounds
    cumulated, low = 0.0, None
    for count in range(rounds + 1):
        cumulated += math.exp(
            math.lgamma(rounds + 1)
            - math.lgamma(count + 1)
            - math.lgamma(rounds - count + 1)
            + count * math.log(chance)
            + (rounds - count) * math.log1p(-chance)
        )
        if low is None and cumulated > _TAIL:
            low = count
        if cumulated >= 1 - _TAIL:
            return low or 0, count
    return low or 0, rounds
