"""Changes of what is stored."""

from collections.abc import Sequence
from typing import Protocol

from actors.facts.transitions import Answer, Busy, Transition


class LedgerUnavailableError(Exception):
    """The ledger could not say whether it applied anything: repeat the same transitions, or read."""


class Ledger(Protocol):
    """What changes what is stored: transitions, and nothing else."""

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer | Busy]:
        """Apply each transition atomically, all in one durable commit; one answer for each, in order.

        At most one transition of a session may be in a group. One that cannot be applied is ``Rejected``, one whose
        session somebody else has locked is ``Busy``; neither disturbs or delays the others.
        """
