"""When a simulated player takes the money. Pure; the dice are handed in."""

import math
import random
from dataclasses import dataclass
from typing import Final

from actors.rules.limits import CASHOUT_HUNDREDTHS_MIN

FIXED: Final = "fixed"
RANDOM: Final = "random"
HOLD: Final = "hold"
_DRAWN_MIN: Final = 1.05
_DRAWN_MAX: Final = 5.0
_HUNDREDTHS_MAX: Final = 10**8


@dataclass(frozen=True, slots=True)
class Choice:
    """What a player intends with one round: ``target_hundredths`` (``None``: hold), sent with the bet or by hand."""

    target_hundredths: int | None
    is_automatic: bool


@dataclass(frozen=True, slots=True)
class Strategy:
    """``kind``: ``fixed`` at ``target_hundredths``, ``random`` or ``hold``."""

    kind: str
    target_hundredths: int | None = None

    def __str__(self) -> str:
        if self.target_hundredths is None:
            return self.kind
        return f"{self.kind}:{self.target_hundredths / 100:.2f}"

    def choose(self, dice: random.Random) -> Choice:
        """What to do with the next round.

        ``random`` draws a target from 1.05x to 5x, evenly in the time at which it is reached, and takes half of them
        by hand.
        """
        if self.kind == RANDOM:
            drawn = math.exp(dice.uniform(math.log(_DRAWN_MIN), math.log(_DRAWN_MAX)))
            return Choice(round(drawn * 100), dice.random() < 0.5)
        return Choice(self.target_hundredths, self.target_hundredths is not None)

    def flight_s_mean(self, rate_per_ms: float, rtp: float, multiplier_max: float) -> float:
        """How long a round flies on average.

        A flight lasts longer than ``t`` with the chance ``rtp * exp(-rate * t)``, until the target is reached.
        """
        rate_per_s = rate_per_ms * 1000
        if self.kind == RANDOM:
            low, high = math.log(_DRAWN_MIN), math.log(_DRAWN_MAX)
            missing = (math.exp(-low) - math.exp(-high)) / (high - low)
            return rtp * (1 - missing) / rate_per_s
        target = multiplier_max if self.target_hundredths is None else self.target_hundredths / 100
        return rtp * (1 - 1 / min(target, multiplier_max)) / rate_per_s


def parse_strategy(text: str) -> Strategy:
    """``fixed:1.5``, ``random`` or ``hold``. Raises ``ValueError`` with a clause that follows the option's name."""
    if text in {RANDOM, HOLD}:
        return Strategy(text)
    kind, _, number = text.partition(":")
    whole, _, decimals = number.partition(".")
    digits = whole + decimals.ljust(2, "0")
    is_number = text.isascii() and whole.isdigit() and digits.isdigit() and len(decimals) <= 2 and len(whole) <= 6
    if kind != FIXED or not is_number:
        raise ValueError("must be fixed:MULTIPLIER with at most two decimals (such as fixed:1.5), random or hold")
    hundredths = int(digits)
    if not CASHOUT_HUNDREDTHS_MIN <= hundredths <= _HUNDREDTHS_MAX:
        raise ValueError("must have a multiplier of 1.01 or more: nothing lower is ever paid")
    return Strategy(FIXED, hundredths)
