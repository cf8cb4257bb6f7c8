"""What a life of a node remembers of its own flights, so that a database which goes back can't make one fly again.

The rows say what is live, but a restored database says it of flights that have ended, whose seeds were revealed: who
flew one on would let its player choose the moment knowing the crash point. A row that names this life as its owner was
written for this life, by whatever history; what became of the flight since then this life knows better.
"""

import logging
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from actors.facts.records import LiveRound, SessionRequest
from actors.kit.clock import ServerClock
from actors.ports.sessions import SessionElsewhereError

log = logging.getLogger("getaway.flights")


class HistoryCutError(SessionElsewhereError):
    """What is stored of a session is older than what this node has told of it: nobody may go on from there."""


KEPT_MS = 120_000
"""For so long after it would have ended by itself a flight is still remembered, as a proof that history was cut."""


@dataclass(frozen=True, slots=True)
class _Known:
    session_id: UUID
    ends_at_ms: int
    """When it would have ended by itself."""
    gone_by_ms: int | None
    """When the node that flies it now had asked for its session; ``None`` for one that has ended here."""
    learned: int
    """The moment at which it became known."""


class FlightMemory:
    """Remembers each flight for as long as it could have lasted and ``KEPT_MS``; nobody flies it on after that."""

    def __init__(self, clock: ServerClock) -> None:
        self._clock = clock
        self._known: OrderedDict[UUID, _Known] = OrderedDict()
        self._of_session: dict[UUID, set[UUID]] = {}
        self._doubted: set[UUID] = set()
        self._moment = 0

    def __len__(self) -> int:
        return len(self._known)

    @property
    def moment(self) -> int:
        """Of now, to be noted before a round is read. It only counts what was learned: nothing else has an order."""
        return self._moment

    def end(self, session_id: UUID, round_id: UUID, ends_at_ms: int) -> None:
        """The flight's end is stored, and its seed revealed. By itself it would have ended at ``ends_at_ms``."""
        self._learn(session_id, round_id, ends_at_ms, None)

    def go(self, request: SessionRequest, round_id: UUID, ends_at_ms: int) -> None:
        """Another node, which asked by ``request``, flies it now."""
        self._learn(request.session_id, round_id, ends_at_ms, request.asked_at_ms)

    def has_gone(self, round_id: UUID) -> bool:
        """Whether the flight was handed over, and has not come back as far as this life knows."""
        known = self._known.get(round_id)
        return known is not None and known.gone_by_ms is not None

    def come_back(self, request: SessionRequest, round_id: UUID) -> None:
        """The flight was given to this life, which had asked for its session by ``request``.

        A request stays until what it asked for has been taken up, so it is the proof that the flight was given. One
        that is older than the hand-over proves nothing: it had brought the flight here the time before.
        """
        known = self._known.get(round_id)
        if known is not None and known.gone_by_ms is not None and request.asked_at_ms >= known.gone_by_ms:
            self._drop(round_id)

    def contradicts(self, live: LiveRound) -> bool:
        """Whether what is stored is older than what this life has stored and told: the flight has ended, or it was
        handed over and no failure of its new owner has brought it back."""
        if self.has_gone(live.round_id):
            return live.interrupted_at_ms is None
        return live.round_id in self._known

    def check(self, live: LiveRound, asked: int) -> bool:
        """Whether a live round of this life is as it was read, by whoever began to read it at the moment ``asked``.

        ``False`` if it has ended, or gone, since then: it must be read again, and neither flown on nor ended. Raises
        ``HistoryCutError`` for one that memory ``contradicts``; logged once a round.
        """
        if not self.contradicts(live):
            return True
        if self._known[live.round_id].learned > asked:
            return False
        if live.round_id not in self._doubted:
            self._doubted.add(live.round_id)
            seen = {"round_id": str(live.round_id)}
            log.error("a round that has ended is stored as live: the database has gone back", extra=seen)
        raise HistoryCutError("what is stored is older than what was told")

    def known_in(self, session_id: UUID) -> frozenset[UUID]:
        """The flights of a session that this life has ended, or given away, and remembers."""
        return frozenset(self._of_session.get(session_id, ()))

    def _learn(self, session_id: UUID, round_id: UUID, ends_at_ms: int, gone_by_ms: int | None) -> None:
        self._forget()
        self._moment += 1
        self._known[round_id] = _Known(session_id, ends_at_ms, gone_by_ms, self._moment)
        self._known.move_to_end(round_id)
        self._of_session.setdefault(session_id, set()).add(round_id)

    def _forget(self) -> None:
        """From the oldest on. One that lasts long keeps the ones behind it for as long, which is minutes."""
        now_ms = self._clock.steady_ms() - KEPT_MS
        while self._known:
            round_id, known = next(iter(self._known.items()))
            if known.ends_at_ms >= now_ms:
                return
            self._drop(round_id)

    def _drop(self, round_id: UUID) -> None:
        known = self._known.pop(round_id)
        self._doubted.discard(round_id)
        rounds = self._of_session[known.session_id]
        rounds.discard(round_id)
        if not rounds:
            del self._of_session[known.session_id]
