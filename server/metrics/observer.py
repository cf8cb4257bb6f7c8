"""From what the actors report to the metrics."""

from collections.abc import Sequence
from uuid import UUID

from actors.facts.records import Backlog, CallKind
from server.metrics.metrics import Metrics, Undelivered


class MetricsObserver:
    """Implements ``actors.shared.services.Observer``."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def ledger_group(self, size: int, duration_s: float) -> None:
        """A group of ``size`` transitions was committed in ``duration_s``."""
        self._metrics.ledger_group(size, duration_s)

    def round_ended(self, status: str, result: str | None) -> None:
        """A round reached its end: its result, or ``void`` or ``refunded``."""
        self._metrics.round_ended(result or status)

    def breaker(self, operator_id: UUID, *, is_open: bool) -> None:
        """An operator's breaker opened or closed."""
        self._metrics.breaker(str(operator_id), is_open=is_open)

    def backlogs(self, backlogs: Sequence[Backlog], now_ms: int) -> None:
        """What all operators are owed."""
        self._metrics.backlogs(
            {
                str(each.operator_id): Undelivered(
                    each.pending,
                    0 if each.oldest_created_at_ms is None else max(now_ms - each.oldest_created_at_ms, 0) / 1000,
                    each.parked,
                    each.refused,
                )
                for each in backlogs
            }
        )

    def wallet_retry(self, operator_id: UUID) -> None:
        """A win or refund was not acknowledged and is due again later."""
        self._metrics.wallet_retried(str(operator_id))

    def wallet_call(self, kind: CallKind, outcome: str, duration_s: float) -> None:
        """One attempt: ``acknowledged``, ``declined``, ``unclear`` or ``not_sent``."""
        self._metrics.wallet_call(kind.value, outcome, duration_s)

    def mailbox_overflow(self, actor: str) -> None:
        """A message was refused because ``actor``'s mailbox was full."""
        self._metrics.mailbox_overflowed(actor)

    def history_cut(self, *, is_cut: bool) -> None:
        """The database has gone back, or is whole again."""
        self._metrics.history_cut(is_cut=is_cut)

    def clock_stepped(self, clock: str, step_ms: int) -> None:
        """The ``wall`` or the ``house`` clock was corrected."""
        self._metrics.clock_stepped(clock, "forward" if step_ms > 0 else "back")

    def clock_differs(self, difference_ms: float) -> None:
        """The machine's clock is ahead of the database's, or behind."""
        self._metrics.clock_differs(difference_ms / 1000)

    def actor_failed(self, actor: str) -> None:
        """An actor of this kind failed."""
        self._metrics.actor_failed(actor)
