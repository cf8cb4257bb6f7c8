"""Hand-overs: a session, and the flight in it, goes from the living node that has it to the one its player came to.

The asking node writes a request and looks until the session is its own. Every node of several reads what is asked of
it, lets go of each such session and moves it, in that order: only what has no actor any more is moved. What a node is
given it takes up even if the player has gone meanwhile, because a flight may have come with it.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final, Protocol

import trio

from actors.facts.records import OpenedSession, SessionRequest
from actors.kit.supervisor import RunBeside
from actors.ports.handovers import REQUESTS_MAX
from actors.ports.ledger import LedgerUnavailableError
from actors.ports.sessions import SessionElsewhereError
from actors.shared.services import REPEAT_FIRST_MS, REPEAT_MAX_MS, Services

log = logging.getLogger("getaway.handover")

WITHDRAW_MS_MAX = 2_000
"""How long withdrawing a request may take. One that stays is too old for everybody soon after."""


async def open_session(services: Services, digest: bytes) -> OpenedSession | None:
    """Take the session unless another living node has it, under a new promise. Raises like the port."""
    return await services.stores.sessions.open_session(
        digest,
        services.owner,
        services.contact.lease_ms,
        services.entropy.server_seed(),
    )


async def open_or_ask(services: Services, digest: bytes, is_draining: Callable[[], bool]) -> OpenedSession | None:
    """Take the session; if another living node has it, ask for it and wait for ``handover_patience_ms`` at most.

    Raises ``SessionElsewhereError`` after that, or once this node drains, and ``LedgerUnavailableError``.
    """
    try:
        return await open_session(services, digest)
    except SessionElsewhereError:
        log.debug("a session is asked of another node")
    is_here = False
    try:
        await services.stores.handovers.request_session(digest, services.owner)
        opened = await _look_for(services, digest, is_draining)
        is_here = True
        return opened
    finally:
        if not is_here:
            await _withdraw(services, digest)


async def note_return(services: Services, opened: OpenedSession) -> None:
    """A flight that was handed over is stored as this node's: it has come back if this node has asked for it since.

    Raises ``LedgerUnavailableError``.
    """
    live = opened.live_round
    if live is None or not opened.owns_round or not services.flights.has_gone(live.round_id):
        return
    settings = services.settings
    for request in await services.stores.handovers.session_requests(
        services.owner, settings.lease_ms, settings.handover_patience_ms
    ):
        if request.session_id == live.session_id and request.asker == services.owner:
            services.flights.come_back(request, live.round_id)


async def _look_for(services: Services, digest: bytes, is_draining: Callable[[], bool]) -> OpenedSession | None:
    settings = services.settings
    give_up_at = trio.current_time() + settings.handover_patience_ms / 1000
    while True:
        await trio.sleep(settings.handover_look_ms / 1000)
        try:
            return await open_session(services, digest)
        except (SessionElsewhereError, LedgerUnavailableError):
            if trio.current_time() >= give_up_at or is_draining():
                raise


async def _withdraw(services: Services, digest: bytes) -> None:
    with trio.move_on_after(WITHDRAW_MS_MAX / 1000, shield=True):
        try:
            await services.stores.handovers.withdraw_request(digest, services.owner)
        except LedgerUnavailableError as error:
            log.warning("a request for a session was not withdrawn", extra={"error": str(error)})


class Giver(Protocol):
    """Who has the actors of sessions and rounds: the lobby."""

    def giving(self, request: SessionRequest) -> AbstractAsyncContextManager[None]:
        """While the block runs nobody opens the session here. It begins when the session has no actor any more, and
        neither has a round of it: that has ended, or its flight was left as it is."""

    async def is_current(self, request: SessionRequest) -> bool:
        """Within ``giving``: whether nothing that has ended here, or has gone, is stored as live. Raises
        ``LedgerUnavailableError``."""

    def has_given(self, request: SessionRequest) -> None:
        """Within ``giving``: the session and what flew in it are the asker's now."""

    async def reopen(self, digest: bytes) -> None:
        """Within ``giving``: the session stays here after all; what flies in it flies on. Raises like ``take_up``."""

    async def take_up(self, digest: bytes) -> None:
        """Open a session of this node, unless it is open, and fly its flight on.

        Raises ``LedgerUnavailableError``, and ``SessionElsewhereError`` if it is not this node's any more.
        """


class HandOvers:
    """Serves what other nodes ask of this one, and takes up what it was given: every ``handover_poll_ms``, or every
    ``company_look_ms`` while no other node lives. ``run_beside`` runs one hand-over; a session has one at a time."""

    kind: Final = "handovers"

    def __init__(self, services: Services, giver: Giver, run_beside: RunBeside) -> None:
        self._services = services
        self._giver = giver
        self._run_beside = run_beside
        self._under_way: set[object] = set()

    async def run(self) -> None:
        settings = self._services.settings
        look_around_at = trio.current_time()
        has_company = False
        while True:
            try:
                if trio.current_time() >= look_around_at:
                    look_around_at = trio.current_time() + settings.company_look_ms / 1000
                    has_company = await self._has_company()
                    self._services.contact.note_company(has_company=has_company)
                await self._serve()
            except LedgerUnavailableError as error:
                log.warning("requests for sessions could not be read", extra={"error": str(error)})
                await trio.sleep(settings.company_look_ms / 1000)
            await trio.sleep((settings.handover_poll_ms if has_company else settings.company_look_ms) / 1000)

    async def _has_company(self) -> bool:
        services = self._services
        return await services.stores.nodes.has_company(services.owner, services.contact.lease_ms)

    async def _serve(self) -> None:
        services = self._services
        # Not the contact's lease, which spares the silent after an outage: nothing is given to who may be dead.
        requests = await services.stores.handovers.session_requests(
            services.owner,
            services.settings.lease_ms,
            services.settings.handover_patience_ms,
        )
        for request in requests:
            if request.session_id not in self._under_way and len(self._under_way) < REQUESTS_MAX:
                self._under_way.add(request.session_id)
                work = self._take_up if request.asker == services.owner else self._give
                self._run_beside(partial(self._one, work, request), self.kind)

    async def _one(self, work: Callable[[SessionRequest], Awaitable[None]], request: SessionRequest) -> None:
        try:
            await work(request)
        finally:
            self._under_way.discard(request.session_id)

    async def _give(self, request: SessionRequest) -> None:
        async with self._giver.giving(request):
            if not await _until_answered(partial(self._giver.is_current, request)):
                return
            if await _until_answered(partial(self._move, request)):
                self._giver.has_given(request)
                log.debug("a session was handed over", extra={"session_id": str(request.session_id)})
                return
            # The asker has died or wants it no more, or what is stored of a round has to be ended first.
            await _until_answered(partial(self._giver.reopen, request.token_digest))

    async def _move(self, request: SessionRequest) -> bool:
        services = self._services
        return await services.stores.handovers.move_session(services.owner, request, services.settings.lease_ms)

    async def _take_up(self, request: SessionRequest) -> None:
        """Where the ledger fails the request stays, and comes again."""
        try:
            await self._note_return(request)
            await self._giver.take_up(request.token_digest)
            await self._services.stores.handovers.end_request(request)
        except SessionElsewhereError:
            log.debug("a session went on before it was taken up", extra={"session_id": str(request.session_id)})
        except LedgerUnavailableError as error:
            log.warning("a session could not be taken up yet", extra={"error": str(error)})

    async def _note_return(self, request: SessionRequest) -> None:
        """Before it is opened: should its row not open, its flight is ended all the same."""
        services = self._services
        for round_id in services.flights.known_in(request.session_id):
            if services.flights.has_gone(round_id) and await services.stores.rounds.live_round(
                request.operator_id, round_id
            ):
                services.flights.come_back(request, round_id)


async def _until_answered(ask: Callable[[], Awaitable[bool | None]]) -> bool | None:
    """Repeat ``ask`` while the ledger is unavailable; ``None`` if the session is elsewhere."""
    wait_ms = REPEAT_FIRST_MS
    while True:
        try:
            return await ask()
        except SessionElsewhereError:
            return None
        except LedgerUnavailableError:
            await trio.sleep(wait_ms / 1000)
        wait_ms = min(wait_ms * 2, REPEAT_MAX_MS)
