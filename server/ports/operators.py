"""Provisioning operators; ``server.db.stores.operators`` does it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from actors.facts.records import Operator, OperatorStatus
from actors.rules.limits import BetLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorChange:
    """Fields to change on an operator; ``None`` leaves a field as it is."""

    name: str | None = None
    wallet_callback_url: str | None = None
    rtp_bps: int | None = None
    max_win_multiplier: int | None = None
    rev_share_bps: int | None = None
    bet_limits: Mapping[str, BetLimits | None] | None = None
    allow_cidrs: tuple[str, ...] | None = None
    frame_origins: tuple[str, ...] | None = None
    status: OperatorStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOperator:
    """A provisioning request, already validated."""

    name: str
    wallet_callback_url: str
    rtp_bps: int
    max_win_multiplier: int
    rev_share_bps: int
    bet_limits: Mapping[str, BetLimits | None]
    allow_cidrs: tuple[str, ...] = ()
    frame_origins: tuple[str, ...] = ()
    api_key: str = field(repr=False)
    hmac_secret: str = field(repr=False)


class OperatorStore(Protocol):
    """Provisioning. Raises ``actors.ports.ledger.LedgerUnavailableError`` on database trouble."""

    async def create_operator(self, new: NewOperator, now_ms: int) -> Operator:
        """Store the operator, active, both secrets sealed."""

    async def load_operators(self) -> list[Operator]: ...

    async def change_operator(self, operator_id: UUID, change: OperatorChange, now_ms: int) -> Operator | None:
        """The operator as changed; ``None`` if there is none. Rounds that were played keep the terms they had."""

    async def operators_version(self) -> int:
        """The number of the last change: how nodes say what they know."""

    async def unconfirmed(self, version: int) -> list[str]:
        """The names of the living nodes that do not go by that change yet."""
