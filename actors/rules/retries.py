"""When a win or refund of the outbox is tried again. (Contract 6.3; operator-api.md 2.)"""

from typing import Final

HOUR_MS: Final = 3_600_000
SLOWER_AFTER_MS: Final = HOUR_MS
SLOWEST_AFTER_MS: Final = 12 * HOUR_MS
SLOWER_MS: Final = 300_000
SLOWEST_MS: Final = 1_800_000


def pause_after_refusal_ms(refused_for_ms: int, jitter: float) -> int:
    """How long a call that a wallet refuses clearly again and again is left alone at least.

    0 in the first hour of refusals, then five minutes, after twelve hours half an hour; a twentieth more or less by
    ``jitter``, from 0 inclusive to 1 exclusive. To ask more often changes no mind, and fills the wallet's log.
    """
    if refused_for_ms < SLOWER_AFTER_MS:
        return 0
    whole_ms = SLOWER_MS if refused_for_ms < SLOWEST_AFTER_MS else SLOWEST_MS
    return whole_ms + int(whole_ms / 10 * (jitter - 0.5))


def pause_as_asked_ms(retry_after_ms: int | None, jitter: float) -> int:
    """How long a wallet is left alone that has asked for it: never shorter, and up to a tenth longer.

    So that calls that were put off together do not come together.
    """
    return 0 if retry_after_ms is None else retry_after_ms + int(retry_after_ms / 10 * jitter)


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
