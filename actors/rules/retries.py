"""When an undelivered win or refund is tried again."""


def wait_before_attempt_ms(attempts: int, first_ms: int, max_ms: int, jitter: float) -> int:
    """How long to wait after ``attempts`` failures: doubling from ``first_ms`` to ``max_ms``, half of it jittered.

    ``jitter`` is from 0 inclusive to 1 exclusive, so that many calls that failed together are not repeated together.
    """
    assert attempts >= 1 and 0 <= jitter < 1
    whole_ms = min(first_ms << min(attempts - 1, 30), max_ms)
    return whole_ms // 2 + int(whole_ms / 2 * jitter)


def is_over(created_at_ms: int, now_ms: int, period_ms: int) -> bool:
    """Whether the period of retries has passed and a person must look."""
    return now_ms - created_at_ms >= period_ms
