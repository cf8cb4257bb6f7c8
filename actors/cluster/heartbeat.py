"""The heartbeat: by it a node holds its lease, learns of the dead, and sees whether the database has gone back."""

import logging
from collections.abc import Callable
from typing import Final

import trio

from actors.ports.ledger import LedgerUnavailableError
from actors.ports.nodes import Pulse
from actors.rules.lineage import cut_reason
from actors.shared.contact import DIFFERENCE_MS_MAX, DIFFERENCE_MS_WARNED
from actors.shared.services import Services

log = logging.getLogger("getaway.recovery")


class Heartbeat:
    """Records every ``heartbeat_ms`` that this node is alive, and has its clocks looked at again.

    Calls ``fenced`` when a newer life of it has begun.
    """

    kind: Final = "heartbeat"

    def __init__(self, services: Services, fenced: Callable[[], None]) -> None:
        self._services = services
        self._fenced = fenced
        self._is_warned = False
        self._cut_reason: str | None = None
        """Found, and not noted in the ledger yet."""

    async def run(self) -> None:
        while True:
            try:
                pulse = await self.beat()
            except LedgerUnavailableError as error:
                self._services.contact.failed()
                log.warning("the heartbeat was not recorded", extra={"error": str(error)})
            else:
                if pulse.is_superseded:
                    log.error("a newer process has taken this node's name; this one stops")
                    self._fenced()
                    return
                if self._services.contact.must_register:
                    if pulse.is_over:
                        log.warning("this life's lease ran out, or others knew it gone")
                    log.log(
                        logging.ERROR if self._services.contact.is_cut else logging.WARNING,
                        "this life ends, and the node registers anew",
                    )
                    self._fenced()
                    return
            await trio.sleep(self._services.settings.heartbeat_ms / 1000)

    async def beat(self) -> Pulse:
        """Send one heartbeat. Raises ``LedgerUnavailableError``."""
        services = self._services
        self._note_step("wall", services.clock.look())
        asked_at = trio.current_time()
        contact = services.contact
        pulse = await services.stores.nodes.heartbeat(
            services.owner, services.clock.cautious_ms(), services.settings.lease_ms, contact.written_ms
        )
        self._note_step("house", contact.beat(pulse, asked_at))
        self._note_difference(contact.difference_ms)
        if not pulse.is_superseded:
            contact.must_register = contact.must_register or pulse.is_over
            await self._judge_history(pulse)
            if contact.may_judge and not contact.is_cut:
                await self._find_dead()
            contact.note_end(pulse.newest_end_ms)
        return pulse

    async def _find_dead(self) -> None:
        for owner in await self._services.stores.nodes.end_silent(
            self._services.owner, self._services.contact.silent_ms
        ):
            log.warning("a node's process is gone", extra={"of_node": owner.node, "epoch": owner.epoch})

    async def _judge_history(self, pulse: Pulse) -> None:
        """Nothing new begins in a history that was cut, whoever finds it; and no life goes on into another history."""
        services, lineage = self._services, pulse.lineage
        contact = services.contact
        reason = self._cut_reason or cut_reason(lineage, recorded_ms=pulse.before_ms, written_ms=contact.written_ms)
        if pulse.is_recorded:
            contact.written_ms = pulse.database_ms
        if reason is not None:
            self._cut_reason, contact.is_cut = reason, True
            log.error("the database's history was cut: no bets until `getaway restored`", extra={"reason": reason})
            await services.stores.nodes.note_cut(services.owner, lineage.history_id, reason, contact.history_id)
            self._cut_reason = None
            contact.must_register = contact.history_id is not None or pulse.before_ms is None
        elif lineage.has_moved:
            log.warning("a standby was promoted for which all commits had waited: nothing was lost")
            await services.stores.nodes.adopt_place(lineage.history_id)
        if lineage.cut_reason is not None and not contact.is_cut:
            log.error("no bets until `getaway restored`", extra={"reason": lineage.cut_reason})
            contact.is_cut = True
            contact.must_register = contact.must_register or contact.history_id is not None
        if contact.history_id not in {None, lineage.history_id}:
            contact.must_register = True
        contact.history_id = lineage.history_id
        services.observer.history_cut(is_cut=contact.is_cut)

    def _note_step(self, clock: str, step_ms: int) -> None:
        if step_ms:
            log.warning("a clock was corrected", extra={"clock": clock, "step_ms": step_ms})
            self._services.observer.clock_stepped(clock, step_ms)

    def _note_difference(self, difference_ms: float) -> None:
        self._services.observer.clock_differs(difference_ms)
        is_far = abs(difference_ms) > DIFFERENCE_MS_WARNED
        if is_far and not self._is_warned:
            log.warning(
                "the machine's clock differs from the database's",
                extra={"difference_ms": round(difference_ms), "bets_refused_beyond_ms": DIFFERENCE_MS_MAX},
            )
        elif self._is_warned and not is_far:
            log.info("the machine's clock agrees with the database's again")
        self._is_warned = is_far
