"""Closing a round: its end is stored, then told, and its win or refund is sent."""

import logging

from actors.facts import ends
from actors.facts.records import CallStatus, LiveRound
from actors.facts.transitions import Answer, Applied, EndRound
from actors.ports.wallet import Declined, NotSent, Unclear, WalletAnswer
from actors.rules.settlement import Settlement
from actors.shared.messages import RoundLost, RoundNews, RoundOver
from actors.shared.services import Services, commit_until_known
from actors.wallet.pool import WalletPool

log = logging.getLogger("getaway.round")


class Closing:
    """The end of one round of this node. Its win or refund is claimed with it, if the bulkhead has a place."""

    def __init__(self, services: Services, pool: WalletPool, placed: LiveRound) -> None:
        self._services = services
        self._pool = pool
        self._placed = placed
        self.is_storing = False
        """Whether the end is decided, and not stored yet."""
        self.is_over = False
        """Whether the end is stored, and told."""

    def void(self, reason: str, bet_status: CallStatus, attempts: int, detail: str) -> EndRound:
        return ends.void(
            self._placed,
            self._services.owner,
            reason,
            bet_status=bet_status,
            attempts=attempts,
            now_ms=self._services.clock.now_ms(),
            detail=detail,
            claim=self._pool.claim,
        )

    def untaken(self, answer: WalletAnswer) -> EndRound:
        """``betting -> void`` by an answer that lets no flight begin: a bet that may have been taken is refunded."""
        if isinstance(answer, Declined):
            return self.void("bet_declined", CallStatus.DECLINED, answer.sends, answer.detail)
        if isinstance(answer, NotSent):
            detail = f"not sent: {answer.detail}"
            self._warn("a bet was not sent", detail, attempts=0)
            return self.void("wallet_unavailable", CallStatus.DECLINED, 0, detail)
        detail = answer.detail if isinstance(answer, Unclear) else "taken, but the answer has no balance"
        self._warn("a bet has no clear answer and is refunded", detail, answer.sends)
        return self.void("wallet_unavailable", CallStatus.UNKNOWN, answer.sends, detail)

    def refunded(self, live: LiveRound, reason: str) -> EndRound:
        return ends.refunded(live, self._services.owner, reason, self._services.clock.now_ms(), self._pool.claim)

    def settled(self, live: LiveRound, settlement: Settlement) -> EndRound:
        return ends.settled(live, self._services.owner, settlement, self._services.clock.now_ms(), self._pool.claim)

    async def end(
        self,
        end: EndRound,
        frame_id: str | None = None,
        *,
        balance_minor: int | None = None,
        if_refused: RoundNews | None = None,
    ) -> bool:
        """Whether the ledger took it. The session is told, or gets ``if_refused``, which is ``RoundLost`` by default.

        ``frame_id`` and ``balance_minor`` are those of ``RoundOver``.
        """
        answer = await self._store(end)
        if isinstance(answer, Applied):
            self._note_over(end)
            self._report(RoundOver(end.finished, end.outbox_minor, frame_id, balance_minor))
        else:
            self._report(if_refused or RoundLost())
        if end.call is not None and end.is_claimed:
            self._pool.send_claimed(end.call, is_claimed=isinstance(answer, Applied) and answer.is_claimed)
        elif end.call is not None:
            self._pool.wake_courier(self._placed.operator_id)
        return isinstance(answer, Applied)

    async def _store(self, end: EndRound) -> Answer:
        self.is_storing = True
        try:
            return await commit_until_known(self._services, end)
        finally:
            self.is_storing = False

    def _note_over(self, end: EndRound) -> None:
        self.is_over = True
        services, placed, finished = self._services, self._placed, end.finished
        services.observer.round_ended(finished.status.value, finished.result and finished.result.value)
        whose = placed.operator_id, placed.operator_player_id, placed.session_id
        services.tally.ended(*whose, finished.status, services.clock.steady_ms())

    def _report(self, news: RoundNews) -> None:
        self._services.addresses.tell_session(self._placed.session_id, news)

    def _warn(self, event: str, detail: str, attempts: int) -> None:
        log.warning(event, extra={"round_id": str(self._placed.round_id), "detail": detail, "attempts": attempts})
