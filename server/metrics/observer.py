"""From what the actors report to the metrics."""

from collections.abc import Sequence
from uuid import UUID

from actors.facts.records import CallKind, OutboxCount
from server.metrics.metrics import LedgerMetrics, Metrics, PlayMetrics, WalletMetrics


class MetricsObserver:
    """Implements ``actors.shared.services.Observer`` with counters of Prometheus."""

    def __init__(self, metrics: Metrics) -> None:
        self._play: PlayMetrics = metrics.play
        self._wallet: WalletMetrics = metrics.wallet
        self._ledger: LedgerMetrics = metrics.ledger

    def ledger_group(self, size: int, duration_s: float) -> None:
        self._ledger.group_transitions.observe(size)
        self._ledger.group_seconds.observe(duration_s)

    def round_ended(self, status: str, result: str | None) -> None:
        """A round is counted by its result; one without is ``void`` or ``refunded``."""
        self._play.rounds_ended.labels(result or status).inc()

    def breaker(self, operator_id: UUID, *, is_open: bool) -> None:
        self._wallet.breaker_open.labels(operator_id).set(is_open)

    def outbox(self, counts: Sequence[OutboxCount], now_ms: int) -> None:
        self._wallet.outbox(counts, now_ms)

    def wallet_retry(self, operator_id: UUID) -> None:
        self._wallet.retries.labels(operator_id).inc()

    def wallet_call(self, kind: CallKind, outcome: str, duration_s: float) -> None:
        self._wallet.calls.labels(kind.value, outcome).inc()
        self._wallet.call_seconds.labels(kind.value).observe(duration_s)

    def mailbox_overflow(self, actor: str) -> None:
        self._play.mailbox_overflows.labels(actor).inc()

    def history_cut(self, *, is_cut: bool) -> None:
        self._ledger.history_cut.set(is_cut)

    def clock_stepped(self, clock: str, step_ms: int) -> None:
        self._ledger.clock_steps.labels(clock, "forward" if step_ms > 0 else "back").inc()

    def clock_differs(self, difference_ms: float) -> None:
        self._ledger.clock_difference.set(difference_ms / 1000)

    def actor_failed(self, actor: str) -> None:
        self._play.actor_failures.labels(actor).inc()
