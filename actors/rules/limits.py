"""Bet limits: which stakes and automatic cash-outs are taken, and where the largest payout ends a flight."""

from dataclasses import dataclass

CASHOUT_HUNDREDTHS_MIN = 101
"""The lowest cash-out, 1.01x."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BetLimits:
    """One currency's limits in its minor units. A stake is a whole number of steps, and so are its bounds."""

    min_bet_minor: int
    max_bet_minor: int
    bet_step_minor: int
    max_payout_minor: int

    def __post_init__(self) -> None:
        assert 1 <= self.min_bet_minor <= self.max_bet_minor
        assert self.bet_step_minor >= 1
        assert self.min_bet_minor % self.bet_step_minor == 0 and self.max_bet_minor % self.bet_step_minor == 0
        assert self.max_payout_minor >= 1


def stake_error(amount_minor: int, limits: BetLimits) -> str | None:
    """The player protocol's error code for a stake outside the limits, or ``None`` for a good one.

    A stake so large that the largest payout would end the flight below the lowest cash-out is too high, too.
    """
    if amount_minor < limits.min_bet_minor:
        return "stake_too_low"
    if amount_minor > limits.max_bet_minor:
        return "stake_too_high"
    if payout_cap_hundredths(amount_minor, limits.max_payout_minor) < CASHOUT_HUNDREDTHS_MIN:
        return "stake_too_high"
    if amount_minor % limits.bet_step_minor != 0:
        return "stake_step"
    return None


def auto_cashout_is_valid(hundredths: int, max_win_multiplier: int) -> bool:
    """Whether an automatic cash-out lies between 1.01x and the round's largest multiplier."""
    return CASHOUT_HUNDREDTHS_MIN <= hundredths <= 100 * max_win_multiplier


def payout_cap_hundredths(amount_minor: int, max_payout_minor: int) -> int:
    """The largest multiplier (hundredths) whose payout, rounded down, does not exceed the largest payout."""
    assert amount_minor >= 1
    return (100 * (max_payout_minor + 1) - 1) // amount_minor
