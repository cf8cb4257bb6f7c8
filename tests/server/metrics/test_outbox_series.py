"""What operators are owed, as Prometheus reads it."""

from uuid import UUID

from prometheus_client import generate_latest

from actors.facts.records import OutboxCount
from server.metrics.metrics import Metrics
from server.metrics.observer import MetricsObserver

FIRST, SECOND = UUID(int=1), UUID(int=2)


def values(metrics: Metrics, name: str) -> dict[str, float]:
    """A series by operator."""
    text = generate_latest(metrics.registry).decode()
    lines = [line for line in text.splitlines() if line.startswith(f'{name}{{operator_id="')]
    return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in lines}


def test_backlogs_are_shown_by_operator_and_go_to_zero_when_they_are_gone():
    metrics = Metrics()
    observer = MetricsObserver(metrics)
    count = OutboxCount(operator_id=FIRST, pending=3, oldest_created_at_ms=1_000, parked=1, refused=2)
    observer.outbox([count, OutboxCount(operator_id=SECOND, pending=0, oldest_created_at_ms=None, parked=2)], 61_500)
    assert values(metrics, "getaway_outbox_pending") == {str(FIRST): 3, str(SECOND): 0}
    assert values(metrics, "getaway_outbox_oldest_pending_seconds") == {str(FIRST): 60.5, str(SECOND): 0}
    assert values(metrics, "getaway_outbox_parked") == {str(FIRST): 1, str(SECOND): 2}
    assert values(metrics, "getaway_outbox_refused") == {str(FIRST): 2, str(SECOND): 0}
    observer.outbox([], 70_000)
    for name in ("getaway_outbox_pending", "getaway_outbox_oldest_pending_seconds", "getaway_outbox_parked"):
        assert values(metrics, name) == {str(FIRST): 0, str(SECOND): 0}, name


def test_retries_and_breakers_are_shown_by_operator():
    metrics = Metrics()
    observer = MetricsObserver(metrics)
    for _ in range(2):
        observer.wallet_retry(FIRST)
    observer.breaker(SECOND, is_open=True)
    assert values(metrics, "getaway_wallet_retries_total") == {str(FIRST): 2}
    assert values(metrics, "getaway_wallet_breaker_open") == {str(SECOND): 1}
    observer.breaker(SECOND, is_open=False)
    assert values(metrics, "getaway_wallet_breaker_open") == {str(SECOND): 0}
