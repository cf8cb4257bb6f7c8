"""The directory of operators: in memory for every lookup, refreshed from the database within seconds of a change."""

import logging
import math
from collections.abc import Callable, Collection, Mapping
from typing import Final
from uuid import UUID

import trio

from actors.facts.records import Operator, OperatorStatus, Owner
from actors.ports.ledger import LedgerUnavailableError
from actors.ports.operators import OperatorSource
from actors.rules.limits import BetLimits

log = logging.getLogger("getaway.operators")


class OperatorDirectory:
    """Looks operators up without waiting.

    While they can't be read the last known state holds, but not for new obligations for ever: one of them may have been
    suspended meanwhile. Nobody launches and nobody bets on a directory that is not fresh; what flies lands and is paid.
    """

    kind: Final = "operators"

    def __init__(self, source: OperatorSource, owner: Owner, refresh_ms: int, age_ms_max: int) -> None:
        self._source = source
        self._owner = owner
        self._refresh_ms = refresh_ms
        self._age_s_max = age_ms_max / 1000
        self._read_at = -math.inf
        self._is_told = False
        self._operators: dict[UUID, Operator] = {}
        self._listeners: list[Callable[[], None]] = []

    def find(self, operator_id: UUID) -> Operator | None:
        """The operator as of the last refresh."""
        return self._operators.get(operator_id)

    @property
    def ids(self) -> Collection[UUID]:
        return self._operators.keys()

    @property
    def age_s(self) -> float:
        """How long ago the newest reading that succeeded began."""
        return trio.current_time() - self._read_at

    @property
    def is_fresh(self) -> bool:
        """Whether the operators were read lately enough to take new obligations on what they say."""
        return self.age_s <= self._age_s_max

    def is_active(self, operator_id: UUID) -> bool:
        """Whether the operator's players may bet."""
        operator = self.find(operator_id)
        return operator is not None and operator.status is OperatorStatus.ACTIVE

    def is_alone(self, operator_id: UUID) -> bool:
        """Whether no other operator's players may bet: then nobody is kept out by this one's."""
        return not any(other != operator_id and self.is_active(other) for other in self._operators)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after every refresh that changed something. It must not wait."""
        self._listeners.append(listener)

    async def refresh(self) -> None:
        """Load all operators now, and confirm it. Raises ``LedgerUnavailableError``."""
        began_at = trio.current_time()
        version = await self._source.operators_version()
        loaded = {operator.operator_id: operator for operator in await self._source.load_operators()}
        self._read_at = began_at
        if loaded != self._operators:
            self._operators = loaded
            for listener in self._listeners:
                listener()
        await self._source.confirm_operators(self._owner, version)

    async def run(self) -> None:
        while True:
            await trio.sleep(self._refresh_ms / 1000)
            self._tell_age()
            try:
                await self.refresh()
            except LedgerUnavailableError as error:
                log.warning("operators could not be refreshed", extra={"error": str(error)})

    def _tell_age(self) -> None:
        """Once, when it becomes too old."""
        is_told, self._is_told = self._is_told, not self.is_fresh
        if self._is_told and not is_told:
            log.error("operators are too old to bet on", extra={"age_s": round(self.age_s)})


def limits_for(operator: Operator, currency: str, defaults: Mapping[str, BetLimits]) -> BetLimits | None:
    """The limits an operator's players bet under: its own, else the configured ones; ``None``: not its currency."""
    if currency not in operator.bet_limits:
        return None
    return operator.bet_limits[currency] or defaults.get(currency)
