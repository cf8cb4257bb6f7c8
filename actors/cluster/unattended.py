"""Live rounds of this node that no actor of its own has: found by what is stored, and ended by the rules.

There should be none: an actor that fails has its round ended. This is for the ways that nobody thought of, because a
round that lives for ever keeps its player from betting, and a stake with it.
"""

import logging
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol
from uuid import UUID

import trio

from actors.cluster.recovery import resolve_stored
from actors.facts.records import FinishedRound, RoundKey
from actors.ports.ledger import LedgerUnavailableError
from actors.shared.flights import HistoryCutError
from actors.shared.services import Services

log = logging.getLogger("getaway.recovery")

ROUNDS_MAX = 20_000
"""So many of a node's live rounds are read at once, the oldest; the others when these have ended."""


class Attendance(Protocol):
    """Who has the actors of rounds: the lobby."""

    def attends(self, session_id: UUID) -> bool:
        """Whether a round's actor of the session runs here, or its end is under way, or the session is given away."""

    def forsaken(self) -> list[RoundKey]:
        """Rounds for whose end a session waits here, and of which no actor will tell it."""

    def alone_with(self, token_digest: bytes) -> AbstractAsyncContextManager[None]:
        """While the block runs nobody else opens the session here, or hands it over."""

    def lost_at_ms(self, round_id: UUID) -> int:
        """When the actor of the round failed; 0 if nothing is known of it."""

    async def note_end(self, key: RoundKey, finished: FinishedRound | None) -> None:
        """The round is not live any more; ``finished`` if it was ours to end."""


class UnattendedSweeper:
    """Looks every ``unattended_look_ms``; ends what had no actor at two looks in a row and is older than
    ``unattended_age_ms``. What does not open can't be ended: it is told once, left aside, and ended should it open."""

    kind: Final = "unattended"

    def __init__(self, services: Services, attendance: Attendance) -> None:
        self._services = services
        self._attendance = attendance
        self._suspects: set[UUID] = set()
        self._aside: set[UUID] = set()
        """Live rounds that did not open, until they do. Overflow, beyond ``ROUNDS_MAX``: one is told at each look."""

    async def run(self) -> None:
        while True:
            await trio.sleep(self._services.settings.unattended_look_ms / 1000)
            try:
                await self._sweep()
            except LedgerUnavailableError as error:
                log.warning("this node's live rounds could not be read", extra={"error": str(error)})

    async def _sweep(self) -> None:
        services = self._services
        before_ms = services.clock.now_ms() - services.settings.unattended_age_ms
        stored = await services.stores.rounds.own_live_rounds(services.owner, before_ms, ROUNDS_MAX)
        # What has an end in the ledger, but could not be told, is not among the live ones.
        known = {key.round_id: key for key in (*stored, *self._attendance.forsaken())}
        alone = [key for key in known.values() if not self._attendance.attends(key.session_id)]
        suspects, self._suspects = self._suspects, {key.round_id for key in alone}
        for key in alone:
            if key.round_id in suspects:
                await self._end(key)

    async def _end(self, key: RoundKey) -> None:
        services = self._services
        async with self._attendance.alone_with(key.token_digest):
            if self._attendance.attends(key.session_id):
                return  # Its player has come back meanwhile.
            asked = services.flights.moment
            live = await services.stores.rounds.live_round(key.operator_id, key.round_id)
            try:
                if live is not None and not services.flights.check(live, asked):
                    return  # It has ended meanwhile.
            except HistoryCutError:
                return  # Its end has been told, and may have been paid: a person has to look.
            names = {"round_id": str(key.round_id), "session_id": str(key.session_id)}
            if live is None and await services.stores.rounds.finished_round(key.operator_id, key.round_id) is None:
                await self._leave_aside(key, names)
                return
            self._aside.discard(key.round_id)
            log.error("a live round has no actor and is ended", extra=names)
            lost_at_ms = self._attendance.lost_at_ms(key.round_id)
            finished = await resolve_stored(services, key.operator_id, key.round_id, lost_at_ms)
            await self._attendance.note_end(key, finished)

    async def _leave_aside(self, key: RoundKey, names: dict[str, str]) -> None:
        """Whoever waits for its end learns that there is none to tell: once, or each look would say it again."""
        if key.round_id in self._aside:
            return
        if len(self._aside) < ROUNDS_MAX:
            self._aside.add(key.round_id)
        log.error("a live round has no actor and does not open: it is left aside for a person", extra=names)
        await self._attendance.note_end(key, None)
