"""When a task's alarm has to be set anew: setting one costs more than handling most messages."""

import trio

NEAR_S = 30.0
"""An alarm so near is put off when nothing is to be done then: it would wake the task for nothing."""


def is_to_be_set(set_for: float, wakes_at: float) -> bool:
    """Whether an alarm for ``set_for`` does not do for ``wakes_at``; both on trio's clock."""
    return wakes_at < set_for or (wakes_at > set_for and set_for < trio.current_time() + NEAR_S)
