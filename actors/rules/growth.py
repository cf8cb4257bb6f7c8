"""The growth curve: which multiplier is shown at which millisecond of a flight.

``floor(100 * exp(rate * e))`` hundredths at ``e`` milliseconds. Binary floats could put a value that lies close to a
whole hundredth on the wrong side, and client and verifier must agree to the millisecond, so the curve is computed
in decimals of 40 digits; ``exp`` of a non-zero rational is irrational, so no value ever lies exactly on the boundary.
"""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal
from functools import lru_cache

_CONTEXT = Context(prec=40, rounding=ROUND_FLOOR)
_HUNDRED = Decimal(100)


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


@lru_cache(maxsize=8192)
def _hundredths_at(rate_per_ms: Decimal, elapsed_ms: int) -> int:
    growth = _CONTEXT.exp(_CONTEXT.multiply(rate_per_ms, Decimal(elapsed_ms)))
    return int(_CONTEXT.multiply(growth, _HUNDRED))


@lru_cache(maxsize=8192)
def _reaches_at_ms(rate_per_ms: Decimal, hundredths: int) -> int:
    assert hundredths >= 100
    exact_ms = _CONTEXT.divide(_CONTEXT.ln(_CONTEXT.divide(Decimal(hundredths), _HUNDRED)), rate_per_ms)
    elapsed_ms = int(exact_ms)
    if _hundredths_at(rate_per_ms, elapsed_ms) < hundredths:
        elapsed_ms += 1
    assert _hundredths_at(rate_per_ms, elapsed_ms) >= hundredths
    assert elapsed_ms == 0 or _hundredths_at(rate_per_ms, elapsed_ms - 1) < hundredths
    return elapsed_ms
