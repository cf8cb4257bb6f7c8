"""A session's part of the outbox: its wins and refunds that no wallet has acknowledged yet."""

import math
from collections.abc import Sequence

import trio

from actors.facts.records import SessionRecord, WalletCall
from actors.ports.ledger import LedgerUnavailableError
from actors.shared.services import Services

CHECK_FIRST_MS = 250
"""After the opening; doubling to ``outbox_check_ms``."""


class SessionOutbox:
    """Amounts in minor units by transaction id. News may overtake each other: an early end is remembered."""

    __slots__ = ("_amounts_minor", "_check_ms", "_checked_at", "_ended_early", "_services", "_session")

    def __init__(self, services: Services, session: SessionRecord, calls: Sequence[WalletCall]) -> None:
        self._services = services
        self._session = session
        self._amounts_minor = _by_id(calls)
        self._ended_early: str | None = None
        self._checked_at = trio.current_time()
        # What is there at the opening may be on its way from another node: it is looked for soon, then less often.
        self._check_ms = CHECK_FIRST_MS

    @property
    def minor(self) -> int:
        """The sum."""
        return sum(self._amounts_minor.values())

    @property
    def check_at(self) -> float:
        """When ``check`` is due, on trio's clock; never while nothing is there."""
        return self._checked_at + self._check_ms / 1000 if self._amounts_minor else math.inf

    def add(self, operator_tx_id: str, amount_minor: int) -> None:
        """A win or refund was stored, unless its end is known already."""
        if operator_tx_id != self._ended_early:
            self._amounts_minor[operator_tx_id] = amount_minor
            self._checked_at = trio.current_time()
            self._check_ms = self._services.settings.outbox_check_ms

    def end(self, operator_tx_id: str) -> None:
        """It was acknowledged or parked."""
        if self._amounts_minor.pop(operator_tx_id, None) is None:
            self._ended_early = operator_tx_id

    async def check(self) -> int | None:
        """Look in the ledger, if it is due, whether another node or a person has seen to something.

        The player's balance in minor units if so: this node has not heard it from the wallet.
        """
        if trio.current_time() < self.check_at:
            return None
        self._checked_at = trio.current_time()
        self._check_ms = min(2 * self._check_ms, self._services.settings.outbox_check_ms)
        stores, key = self._services.stores, (self._session.operator_id, self._session.session_id)
        try:
            amounts_minor = _by_id(await stores.outbox.outbox_of(*key))
            if amounts_minor == self._amounts_minor:
                return None
            balance_minor = await stores.sessions.balance_minor(*key)
        except LedgerUnavailableError:
            return None
        self._amounts_minor = amounts_minor
        return balance_minor


def _by_id(calls: Sequence[WalletCall]) -> dict[str, int]:
    return {call.operator_tx_id: call.amount_minor for call in calls}
