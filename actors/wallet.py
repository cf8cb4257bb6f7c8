"""The wallet actor: one per session, it sends the session's callbacks to the operator one at a time, in order.

A bet is one attempt whose answer decides the round. Wins and refunds are stored rows: the actor sends the oldest one
until the operator acknowledges it, and only then the next. It can be started for any session at any time from rows.
"""

import logging
from collections.abc import Callable
from functools import partial
from uuid import UUID

import trio

from actors.actor import Actor
from actors.errors import ActorError
from actors.messages import Deliver, SendBet, WalletNews
from actors.ports import Acknowledged, Declined, LedgerUnavailableError, Unclear, WalletAnswer
from actors.records import WalletCall
from actors.rules.retries import is_over, wait_before_attempt_ms
from actors.services import Services, commit_until_known
from actors.transitions import AcknowledgeCall, PostponeCall

log = logging.getLogger("getaway.wallet")


REST_CHECK_S = 0.005
"""A wallet at rest is about to take what was queued for it meanwhile."""


class WalletActor(Actor[SendBet | Deliver]):
    """Serializes one session's signed callbacks. ``listener`` must not wait."""

    def __init__(
        self,
        services: Services,
        operator_id: UUID,
        session_id: UUID,
        limiter: trio.CapacityLimiter,
        listener: Callable[[WalletNews], None],
    ) -> None:
        super().__init__(f"wallet:{session_id}", services.settings.wallet_mailbox_max)
        self._services = services
        self._operator_id = operator_id
        self._session_id = session_id
        self._limiter = limiter
        self._listener = listener
        self._pending: list[WalletCall] = []
        self.at_rest = trio.Event()
        """Set while there is nothing to deliver and nothing in flight."""

    async def run(self) -> None:
        """Deliver what is stored, then serve until nothing came for ``wallet_linger_ms``."""
        await self._load_pending()
        while True:
            wait_ms = self._wait_ms()
            message: SendBet | Deliver | None = None
            if not self._pending:
                self.at_rest.set()
            with trio.move_on_after(wait_ms / 1000):
                message = await self.receive()
            if message is None and not self._pending:
                return
            if self.at_rest.is_set():  # whoever waits for an unset one keeps waiting for the right moment
                self.at_rest = trio.Event()
            match message:
                case SendBet():
                    message.reply.answer(await self._send_bet(message.call))
                case Deliver():
                    await self._load_pending()
                case None:
                    await self._deliver(self._pending[0])

    def _wait_ms(self) -> int:
        if not self._pending:
            return self._services.settings.wallet_linger_ms
        return max(self._pending[0].next_attempt_at_ms - self._services.clock.now_ms(), 0)

    async def _load_pending(self) -> None:
        wait_s = 0.05
        while True:
            try:
                self._pending = await self._services.reads.pending_calls(self._operator_id, self._session_id)
                return
            except LedgerUnavailableError:
                await trio.sleep(wait_s)
                wait_s = min(wait_s * 2, 1)

    async def _send_bet(self, call: WalletCall) -> WalletAnswer:
        if self._pending:
            return Declined("an earlier win or refund is not acknowledged yet")
        return await self._attempt(call, self._services.settings.bet_timeout_ms)

    async def _attempt(self, call: WalletCall, timeout_ms: int) -> WalletAnswer:
        operator = self._services.operators.find(self._operator_id)
        if operator is None:
            return Unclear("the operator is not known to this node yet")
        began_at = trio.current_time()
        answer: WalletAnswer = Unclear("too many calls to this operator are in flight")
        with trio.move_on_after(timeout_ms / 1000):
            async with self._limiter:
                left_ms = timeout_ms - int((trio.current_time() - began_at) * 1000)
                answer = Unclear("no answer in time")
                answer = await self._services.gateway.send(operator, call, max(left_ms, 1))
        self._services.observer.wallet_call(call.kind, type(answer).__name__.lower(), trio.current_time() - began_at)
        return answer

    async def _deliver(self, call: WalletCall) -> None:
        answer = await self._attempt(call, self._services.settings.delivery_timeout_ms)
        attempts = call.attempts + answer.sends
        if isinstance(answer, Acknowledged):
            await commit_until_known(self._services, self._acknowledged(call, attempts, answer.balance_minor))
            self._pending.pop(0)
            self._tell(answer.balance_minor)
            return
        postponed = self._postponed(call, attempts, answer.detail)
        log.warning(
            "a wallet call was not acknowledged",
            extra={
                "kind": call.kind.value,
                "round_id": str(call.round_id),
                "attempts": attempts,
                "detail": answer.detail,
                "parked": postponed.parked,
            },
        )
        await commit_until_known(self._services, postponed)
        await self._load_pending()

    def _acknowledged(self, call: WalletCall, attempts: int, balance_minor: int) -> AcknowledgeCall:
        return AcknowledgeCall(
            operator_id=self._operator_id,
            session_id=self._session_id,
            operator_tx_id=call.operator_tx_id,
            attempts=attempts,
            balance_minor=balance_minor,
            acknowledged_at_ms=self._services.clock.now_ms(),
        )

    def _postponed(self, call: WalletCall, attempts: int, detail: str) -> PostponeCall:
        settings, now_ms = self._services.settings, self._services.clock.now_ms()
        wait_ms = wait_before_attempt_ms(
            attempts, settings.retry_first_ms, settings.retry_max_ms, self._services.entropy.fraction()
        )
        return PostponeCall(
            operator_id=self._operator_id,
            session_id=self._session_id,
            operator_tx_id=call.operator_tx_id,
            attempts=attempts,
            next_attempt_at_ms=now_ms + wait_ms,
            last_error=detail,
            parked=is_over(call.created_at_ms, now_ms, settings.retry_period_ms),
        )

    def _tell(self, balance_minor: int | None) -> None:
        self._listener(WalletNews(balance_minor, sum(call.amount_minor for call in self._pending)))


class WalletDesk:
    """Finds or starts the wallet actor of a session; owns the bound on calls in flight to each operator."""

    def __init__(self, services: Services, start: Callable[[WalletActor, Callable[[], None]], None]) -> None:
        self._services = services
        self._start = start
        self._wallets: dict[UUID, WalletActor] = {}
        self._limiters: dict[UUID, trio.CapacityLimiter] = {}
        self._listeners: dict[UUID, Callable[[WalletNews], None]] = {}

    def listen(self, session_id: UUID, listener: Callable[[WalletNews], None]) -> None:
        """Tell ``listener`` what the session's wallet learns, until ``forget``."""
        self._listeners[session_id] = listener

    def forget(self, session_id: UUID) -> None:
        """The session has left memory; its wallet goes on delivering."""
        self._listeners.pop(session_id, None)

    def wallet(self, operator_id: UUID, session_id: UUID) -> WalletActor:
        """The session's wallet actor, started if there is none."""
        wallet = self._wallets.get(session_id)
        if wallet is None or wallet.stopped.is_set():
            limiter = self._limiters.setdefault(
                operator_id, trio.CapacityLimiter(self._services.settings.operator_calls_max)
            )
            wallet = WalletActor(
                self._services, operator_id, session_id, limiter, lambda news: self._news(session_id, news)
            )
            self._wallets[session_id] = wallet
            self._start(wallet, partial(self._ended, wallet, session_id))
        return wallet

    def deliver(self, operator_id: UUID, session_id: UUID) -> None:
        """A win or refund of the session was stored: let its wallet read what is due."""
        try:
            self.wallet(operator_id, session_id).tell(Deliver())
        except ActorError:
            log.warning("a wallet was too busy to be told; it reads its rows when it is free")

    def resume(self, operator_id: UUID, session_id: UUID) -> None:
        """Start the session's wallet unless it is there; it reads what is due by itself."""
        self.wallet(operator_id, session_id)

    def _ended(self, wallet: WalletActor, session_id: UUID) -> None:
        if self._wallets.get(session_id) is wallet:
            del self._wallets[session_id]

    async def until_at_rest(self) -> None:
        """Return once no wallet has a call in flight or to deliver."""
        for wallet in list(self._wallets.values()):
            while wallet.queued or not wallet.at_rest.is_set():
                await wallet.at_rest.wait()
                await trio.sleep(REST_CHECK_S)

    def _news(self, session_id: UUID, news: WalletNews) -> None:
        listener = self._listeners.get(session_id)
        if listener is not None:
            listener(news)
