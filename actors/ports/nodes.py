from dataclasses import dataclass
from typing import Protocol

from actors.facts.records import Owner
from actors.rules.lineage import Lineage


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What the ledger answers to a heartbeat."""

    database_ms: int
    """The database's clock when it recorded the beat: unix milliseconds. All nodes judge each other by it."""
    before_ms: int | None
    """The beat of this life that it had recorded before; ``None``: it knows of no such life."""
    is_recorded: bool
    """Whether the beat is stored."""
    is_superseded: bool
    """A newer life of this node exists: nothing was recorded, and this one must stop."""
    is_over: bool
    """Its lease ran out before this beat, or somebody knew it dead: nothing was recorded, and others may have what it
    had."""
    newest_end_ms: int | None
    """When it last became known that a life, of any node, was over."""
    lineage: Lineage
    """Of the database: whether it is the one that was written to."""


class Nodes(Protocol):
    """The lives of nodes, and the history of the database that they are written in.

    Who lives is judged by the database's clock, which all nodes share. Every method raises ``LedgerUnavailableError``.
    """

    async def register_node(self, node: str, flown_ms: int) -> Owner:
        """Begin a new life of a node: a larger epoch than any before it; earlier epochs of it are dead from now on.

        ``flown_ms`` as in ``heartbeat``.
        """

    async def heartbeat(self, owner: Owner, flown_ms: int, lease_ms: int, written_ms: int | None = None) -> Pulse:
        """Record that the owner is alive, by the database's clock, and that its flights have flown up to ``flown_ms``
        of the time in which their starts are stored (``ServerClock.cautious_ms``).

        A life that is not known, or has a newer one, is not recorded. Nor is one that is over, as every life is after a
        silence of ``lease_ms``: up to when its flights have certainly flown stays what it was before. Nor is one whose
        stored beat is older than ``written_ms``, the last one that it was answered (unix ms by the database's clock):
        that history was cut. The answer may get lost, and then the next beat must find the same.
        """

    async def end_silent(self, owner: Owner, silent_ms: int) -> list[Owner]:
        """Note that lives are over, other than ``owner``, whose processes are gone: which. None whose last beat is
        younger than ``silent_ms``: a living process may have lost its connection, and has another one by then."""

    async def end_life(self, owner: Owner) -> None:
        """The last word of a life: nothing acts for it any more, and what it has left is anybody's."""

    async def has_company(self, owner: Owner, lease_ms: int) -> bool:
        """Whether any other node is alive."""

    async def note_cut(self, owner: Owner, history_id: str, reason: str, own_history_id: str | None = None) -> None:
        """``owner`` has found that this history was cut: all nodes are to stop bets until it is restored.

        What was noted before stays, and a history that is not the present one is let be. Nor is anything noted if the
        one that ``owner`` was registered in, ``own_history_id``, has been restored: it slept through all that, and the
        present history is whole.
        """

    async def adopt_place(self, history_id: str) -> None:
        """The history goes on where the database is written now: a standby that lacked nothing was promoted."""
