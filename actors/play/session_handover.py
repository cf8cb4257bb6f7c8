"""How this node lets a session go to another one, and takes up what it was given."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from typing import Final
from uuid import UUID

import trio

from actors.facts.records import SessionRequest
from actors.kit.errors import ActorError
from actors.play.leaving_sessions import Departures
from actors.play.live_rounds import LiveRounds
from actors.play.open_sessions import OpenSessions
from actors.play.round import RoundActor
from actors.play.session import SessionActor
from actors.shared.messages import HandOver, Leave
from actors.shared.services import Services

log = logging.getLogger("getaway.lobby")

LEAVE_AGAIN_S: Final = 0.02
"""After which an actor whose mailbox was full is asked again to let go of its session."""


class Giving:
    """Implements ``actors.cluster.handover.Giver`` for open sessions."""

    def __init__(self, services: Services, sessions: OpenSessions, rounds: LiveRounds, departures: Departures) -> None:
        self._services = services
        self._sessions = sessions
        self._rounds = rounds
        self._departures = departures

    @asynccontextmanager
    async def giving(self, request: SessionRequest) -> AsyncIterator[None]:
        """Let go of the session; nobody opens it here while the block runs."""
        async with self._sessions.alone(request.token_digest):
            try:
                await self._let_go(request.token_digest, request.session_id)
                yield
            finally:
                self._departures.end(request.session_id)

    async def _let_go(self, digest: bytes, session_id: UUID) -> None:
        """First the session stops, which takes no more cash-outs; behind those that it took its round is told."""
        told: list[SessionActor | RoundActor] = []
        while True:
            ended = self._departures.begin(session_id)
            session, running = self._sessions.of(digest), self._rounds.of(session_id)
            if session is None and running is None:
                return
            try:
                if session is not None and session not in told:
                    session.tell(Leave())
                    told.append(session)
                elif session is None and running is not None and running not in told:
                    running.tell(HandOver())
                    told.append(running)
            except ActorError:
                log.debug("an actor has ended, or is too busy, when its session is to be handed over")
            with trio.move_on_after(LEAVE_AGAIN_S if session not in told and running not in told else inf):
                await ended.wait()

    async def is_current(self, request: SessionRequest) -> bool:
        """Whether no flight that this node has ended or given away is stored as live. Usually there is none."""
        services = self._services
        for round_id in services.flights.known_in(request.session_id):
            while True:
                asked = services.flights.moment
                live = await services.stores.rounds.live_round(request.operator_id, round_id)
                if live is None or services.flights.check(live, asked):
                    break
        return True

    def has_given(self, request: SessionRequest) -> None:
        """What was given does not fly on here unless it is asked back."""
        flight = self._departures.flight_of(request.session_id)
        if flight is not None:
            self._services.flights.go(request, flight.round_id, flight.ends_at_ms)

    async def reopen(self, digest: bytes) -> None:
        """The session stays here after all."""
        await self._sessions.open_alone(digest, asks=False)

    async def take_up(self, digest: bytes) -> None:
        """Open what this node was given."""
        if digest not in self._sessions:
            await self._sessions.open(digest, asks=False)
