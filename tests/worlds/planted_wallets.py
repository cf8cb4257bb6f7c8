"""Bugs of what is between an operator's wallet and the actors: sendings, their answers, turns and time."""

import trio

import server.wallet.gateway
from actors.ports.wallet import Acknowledged, NotSent, Unclear
from actors.wallet.pool import WalletPool
from actors.wallet.wallet import WalletActor
from server.wallet.gateway import HttpWalletGateway
from tests.worlds.planting import Bugs

BUGS = Bugs()


@BUGS.named("the answer to a repetition is the call's")
def _last_one_wins():
    return [(server.wallet.gateway, "answer_of_all", lambda sendings: sendings[-1])]


@BUGS.named("a lost connection counts as none")
def _lost_is_unsent():
    return [(server.wallet.gateway, "_unanswered", lambda sending, problem: NotSent(problem, is_unreachable=True))]


@BUGS.named("a repetition gets a whole new deadline")
def _time_anew():
    real = HttpWalletGateway._answer

    async def answer(self, operator, call, give_up_at, sending):
        give_up_at += 0 if sending.may_reuse else trio.current_time() - give_up_at + 5
        return await real(self, operator, call, give_up_at, sending)

    return [(HttpWalletGateway, "_answer", answer)]


@BUGS.named("a bet that nobody answers for counts as not sent")
def _unanswered_is_unsent():
    real = WalletPool.send_bet

    async def send_bet(self, call):
        answer = await real(self, call)
        if isinstance(answer, Unclear) and answer.detail == "the wallet actor did not answer":
            return NotSent(answer.detail)
        return answer

    return [(WalletPool, "send_bet", send_bet)]


@BUGS.named("a bet is sent although the breaker opened while it waited")
def _asked_too_early():
    async def _send_bet(self, call):
        is_permitted = self._bulkhead.permits
        give_up_at = trio.current_time() + self._services.settings.bet_timeout_ms / 1000
        if not await self._take_place(give_up_at):
            return NotSent("too many bets of this operator are in flight")
        try:
            left_ms = int((give_up_at - trio.current_time()) * 1000)
            if left_ms <= 0 or not is_permitted:
                return NotSent("the operator's wallet keeps failing")
            return await self._attempt(call, left_ms, was_trial=self._bulkhead.permits and self._bulkhead.begin())
        finally:
            self._bulkhead.bets.release_on_behalf_of(self)

    return [(WalletActor, "_send_bet", _send_bet)]


@BUGS.named("a balance that was not told is nought")
def _untold_is_nought():
    real = WalletActor._attempt

    async def attempt(self, call, timeout_ms, *, was_trial):
        answer = await real(self, call, timeout_ms, was_trial=was_trial)
        is_untold = isinstance(answer, Acknowledged) and answer.balance_minor is None
        return Acknowledged(0, answer.sends) if is_untold else answer

    return [(WalletActor, "_attempt", attempt)]
