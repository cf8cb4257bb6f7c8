"""The pool of wallet actors: who wants something of a session's wallet comes here."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from uuid import UUID

import trio

from actors.facts.records import WalletCall
from actors.kit.errors import ActorError, MailboxFullError
from actors.ports.wallet import NotSent, Unclear, WalletAnswer
from actors.shared.messages import SendBet, SendClaimed
from actors.shared.services import Services
from actors.wallet.bulkheads import Bulkhead, Bulkheads
from actors.wallet.wallet import WalletActor

log = logging.getLogger("getaway.wallet")

WALLET_MARGIN_MS = 2_000
"""The wallet actor answers within the bet's own deadline; this is for its way through the mailboxes."""


class WalletPool:
    """Finds or starts the wallet actor of a session; owns the operators' bulkheads. No actor: who wants something of a
    wallet comes here, and its mailbox is told."""

    def __init__(self, services: Services, start: Callable[[WalletActor, Callable[[], None]], None]) -> None:
        self._services = services
        self._start = start
        self.bulkheads = Bulkheads(services.settings, services.clock, services.observer, self.wake_courier)
        self._wallets: dict[UUID, WalletActor] = {}
        self._patience_ms = services.settings.bet_timeout_ms + WALLET_MARGIN_MS
        self._has_unsent_claims = False
        """A call may be claimed by this node that nobody sends: the courier gives it up before it claims again."""

    async def send_bet(self, call: WalletCall) -> WalletAnswer:
        """Send a bet in its session's turn. There is an answer in time whatever becomes of the wallet's actor."""
        try:
            return await self._wallet(call).ask(lambda reply: SendBet(call, reply), self._patience_ms)
        except MailboxFullError:
            return NotSent("too many calls of the session wait")
        except (ActorError, trio.TooSlowError):
            return Unclear("the wallet actor did not answer")

    def _wallet(self, call: WalletCall) -> WalletActor:
        """The wallet actor of the call's session, which is to be told something before anybody waits: it ends when its
        mailbox is empty."""
        wallet = self._wallets.get(call.session_id)
        if wallet is None or wallet.is_stopped:
            bulkhead = self.bulkheads.of(call.operator_id)
            wallet = WalletActor(self._services, call.operator_id, call.session_id, bulkhead)
            self._wallets[call.session_id] = wallet
            self._start(wallet, partial(self._ended, wallet))
        return wallet

    def wake_courier(self, operator_id: UUID) -> None:
        """A win or refund was stored: let the courier look what is due."""
        self._services.addresses.tell_courier(operator_id)

    def take_unsent_claims(self) -> bool:
        """Whether calls may be claimed that nobody sends, since this was asked last."""
        has_some, self._has_unsent_claims = self._has_unsent_claims, False
        return has_some

    def claim(self, call: WalletCall) -> WalletCall | None:
        """A place in the operator's bulkhead for a round's win or refund: the call, claimed, to be stored so.

        ``None``: others wait, or the wallet fails. The courier is to claim it in its turn then.
        """
        bulkhead = self.bulkheads.of(call.operator_id)
        if not bulkhead.has_room:
            return None
        claimed = replace(call, next_attempt_at_ms=call.created_at_ms + self._services.settings.claim_ms)
        bulkhead.reserve(claimed)
        return claimed

    def send_claimed(self, call: WalletCall, *, is_claimed: bool) -> None:
        """Have a call of ``claim`` sent, or leave it to the courier if it was not stored as claimed."""
        if is_claimed and self.hand_over(call):
            return
        self.bulkheads.of(call.operator_id).release(call)
        self._has_unsent_claims = True
        self.wake_courier(call.operator_id)

    def hand_over(self, call: WalletCall) -> bool:
        """Have a claimed win or refund sent by its session's wallet; whether it will be."""
        bulkhead = self.bulkheads.of(call.operator_id)
        if not bulkhead.permits:
            return False
        bulkhead.reserve(call)
        try:
            self._wallet(call).tell(SendClaimed(call, partial(self._delivered, bulkhead, call)))
        except ActorError:
            log.warning("a wallet was too busy for a delivery")
            bulkhead.release(call)
            return False
        return True

    def _delivered(self, bulkhead: Bulkhead, call: WalletCall, is_tried: bool) -> None:
        bulkhead.release(call)
        if not is_tried:  # the breaker has opened while it waited for its turn: its claim is of no use
            self._has_unsent_claims = True
        if bulkhead.wants_more:
            self.wake_courier(bulkhead.operator_id)

    def _ended(self, wallet: WalletActor) -> None:
        if self._wallets.get(wallet.session_id) is wallet:
            del self._wallets[wallet.session_id]
