"""From what the actors report to the metrics."""

from actors.records import CallKind
from server.metrics import Metrics


class MetricsObserver:
    """Implements ``actors.services.Observer``."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def ledger_group(self, size: int, duration_s: float) -> None:
        """A group of ``size`` transitions was committed in ``duration_s``."""
        self._metrics.ledger_group(size, duration_s)

    def round_ended(self, status: str, result: str | None) -> None:
        """A round reached its end: its result, or ``void`` or ``refunded``."""
        self._metrics.round_ended(result or status)

    def wallet_call(self, kind: CallKind, outcome: str, duration_s: float) -> None:
        """One attempt: ``acknowledged``, ``declined`` or ``unclear``."""
        self._metrics.wallet_call(kind.value, outcome, duration_s)

    def mailbox_overflow(self, actor: str) -> None:
        """A message was refused because ``actor``'s mailbox was full."""
        self._metrics.mailbox_overflowed(actor)

    def actor_failed(self, actor: str) -> None:
        """An actor of this kind failed."""
        self._metrics.actor_failed(actor)
