"""How a flight ends: one pure decision from the round's terms and the moment of a receipt."""

from dataclasses import dataclass
from enum import StrEnum

from actors.rules.growth import GrowthCurve
from actors.rules.limits import CASHOUT_HUNDREDTHS_MIN, payout_cap_hundredths
from actors.rules.money import payout_minor


class Result(StrEnum):
    """How a settled round ended."""

    CASHOUT = "cashout"
    MAX_WIN = "max_win"
    CRASH = "crash"


@dataclass(frozen=True, slots=True)
class Settlement:
    """A settled round: its result, the multiplier that was realized (hundredths, 0 for a crash) and the payout."""

    result: Result
    realized_hundredths: int
    payout_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlightPlan:
    """Everything that decides a flight, fixed when it starts. Amounts in minor units, multipliers in hundredths."""

    curve: GrowthCurve
    amount_minor: int
    crash_hundredths: int
    auto_cashout_hundredths: int | None
    max_win_multiplier: int
    max_payout_minor: int

    @property
    def cap_hundredths(self) -> int:
        """Where the flight cashes out by itself because no higher win exists."""
        return min(100 * self.max_win_multiplier, payout_cap_hundredths(self.amount_minor, self.max_payout_minor))

    @property
    def target_hundredths(self) -> int:
        """The multiplier that the flight cashes out at without the player: automatic cash-out or cap."""
        return min(self.cap_hundredths, self.auto_cashout_hundredths or self.cap_hundredths)

    @property
    def ends_at_ms(self) -> int:
        """The millisecond after the start at which the flight ends if the player does nothing."""
        crash_ms = self.curve.crashes_at_ms(self.crash_hundredths)
        if self.target_hundredths > self.crash_hundredths:
            return crash_ms
        return min(crash_ms, self.curve.reaches_at_ms(self.target_hundredths))

    def unattended(self) -> Settlement:
        """The end if the player does nothing: the target exactly, if it is at or below the crash point."""
        if self.target_hundredths > self.crash_hundredths:
            return Settlement(Result.CRASH, 0, 0)
        return self._pays(self.target_hundredths)

    def cashed_out(self, elapsed_ms: int) -> Settlement | None:
        """The end if a cash-out is received ``elapsed_ms`` after the start; ``None`` below the lowest cash-out.

        A receipt at or after the unattended end changes nothing: that end stands.
        """
        if elapsed_ms >= self.ends_at_ms:
            return self.unattended()
        shown = self.curve.hundredths_at(elapsed_ms)
        assert shown <= self.crash_hundredths, "a flight is over before its multiplier exceeds the crash point"
        if shown < CASHOUT_HUNDREDTHS_MIN:
            return None
        return self._pays(shown)

    def paying(self, payout_minor: int) -> Settlement | None:
        """The end that pays exactly this, or ``None`` if no cash-out of this flight can.

        A stake below 100 minor units pays the same at several multipliers: then it is the one that the flight cashes
        out at by itself, if that is one of them, or else the lowest one that is ever shown.
        """
        target = self.target_hundredths
        reaches_target = target <= self.crash_hundredths
        lowest = max(-(-100 * payout_minor // self.amount_minor), CASHOUT_HUNDREDTHS_MIN)
        highest = (100 * (payout_minor + 1) - 1) // self.amount_minor
        if reaches_target and lowest <= target <= highest:
            return self._pays(target)
        last = min(highest, target - 1 if reaches_target else self.crash_hundredths)
        shown = (h for h in range(lowest, last + 1) if self.curve.hundredths_at(self.curve.reaches_at_ms(h)) == h)
        hundredths = next(shown, None)
        return None if hundredths is None else self._pays(hundredths)

    def _pays(self, hundredths: int) -> Settlement:
        assert hundredths <= self.cap_hundredths
        result = Result.MAX_WIN if hundredths == self.cap_hundredths else Result.CASHOUT
        return Settlement(result, hundredths, payout_minor(self.amount_minor, hundredths))


def interrupted_end(plan: FlightPlan, started_at_ms: int, last_alive_ms: int) -> Settlement | None:
    """The end of a flight that a failure of ours interrupted, or ``None`` if its stake is to be refunded.

    It is settled only if it would have ended by itself no later than the node's last recorded heartbeat.
    """
    return plan.unattended() if started_at_ms + plan.ends_at_ms <= last_alive_ms else None
