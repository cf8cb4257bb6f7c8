"""What a life of a node remembers of its own flights, so that a database which goes back can't make one fly again.

The rows say what is live, but a restored database says it of flights that have ended, whose seeds were revealed: who
flew one on would let its player choose the moment knowing the crash point. A row that names this life as its owner was
written for this life, by whatever history; what became of the flight since then this life knows better.
"""

import logging
from collections import OrderedDict
from uuid import UUID

from actors.clock import ServerClock
from actors.ports import SessionElsewhereError
from actors.records import LiveRound

log = logging.getLogger("getaway.flights")


class HistoryCutError(SessionElsewhereError):
    """What is stored of a session is older than what this node has told of it: nobody may go on from there."""


KEPT_MS = 120_000
"""For so long after it would have ended by itself a flight is still remembered, as a proof that history was cut."""


class FlightMemory:
    """Remembers each flight for as long as it could have lasted and ``KEPT_MS``; nobody flies it on after that."""

    def __init__(self, clock: ServerClock) -> None:
        self._clock = clock
        self._ended: OrderedDict[UUID, tuple[UUID, int]] = OrderedDict()
        """Sessions and the moments at which the flights would have ended by themselves, by round."""
        self._of_session: dict[UUID, set[UUID]] = {}
        self._gone: OrderedDict[bytes, tuple[UUID, int]] = OrderedDict()
        """Flights that were handed over, by the digests of their sessions' tokens."""

        self._doubted: set[UUID] = set()

    def __len__(self) -> int:
        return len(self._ended) + len(self._gone)

    def end(self, session_id: UUID, round_id: UUID, ends_at_ms: int) -> None:
        """The flight's end is stored, and its seed revealed. By itself it would have ended at ``ends_at_ms``."""
        self._forget()
        self._ended[round_id] = (session_id, ends_at_ms)
        self._of_session.setdefault(session_id, set()).add(round_id)

    def go(self, token_digest: bytes, round_id: UUID, ends_at_ms: int) -> None:
        """Another node flies it now."""
        self._forget()
        self._gone[token_digest] = (round_id, ends_at_ms)

    def ask_back(self, token_digest: bytes) -> None:
        """The session is asked of its owner: a flight that comes with it is given by who has flown it."""
        self._gone.pop(token_digest, None)

    def contradicts(self, live: LiveRound) -> bool:
        """Whether what is stored is older than what this life has stored and told: the flight has ended, or it was
        handed over and no failure of its new owner has brought it back."""
        if live.round_id in self._ended:
            return True
        return live.interrupted_at_ms is None and any(gone == live.round_id for gone, _ in self._gone.values())

    def check(self, live: LiveRound) -> None:
        """Raise ``HistoryCutError`` for a live round of this life that memory ``contradicts``; logged once a round."""
        if not self.contradicts(live):
            return
        if live.round_id not in self._doubted:
            self._doubted.add(live.round_id)
            seen = {"round_id": str(live.round_id)}
            log.error("a round that has ended is stored as live: the database has gone back", extra=seen)
        raise HistoryCutError("what is stored is older than what was told")

    def ended_in(self, session_id: UUID) -> frozenset[UUID]:
        """The flights of a session that this life has ended and remembers."""
        return frozenset(self._of_session.get(session_id, ()))

    def _forget(self) -> None:
        """From the oldest on. One that lasts long keeps the ones behind it for as long, which is minutes."""
        now_ms = self._clock.steady_ms() - KEPT_MS
        while self._gone and next(iter(self._gone.values()))[1] < now_ms:
            self._gone.popitem(last=False)
        while self._ended:
            round_id, (session_id, ends_at_ms) = next(iter(self._ended.items()))
            if ends_at_ms >= now_ms:
                return
            del self._ended[round_id]
            self._doubted.discard(round_id)
            rounds = self._of_session[session_id]
            rounds.discard(round_id)
            if not rounds:
                del self._of_session[session_id]
