"""One bet of a player, from the moment it is due to the end of its round."""

from dataclasses import dataclass, field
from typing import Any

from actors.rules.growth import GrowthCurve
from server.loadtest.figures.measurements import Measurements
from server.loadtest.plan.strategy import Choice
from server.loadtest.play.seen_round import SETTLED, Promise, SeenRound, see
from server.loadtest.play.server_time import ServerTime


@dataclass(slots=True)
class Attempt:
    """Moments are seconds of trio's clock. ``is_over``: the round has ended, or the bet was refused."""

    due_at: float
    sent_at: float
    frame_id: str
    choice: Choice
    promise: Promise
    round_id: str | None = None
    started_at_ms: int | None = None
    cash_due_at: float | None = None
    cash_sent_at: float | None = None
    was_cut: bool = False
    last_tick_ms: int | None = None
    is_over: bool = False
    ended: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def is_manual(self) -> bool:
        """Whether the player means to cash out by hand."""
        return self.choice.target_hundredths is not None and not self.choice.is_automatic

    def note_start(self, started_at_ms: int, curve: GrowthCurve, server_time: ServerTime) -> None:
        """It flies; a cash-out by hand is due when the multiplier is reached, by the server's clock."""
        self.started_at_ms = started_at_ms
        target = self.choice.target_hundredths
        if self.is_manual and target is not None:
            self.cash_due_at = server_time.local(started_at_ms + curve.reaches_at_ms(target))

    def see(self, player: str, stake_minor: int, cap_hundredths: int) -> SeenRound:
        """The ended round, checked. Raises ``KeyError``, ``TypeError`` or ``ValueError`` for what is no such frame."""
        assert self.ended is not None
        target = min(self.choice.target_hundredths or cap_hundredths, cap_hundredths)
        return see(
            self.ended,
            player=player,
            promise=self.promise,
            stake_minor=stake_minor,
            target_hundredths=target,
            automatic_hundredths=target if self.choice.is_automatic and not self.was_cut else None,
            was_cut=self.was_cut,
        )

    def landed_at(self, seen: SeenRound, curve: GrowthCurve, server_time: ServerTime) -> float | None:
        """When the round ended, or was to be ended by hand; ``None`` if it never flew."""
        if self.started_at_ms is None or seen.status != SETTLED:
            return None
        if seen.result == "crash":
            elapsed_ms = curve.crashes_at_ms(seen.crash_hundredths)
        elif self.cash_sent_at is not None:
            return self.cash_due_at
        else:
            elapsed_ms = curve.reaches_at_ms(seen.realized_hundredths)
        return server_time.local(self.started_at_ms + elapsed_ms)

    def measure(self, seen: SeenRound, landed_at: float, arrived_at: float, measured: Measurements) -> None:
        """How late the player learned of the end."""
        if seen.result == "crash":
            measured.took("crash", arrived_at - landed_at)
            return
        measured.took("cashout", arrived_at - landed_at)
        if self.cash_sent_at is not None:
            measured.took("cashout_service", arrived_at - self.cash_sent_at)
