"""The growth curve: which multiplier is shown at which millisecond of a flight.

``floor(100 * exp(rate * e))`` hundredths at ``e`` milliseconds. Client and verifier must agree to the millisecond.
A binary float is off by some 10^-15 of itself, so it tells on which side of a whole number a value lies, except next to
one: there the curve is computed in decimals of 40 digits, which take thirty times as long. ``exp`` of a non-zero
rational is irrational, so no value ever lies exactly on the boundary.
"""

import math
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal

_CONTEXT = Context(prec=40, rounding=ROUND_FLOOR)
_HUNDRED = Decimal(100)
_EXPONENT_MAX = 16.0
"""Below it a float's error is far below ``_DOUBT``; the highest win is at 7.6."""
_DOUBT = 1e-12
"""How close to a whole number, as a part of itself and of one, a float is not trusted: a thousand times its error."""


@dataclass(frozen=True, slots=True)
class GrowthCurve:
    """The curve for one rate. ``rate_per_ms`` is a positive decimal, 0.00006 by default (2.00x after 11.6 s)."""

    rate_per_ms: Decimal

    def __post_init__(self) -> None:
        assert self.rate_per_ms > 0, "a multiplier that does not grow never crashes"

    def hundredths_at(self, elapsed_ms: int) -> int:
        """The multiplier shown ``elapsed_ms`` after the start, in hundredths; 100 before the start."""
        return _hundredths_at(self.rate_per_ms, max(elapsed_ms, 0))

    def reaches_at_ms(self, hundredths: int) -> int:
        """The first millisecond at which the multiplier is at least ``hundredths`` (>= 100)."""
        return _reaches_at_ms(self.rate_per_ms, hundredths)

    def crashes_at_ms(self, crash_hundredths: int) -> int:
        """The first millisecond at which the multiplier would exceed the crash point: the flight ends there."""
        return _reaches_at_ms(self.rate_per_ms, crash_hundredths + 1)


def _hundredths_at(rate_per_ms: Decimal, elapsed_ms: int) -> int:
    exponent = float(rate_per_ms) * elapsed_ms
    if exponent < _EXPONENT_MAX:
        nearly = 100 * math.exp(exponent)
        if _is_beyond_doubt(nearly):
            return math.floor(nearly)
    growth = _CONTEXT.exp(_CONTEXT.multiply(rate_per_ms, Decimal(elapsed_ms)))
    return int(_CONTEXT.multiply(growth, _HUNDRED))


def _reaches_at_ms(rate_per_ms: Decimal, hundredths: int) -> int:
    assert hundredths >= 100
    nearly_ms = math.log(hundredths / 100) / float(rate_per_ms)
    if _is_beyond_doubt(nearly_ms):
        elapsed_ms = math.ceil(nearly_ms)
    else:
        elapsed_ms = int(_CONTEXT.divide(_CONTEXT.ln(_CONTEXT.divide(Decimal(hundredths), _HUNDRED)), rate_per_ms))
        if _hundredths_at(rate_per_ms, elapsed_ms) < hundredths:
            elapsed_ms += 1
    assert _hundredths_at(rate_per_ms, elapsed_ms) >= hundredths
    assert elapsed_ms == 0 or _hundredths_at(rate_per_ms, elapsed_ms - 1) < hundredths
    return elapsed_ms


def _is_beyond_doubt(value: float) -> bool:
    """Whether ``value``, which is at least 0, is not next to a whole number."""
    above, doubt = value - math.floor(value), (value + 1) * _DOUBT
    return doubt < above < 1 - doubt
