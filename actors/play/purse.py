"""The purse: what the player has, as far as this session knows, and what is on its way to the operator's wallet."""

from collections.abc import Sequence
from math import inf

import trio

from actors.facts.calls import outbox_tx_id
from actors.facts.frames_out import BalanceOut
from actors.facts.records import OpenedSession, WalletCall
from actors.ports.ledger import LedgerUnavailableError
from actors.shared.messages import RoundFlies, RoundOver, WalletNews
from actors.shared.services import Services

CHECK_FIRST_MS = 250
"""After the opening; doubling to ``outbox_check_ms``."""


class Purse:
    """The balance, which only the wallet knows for certain, the session's totals, and its wins and refunds that no
    wallet has acknowledged yet: amounts in minor units by transaction id. News of them may overtake each other: an
    early end is remembered."""

    def __init__(self, services: Services, opened: OpenedSession) -> None:
        self._services = services
        self._session = opened.session
        self.balance_minor = opened.session.balance_minor
        self._is_known = opened.session.balance_is_known
        self.totals = opened.totals
        self._amounts_minor = _by_id(opened.outbox)
        self._ended_early: str | None = None
        self._checked_at = trio.current_time()
        # What is pending at the opening may be on its way from another node: it is looked for soon, then less often.
        self._check_ms = CHECK_FIRST_MS

    @property
    def known_minor(self) -> int | None:
        """The balance, if it is known: otherwise the wallet judges what can be staked."""
        return self.balance_minor if self._is_known else None

    @property
    def pending_minor(self) -> int:
        """The sum of what is not acknowledged."""
        return sum(self._amounts_minor.values())

    @property
    def frame(self) -> BalanceOut:
        """The balance for the player."""
        return BalanceOut(balance_minor=self.balance_minor, pending_minor=self.pending_minor)

    @property
    def refresh_at(self) -> float:
        """When ``refresh`` is due, on trio's clock; never while nothing is pending."""
        return self._checked_at + self._check_ms / 1000 if self._amounts_minor else inf

    def pay_stake(self, news: RoundFlies) -> None:
        """The wallet took the stake, and told the balance."""
        self.balance_minor, self._is_known = news.balance_minor, True

    def end_round(self, news: RoundOver) -> None:
        """A round is over; its win or refund is pending, unless the end of that is known already."""
        self.totals = self.totals.after(news.finished)
        if news.balance_minor is not None:
            self.balance_minor = news.balance_minor
        if news.outbox_minor and (operator_tx_id := outbox_tx_id(news.finished)) != self._ended_early:
            self._amounts_minor[operator_tx_id] = news.outbox_minor
            self._checked_at = trio.current_time()
            self._check_ms = self._services.settings.outbox_check_ms

    def end_call(self, news: WalletNews) -> None:
        """A win or refund was acknowledged or parked."""
        if self._amounts_minor.pop(news.operator_tx_id, None) is None:
            self._ended_early = news.operator_tx_id
        if news.balance_minor is not None:
            self.balance_minor, self._is_known = news.balance_minor, True
        else:
            self._is_known = self._is_known and news.is_parked

    async def refresh(self) -> bool:
        """Look in the ledger, if it is due, whether another node or a person has seen to something.

        If so, take over what is stored. The balance is not known then: whoever heard it may have heard none.
        """
        if trio.current_time() < self.refresh_at:
            return False
        self._checked_at = trio.current_time()
        self._check_ms = min(2 * self._check_ms, self._services.settings.outbox_check_ms)
        stores, key = self._services.stores, (self._session.operator_id, self._session.session_id)
        try:
            amounts_minor = _by_id(await stores.outbox.outbox_of(*key))
            if amounts_minor == self._amounts_minor:
                return False
            balance_minor = await stores.sessions.balance_minor(*key)
        except LedgerUnavailableError:
            return False
        self._amounts_minor = amounts_minor
        self.balance_minor, self._is_known = balance_minor, False
        return True


def _by_id(calls: Sequence[WalletCall]) -> dict[str, int]:
    return {call.operator_tx_id: call.amount_minor for call in calls}
