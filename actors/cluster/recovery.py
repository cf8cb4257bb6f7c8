"""Rounds whose actor is gone are brought to their right end from what is stored, never from memory.

A round that a failure of ours interrupted is settled if its crash, or its automatic cash-out, came before the failure
(the node's last recorded heartbeat, in the time of the flight's own start); otherwise its stake is refunded. (Contract,
section 6.5.)
"""

import logging
from collections.abc import Callable
from typing import Final
from uuid import UUID

import trio

from actors.facts import ends
from actors.facts.records import CallStatus, FinishedRound, LiveRound, RoundStatus
from actors.facts.transitions import Applied, EndRound
from actors.ports.ledger import LedgerUnavailableError
from actors.rules.settlement import interrupted_end
from actors.shared.flights import HistoryCutError
from actors.shared.services import Services, commit_until_known

log = logging.getLogger("getaway.recovery")


def interrupted(services: Services, live: LiveRound, last_alive_ms: int) -> EndRound:
    """The right end of a round that was interrupted at ``last_alive_ms``, or earlier if its node died before.

    A bet that may have been sent is unknown: the round is void and the stake is refunded.
    """
    now_ms = services.clock.now_ms()
    if live.status is RoundStatus.BETTING:
        return ends.void(
            live,
            services.owner,
            ends.INTERRUPTED,
            bet_status=CallStatus.UNKNOWN,
            attempts=1,
            now_ms=now_ms,
        )
    assert live.started_at_ms is not None
    interrupted_at_ms = last_alive_ms if live.interrupted_at_ms is None else live.interrupted_at_ms
    settlement = interrupted_end(live.plan(), live.started_at_ms, interrupted_at_ms)
    if settlement is None:
        return ends.refunded(live, services.owner, ends.INTERRUPTED, now_ms)
    return ends.settled(live, services.owner, settlement, now_ms)


async def resolve(services: Services, live: LiveRound, last_alive_ms: int) -> EndRound | None:
    """Commit the end of an interrupted round; ``None`` if it is not ours to end any more."""
    end = interrupted(services, live, last_alive_ms)
    if not isinstance(await commit_until_known(services, end), Applied):
        return None
    if live.started_at_ms is not None:
        ends_at_ms = services.clock.steady_of(live.started_at_ms) + live.plan().ends_at_ms
        services.flights.end(live.session_id, live.round_id, ends_at_ms)
    services.observer.round_ended(end.finished.status.value, end.finished.result and end.finished.result.value)
    log.info(
        "an interrupted round was ended",
        extra={"round_id": str(live.round_id), "was": live.status.value, "status": end.finished.status.value},
    )
    return end


async def resolve_stored(
    services: Services, operator_id: UUID, round_id: UUID, last_alive_ms: int
) -> FinishedRound | None:
    """End a round of ours whose actor is gone, or read the end it had; ``None`` if it was never stored or is lost.

    A change whose answer was lost may still be on its way and overtake the end: then the round is read again.
    """
    wait_s = 0.05
    refused: RoundStatus | None = None
    while True:
        try:
            live = await services.stores.rounds.live_round(operator_id, round_id)
            if live is None:
                return await services.stores.rounds.finished_round(operator_id, round_id)
        except LedgerUnavailableError:
            await trio.sleep(wait_s)
            wait_s = min(wait_s * 2, 1)
            continue
        end = await resolve(services, live, last_alive_ms)
        if end is not None:
            return end.finished
        if live.status is refused:
            return None
        refused = live.status


class OrphanSweeper:
    """Takes the rounds of dead owners, at the start, when one has ended, and every ``orphan_sweep_ms``, and ends them.

    ``wake_courier`` tells the courier of an operator that has calls due.
    """

    kind: Final = "orphans"

    def __init__(self, services: Services, wake_courier: Callable[[UUID], None]) -> None:
        self._services = services
        self._wake_courier = wake_courier
        self._one_at_a_time = trio.Lock()

    async def run(self) -> None:
        while True:
            try:
                while await self.sweep() == self._services.settings.orphan_batch_max:
                    pass
                while await self.release_claims() == self._services.settings.orphan_batch_max:
                    pass
            except LedgerUnavailableError as error:
                log.warning("orphaned rounds could not be read", extra={"error": str(error)})
            with trio.move_on_after(self._services.settings.orphan_sweep_ms / 1000):
                await self._services.contact.somebody_ended()

    async def sweep(self) -> int:
        """End one batch; how many rounds there were. Raises ``LedgerUnavailableError``."""
        async with self._one_at_a_time:
            return await self._sweep()

    async def _sweep(self) -> int:
        services = self._services
        if services.contact.is_cut:
            return 0
        asked = services.flights.moment
        orphans = await services.stores.rounds.take_orphans(
            services.owner, services.contact.lease_ms, services.settings.orphan_batch_max, services.contact.written_ms
        )
        async with trio.open_nursery() as nursery:
            for live in orphans:
                nursery.start_soon(self._end, live, asked)
        return len(orphans)

    async def _end(self, live: LiveRound, asked: int) -> None:
        assert live.interrupted_at_ms is not None, "taking a round notes it"
        try:
            if not self._services.flights.check(live, asked):
                return  # It has been ended for its player, who came back meanwhile.
        except HistoryCutError:
            return  # Its end has been told, and may have been paid: a person has to look.
        ending = await resolve(self._services, live, live.interrupted_at_ms)
        if ending is not None and ending.outbox_minor:
            self._wake_courier(live.operator_id)

    async def release_claims(self) -> int:
        """Make a batch of calls due that the dead had claimed; how many. Raises ``LedgerUnavailableError``."""
        services = self._services
        return await services.stores.outbox.release_claims(
            services.owner, services.contact.lease_ms, services.settings.orphan_batch_max
        )
