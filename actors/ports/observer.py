from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from actors.facts.records import CallKind, OutboxCount


class Observer(Protocol):
    """Counts what happens, without identities."""

    def ledger_group(self, size: int, duration_s: float) -> None:
        """A group of ``size`` transitions was committed in ``duration_s``."""

    def round_ended(self, status: str, result: str | None) -> None:
        """A round reached its end."""

    def breaker(self, operator_id: UUID, *, is_open: bool) -> None:
        """An operator's breaker opened or closed."""

    def wallet_retry(self, operator_id: UUID) -> None:
        """A win or refund was not acknowledged and is due again later."""

    def outbox(self, counts: Sequence[OutboxCount], now_ms: int) -> None:
        """What is in the outbox, by operator, as of ``now_ms``."""

    def wallet_call(self, kind: CallKind, outcome: str, duration_s: float) -> None:
        """One attempt: ``acknowledged``, ``declined``, ``unclear`` or ``not_sent``."""

    def mailbox_overflow(self, actor: str) -> None:
        """A message was refused because ``actor``'s mailbox was full."""

    def history_cut(self, *, is_cut: bool) -> None:
        """Whether bets have stopped because the database has gone back."""

    def clock_stepped(self, clock: str, step_ms: int) -> None:
        """The ``wall`` or the ``house`` clock was corrected by ``step_ms``, forward or, below 0, back."""

    def clock_differs(self, difference_ms: float) -> None:
        """So far is the machine's clock ahead of the database's, or behind it if below 0."""

    def actor_failed(self, actor: str) -> None:
        """An actor of this kind failed."""
