"""Bugs to plant, each a small change of the code. A simulation is worth what it finds: all of these, and soon."""

from contextlib import AbstractContextManager

from tests.worlds import (
    planted_actors,
    planted_handovers,
    planted_promises,
    planted_restores,
    planted_rules,
    planted_wallets,
)
from tests.worlds.planting import patched

SEEDS_MAX = 500
"""Most are found within five worlds, the rarest in one of several hundred; a change of the product shuffles which."""

BUGS = (
    planted_actors.BUGS
    | planted_handovers.BUGS
    | planted_promises.BUGS
    | planted_restores.BUGS
    | planted_rules.BUGS
    | planted_wallets.BUGS
)


def planted(name: str) -> AbstractContextManager[None]:
    """Run with the bug ``name`` in the code."""
    return patched(BUGS[name]())
