"""Money: integers in minor units, rounded once and in the stated direction."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

MINOR_MAX = 10**15
"""The largest amount or balance that crosses our borders, in minor units."""


@dataclass(frozen=True, slots=True)
class RevenueShare:
    """A row of revenue: GGR and its two parts in minor units; the parts always add up to the GGR."""

    ggr_minor: int
    house_share_minor: int
    operator_share_minor: int


def payout_minor(amount_minor: int, hundredths: int) -> int:
    """What a stake pays at a multiplier, rounded down to a whole minor unit."""
    assert amount_minor >= 0 and hundredths >= 0
    return amount_minor * hundredths // 100


def house_share_minor(ggr_minor: int, rev_share_bps: int) -> int:
    """The house's part of a GGR, rounded half to even; negative when the GGR is."""
    assert 0 <= rev_share_bps <= 10_000
    return round(Fraction(ggr_minor * rev_share_bps, 10_000))


def split_revenue(rows: Iterable[tuple[int, int]]) -> RevenueShare:
    """Split ``(ggr_minor, rev_share_bps)`` rows, each rounded by itself, and add them up."""
    pairs = list(rows)
    ggr = sum(ggr for ggr, _ in pairs)
    house = sum(house_share_minor(ggr, share) for ggr, share in pairs)
    return RevenueShare(ggr_minor=ggr, house_share_minor=house, operator_share_minor=ggr - house)


def multiplier_number(hundredths: int) -> int | float:
    """A multiplier as the JSON number with at most two decimals: 250 -> 2.5, 200 -> 2.

    A quotient by 100 prints as the shortest decimal that reads back the same, which is the exact one.
    """
    whole, rest = divmod(hundredths, 100)
    return whole if rest == 0 else hundredths / 100
