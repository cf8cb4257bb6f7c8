"""Sessions that leave this node for another one, and the ends that somebody waits for."""

from uuid import UUID

import trio

from actors.shared.metronome import Flight


class Departures:
    """A table: who hands a session over begins and ends its departure, whoever keeps actors notes their ends."""

    def __init__(self) -> None:
        self._ends: dict[UUID, trio.Event] = {}
        """By session; each is set when an actor of the session ends."""
        self._flights: dict[UUID, Flight] = {}
        """By session: the flight that its round's actor left as it is."""
        self._any_end = trio.Event()

    def __len__(self) -> int:
        """How many sessions are leaving."""
        return len(self._ends)

    def __contains__(self, session_id: object) -> bool:
        """Whether the session is leaving."""
        return session_id in self._ends

    def begin(self, session_id: UUID) -> trio.Event:
        """The session leaves. The event is set at the next end of an actor of it."""
        self._ends[session_id] = trio.Event()
        return self._ends[session_id]

    def end(self, session_id: UUID) -> None:
        """The session has left, or stays after all."""
        self._ends.pop(session_id, None)
        self._flights.pop(session_id, None)
        self._note_any_end()

    def leave(self, session_id: UUID, flight: Flight) -> None:
        """The flight goes along with its session, should that be leaving."""
        if session_id in self._ends:
            self._flights[session_id] = flight

    def flight_of(self, session_id: UUID) -> Flight | None:
        return self._flights.get(session_id)

    def note_end(self, session_id: UUID) -> None:
        """An actor of the session, or of a round of it, has ended."""
        if session_id in self._ends:
            self._ends[session_id].set()
        self._note_any_end()

    async def next_end(self) -> None:
        """Wait until an actor, or a departure, has ended."""
        await self._any_end.wait()

    def _note_any_end(self) -> None:
        self._any_end.set()
        self._any_end = trio.Event()
