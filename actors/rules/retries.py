"""When an undelivered win or refund is tried again."""


def wait_before_attempt_ms(attempts: int, first_ms: int, max_ms: int, jitter: float, *, unsent_for_ms: int = 0) -> int:
    """How long to wait after ``attempts`` failures: doubling from ``first_ms`` to ``max_ms``, half of it jittered.

    ``jitter`` is from 0 inclusive to 1 exclusive, so that many calls that failed together are not repeated together.
    What never left is no attempt: such a call waits at least for as long as it has waited (``unsent_for_ms``), which
    doubles, too.
    """
    assert attempts >= 0 and 0 <= jitter < 1
    doubled_ms = first_ms << min(max(attempts - 1, 0), 30)
    whole_ms = min(max(doubled_ms, unsent_for_ms), max_ms)
    return whole_ms // 2 + int(whole_ms / 2 * jitter)


def is_over(created_at_ms: int, now_ms: int, period_ms: int) -> bool:
    """Whether the period of retries has passed and a person must look."""
    return now_ms - created_at_ms >= period_ms
