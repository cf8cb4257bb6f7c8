"""What worlds are spared until the product is mended. Each of these shrinks when it is."""

SPARED_OF_LOST_ANSWERS = frozenset({"take_orphans"})
"""A taking of orphans whose answer is lost leaves rounds that nobody ends, and whose failure's moment is forgotten."""

FAILURES_OF_A_ROUND_MAX = 1
"""Whoever takes a round from a taker judges it by the taker's last heartbeat, not by that of the node that flew it."""

JUDGES_ENTERED_ROUNDS = False
"""A player who enters while an orphan is being ended has it judged by the present instead of the failure's moment."""

PAUSE_S_MAX = 28.0
"""A start that is stored later than 30 s after it was asked for makes the void that should undo it fail for good."""
