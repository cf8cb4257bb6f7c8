"""Whether the database that answers is the one that was written to, with all that was written: pure judgement.

A database goes back when it is restored from a backup, or when a standby is promoted that lacks the newest commits.
What was told to players and operators meanwhile is not in it: bets that were taken, wins that were paid, seeds that
were revealed.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What the database says of its history, with each heartbeat."""

    history_id: str
    """Of the present history: drawn when it begins, and in every copy of the database."""
    cut_reason: str | None
    """Somebody has found that the history was cut, and nobody has run ``getaway restored`` since."""
    has_moved: bool
    """It is written on another timeline, or in another cluster, than the history began on, as far as that is known."""
    was_synchronous: bool
    """Before this beat commits waited for a standby."""


def cut_reason(
    lineage: Lineage, *, recorded_ms: int | None, written_ms: int | None, is_registered: bool = True
) -> str | None:
    """Why the history counts as cut, for a person; ``None`` if it is whole.

    ``recorded_ms`` is this life's last beat as the database has it, ``None`` if it knows no such life; ``written_ms``
    the last one whose recording was answered, ``None`` if there was none yet. ``is_registered``: the life has told the
    database of itself before.

    A promotion of a standby for which commits have waited loses nothing: then the timeline alone says nothing. Nor does
    it where the cut is noted already: a place stays another one until ``getaway restored``, and each new life of a node
    would find it anew, and end of it.
    """
    if is_registered and recorded_ms is None:
        return "the database does not know this node's registration any more"
    if recorded_ms is not None and written_ms is not None and recorded_ms < written_ms:
        return f"the database lacks {written_ms - recorded_ms} ms of this node's heartbeats"
    if lineage.has_moved and not lineage.was_synchronous and lineage.cut_reason is None:
        return "the database was restored, or a standby was promoted for which no commit had waited"
    return None
