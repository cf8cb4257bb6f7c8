"""What a transition is called where tests name one: an end by its kind."""

from actors.facts.transitions import EndRound, Transition


def kind_of(transition: Transition) -> str:
    """``PlaceBet`` and the like; ``void``, ``settled`` or ``refunded`` for an end."""
    return transition.finished.status.value if isinstance(transition, EndRound) else type(transition).__name__
