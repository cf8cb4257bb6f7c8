"""The directory of operators: in memory for every lookup, refreshed from the database within seconds of a change."""

import logging
from collections.abc import Callable, Collection, Mapping
from uuid import UUID

import trio

from actors.actor import Actor
from actors.ports import LedgerUnavailableError, OperatorSource
from actors.records import Operator, OperatorStatus
from actors.rules.limits import BetLimits

log = logging.getLogger("getaway.operators")


class OperatorDirectory(Actor[None]):
    """Looks operators up without waiting. While the database is in trouble the last known state holds."""

    def __init__(self, source: OperatorSource, refresh_ms: int) -> None:
        super().__init__("operators", 1)
        self._source = source
        self._refresh_ms = refresh_ms
        self._operators: dict[UUID, Operator] = {}
        self._listeners: list[Callable[[], None]] = []

    def find(self, operator_id: UUID) -> Operator | None:
        """The operator as of the last refresh."""
        return self._operators.get(operator_id)

    @property
    def ids(self) -> Collection[UUID]:
        """All operators."""
        return self._operators.keys()

    def is_active(self, operator_id: UUID) -> bool:
        """Whether the operator's players may bet."""
        operator = self.find(operator_id)
        return operator is not None and operator.status is OperatorStatus.ACTIVE

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after every refresh that changed something. It must not wait."""
        self._listeners.append(listener)

    async def refresh(self) -> None:
        """Load all operators now. Raises ``LedgerUnavailableError``."""
        loaded = {operator.operator_id: operator for operator in await self._source.load_operators()}
        if loaded != self._operators:
            self._operators = loaded
            for listener in self._listeners:
                listener()

    async def run(self) -> None:
        """Refresh for ever."""
        while True:
            await trio.sleep(self._refresh_ms / 1000)
            try:
                await self.refresh()
            except LedgerUnavailableError as error:
                log.warning("operators could not be refreshed", extra={"error": str(error)})


def limits_for(operator: Operator, currency: str, defaults: Mapping[str, BetLimits]) -> BetLimits | None:
    """The limits an operator's players bet under: its own, else the configured ones; ``None``: not its currency."""
    if currency not in operator.bet_limits:
        return None
    return operator.bet_limits[currency] or defaults.get(currency)
