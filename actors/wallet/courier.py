"""The courier: one actor a node that finds which stored wins and refunds are due and has them delivered.

It claims due calls in the ledger, so that no other node sends them meanwhile, and hands each to its session's wallet
actor. A claim ends by itself: what a dead node had claimed is due again then, or once the node is known to be dead.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import trio

from actors.facts.records import WalletCall
from actors.kit.actor import Actor
from actors.ports.ledger import LedgerUnavailableError
from actors.shared.services import Services
from actors.wallet.bulkheads import Bulkheads
from actors.wallet.pool import WalletPool

log = logging.getLogger("getaway.courier")


class Courier(Actor[UUID]):
    """Claims every ``courier_poll_ms``, and when it is told an operator: a win or refund was stored, or a full
    bulkhead has room again."""

    def __init__(self, services: Services, pool: WalletPool) -> None:
        super().__init__("courier", services.settings.courier_mailbox_max)
        self._services = services
        self._pool = pool
        self._is_claiming = False
        self._may_hold_more = False
        """Claims may be ours that nobody sends: a claim's answer was lost, or a call could not be handed over."""

    @property
    def is_busy(self) -> bool:
        """Whether it has something to look for, or calls are being claimed."""
        return self.queued > 0 or self._is_claiming

    async def run(self) -> None:
        """Claim and hand over for ever. Between polls only the operators that it was told are looked at."""
        poll_s = self._services.settings.courier_poll_ms / 1000
        poll_at = trio.current_time()
        while True:
            operator_ids: set[UUID] = set()
            with trio.move_on_at(poll_at):
                operator_ids.add(await self.receive())
            while (operator_id := self.receive_nowait()) is not None:
                operator_ids.add(operator_id)
            if trio.current_time() >= poll_at:
                poll_at = trio.current_time() + poll_s
                operator_ids.update(self._services.operators.ids)
            try:
                await self._send_claimed(sorted(operator_ids))
            except LedgerUnavailableError as error:
                log.warning("due wallet calls could not be read", extra={"error": str(error)})
                await trio.sleep(poll_s)

    async def _send_claimed(self, operator_ids: Sequence[UUID]) -> None:
        services, outbox, bulkheads = self._services, self._services.stores.outbox, self._pool.bulkheads
        if services.contact.is_cut:
            return
        quotas = bulkheads.quotas(operator_ids)
        if not quotas:
            return
        self._is_claiming = True
        try:
            may_hold_more = self._pool.take_unsent_claims() or self._may_hold_more
            self._may_hold_more = True
            if may_hold_more:
                await outbox.give_up_claims(services.owner, bulkheads.in_flight, services.clock.now_ms())
            claimed = await outbox.claim_calls(
                services.owner, quotas, services.settings.claim_ms, bulkheads.ahead_until_ms(quotas)
            )
        finally:
            self._is_claiming = False
        _note_claimed(bulkheads, quotas, claimed)
        handed_over = [self._pool.hand_over(call) for call in claimed]
        self._may_hold_more = not all(handed_over)


def _note_claimed(bulkheads: Bulkheads, quotas: Mapping[UUID, int], claimed: Sequence[WalletCall]) -> None:
    by_operator: dict[UUID, list[WalletCall]] = {operator_id: [] for operator_id in quotas}
    for call in claimed:
        by_operator[call.operator_id].append(call)
    for operator_id, quota in quotas.items():
        bulkheads.of(operator_id).note_claimed(by_operator[operator_id], quota)


class OutboxWatch:
    """Reads every ``outbox_watch_ms`` what each operator has in the outbox, and reports it to the observer, and to the
    bulkheads, which know only of their own node's failures."""

    kind: Final = "outbox"

    def __init__(self, services: Services, bulkheads: Bulkheads) -> None:
        self._services = services
        self._bulkheads = bulkheads

    async def run(self) -> None:
        while True:
            try:
                counts = await self._services.stores.outbox.outbox_counts()
                self._services.observer.outbox(counts, self._services.clock.now_ms())
                for count in counts:
                    if count.pending:
                        self._bulkheads.of(count.operator_id).note_waiting()
            except LedgerUnavailableError as error:
                log.warning("the outbox could not be read", extra={"error": str(error)})
            await trio.sleep(self._services.settings.outbox_watch_ms / 1000)
