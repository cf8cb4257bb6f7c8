"""The wallet actor: one per session, it sends the session's callbacks to the operator one at a time, in order.

A bet is one attempt whose answer decides the round. A win or refund comes from the courier, claimed: the actor sends it
once and stores what became of it; a failed one is due again later. It can be started for any session at any time.
"""

import logging
from collections.abc import Mapping
from typing import Final
from uuid import UUID

import trio

from actors.facts.records import WalletCall
from actors.facts.transitions import AcknowledgeCall, Applied, PostponeCall
from actors.kit.actor import Actor
from actors.ports.wallet import Acknowledged, Declined, NotSent, Unclear, WalletAnswer
from actors.rules.retries import is_over, pause_after_refusal_ms, pause_as_asked_ms, wait_before_attempt_ms
from actors.shared.messages import SendBet, SendClaimed, WalletNews
from actors.shared.services import Services, commit_until_known
from actors.wallet.bulkheads import Bulkhead

log = logging.getLogger("getaway.wallet")

Unanswered = Declined | Unclear | NotSent
"""What leaves a win or refund to be sent again."""

OUTCOMES: Final[Mapping[type[WalletAnswer], str]] = {
    Acknowledged: "acknowledged",
    Declined: "declined",
    Unclear: "unclear",
    NotSent: "not_sent",
}
"""What an attempt is counted as."""


class WalletActor(Actor[SendBet | SendClaimed]):
    """Serializes one session's signed callbacks."""

    def __init__(
        self,
        services: Services,
        operator_id: UUID,
        session_id: UUID,
        bulkhead: Bulkhead,
    ) -> None:
        super().__init__("wallet", services.settings.wallet_mailbox_max, session_id)
        self._services = services
        self._operator_id = operator_id
        self.session_id = session_id
        self._bulkhead = bulkhead

    async def run(self) -> None:
        """Serve what has come. To wait for more would cost more than to start anew."""
        while (message := self.receive_nowait()) is not None:
            match message:
                case SendBet() as bet:
                    bet.reply.answer(await self._send_bet(bet.call))
                case SendClaimed() as claimed:
                    is_tried = self._bulkhead.permits
                    try:
                        if is_tried:
                            await self._send_claimed(claimed.call)
                    finally:
                        claimed.ended(is_tried)

    def leave_unread(self, message: SendBet | SendClaimed) -> None:
        """A win or refund that waited behind what failed is due again at once."""
        if isinstance(message, SendClaimed):
            message.ended(False)

    async def _send_bet(self, call: WalletCall) -> WalletAnswer:
        """Within the bet's deadline, the wait for a place among the operator's bets included."""
        give_up_at = trio.current_time() + self._services.settings.bet_timeout_ms / 1000
        if not await self._take_place(give_up_at):
            return NotSent("too many bets of this operator are in flight")
        try:
            left_ms = int((give_up_at - trio.current_time()) * 1000)
            if left_ms <= 0 or not self._bulkhead.permits:
                return NotSent("the operator's wallet keeps failing")
            return await self._attempt(call, left_ms, was_trial=self._bulkhead.begin())
        finally:
            self._bulkhead.bets.release_on_behalf_of(self)

    async def _take_place(self, give_up_at: float) -> bool:
        try:
            self._bulkhead.bets.acquire_on_behalf_of_nowait(self)
        except trio.WouldBlock:
            with trio.move_on_at(give_up_at):
                await self._bulkhead.bets.acquire_on_behalf_of(self)
                return True
            return False
        return True

    async def _attempt(self, call: WalletCall, timeout_ms: int, *, was_trial: bool) -> WalletAnswer:
        """One attempt, at most ``timeout_ms`` long: the gateway sees to that."""
        operator = self._services.operators.find(self._operator_id)
        if operator is None:
            return NotSent("the operator is not known to this node yet")
        began_at = trio.current_time()
        answer = await self._services.gateway.send(operator, call, timeout_ms)
        outcome = OUTCOMES[type(answer)]
        self._services.observer.wallet_call(call.kind, outcome, trio.current_time() - began_at)
        self._bulkhead.note(call.kind, answer, was_trial=was_trial)
        return answer

    async def _send_claimed(self, call: WalletCall) -> None:
        settings = self._services.settings
        if self._services.clock.now_ms() + settings.delivery_timeout_ms > call.next_attempt_at_ms:
            return  # It waited too long here: its claim could end while it is sent, and another node send it, too.
        answer = await self._attempt(call, settings.delivery_timeout_ms, was_trial=self._bulkhead.begin())
        attempts = call.attempts + answer.sends
        if isinstance(answer, Acknowledged):
            await commit_until_known(self._services, self._acknowledged(call, attempts, answer.balance_minor))
            self._tell_session(WalletNews(call.operator_tx_id, answer.balance_minor))
            return
        self._services.observer.wallet_retry(self._operator_id)
        postponed = self._postponed(call, attempts, answer)
        log.warning(
            "a wallet call was not acknowledged",
            extra={
                "kind": call.kind.value,
                "round_id": str(call.round_id),
                "attempts": attempts,
                "detail": postponed.last_error,
                "parked": postponed.parked,
            },
        )
        stored = await commit_until_known(self._services, postponed)
        if postponed.parked and isinstance(stored, Applied):
            self._tell_session(WalletNews(call.operator_tx_id, None, is_parked=True))

    def _tell_session(self, news: WalletNews) -> None:
        self._services.addresses.tell_session(self.session_id, news)

    def _acknowledged(self, call: WalletCall, attempts: int, balance_minor: int | None) -> AcknowledgeCall:
        return AcknowledgeCall(
            operator_id=self._operator_id,
            session_id=self.session_id,
            operator_tx_id=call.operator_tx_id,
            attempts=attempts,
            balance_minor=balance_minor,
            acknowledged_at_ms=self._services.clock.now_ms(),
        )

    def _postponed(self, call: WalletCall, attempts: int, answer: Unanswered) -> PostponeCall:
        settings, now_ms = self._services.settings, self._services.clock.now_ms()
        jitter, refused_since_ms = self._services.entropy.fraction(), _refused_since_ms(call, answer, now_ms)
        refused_for_ms = now_ms - refused_since_ms if refused_since_ms is not None else 0
        asked_ms = max(pause_after_refusal_ms(refused_for_ms, jitter), pause_as_asked_ms(answer.retry_after_ms, jitter))
        usual_ms = wait_before_attempt_ms(
            attempts,
            settings.retry_first_ms,
            settings.retry_max_ms,
            jitter,
            unsent_for_ms=now_ms - call.created_at_ms if isinstance(answer, NotSent) else 0,
        )
        next_attempt_at_ms = now_ms + max(usual_ms, asked_ms)
        keeps_its_turn = asked_ms > 0 or self._bulkhead.was_ahead(call)
        return PostponeCall(
            owner=self._services.owner,
            operator_id=self._operator_id,
            session_id=self.session_id,
            operator_tx_id=call.operator_tx_id,
            attempts=attempts,
            next_attempt_at_ms=next_attempt_at_ms,
            last_error=f"not sent: {answer.detail}" if isinstance(answer, NotSent) else answer.detail,
            parked=is_over(call.created_at_ms, now_ms, settings.retry_period_ms),
            refused_since_ms=refused_since_ms,
            not_before_ms=next_attempt_at_ms if keeps_its_turn else None,
        )


def _refused_since_ms(call: WalletCall, answer: Unanswered, now_ms: int) -> int | None:
    """Since when the call's answers are plain refusals. What never left says nothing."""
    if isinstance(answer, Unclear):
        return None
    is_first = isinstance(answer, Declined) and call.refused_since_ms is None
    return now_ms if is_first else call.refused_since_ms
