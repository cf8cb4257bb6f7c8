"""What operators read: one round with its money, and revenue by day; ``server.db.stores.reports`` fills it in."""

from dataclasses import dataclass
from datetime import date
from typing import Protocol
from uuid import UUID

from actors.facts.records import CallKind, CallStatus, RoundStatus
from actors.rules.fairness import Outcome
from actors.rules.settlement import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """A wallet call of a round, as ``/round`` and ``getaway round show`` list it. Times are unix milliseconds."""

    operator_tx_id: str
    kind: CallKind
    amount_minor: int
    attempts: int
    status: CallStatus
    created_at_ms: int
    acknowledged_at_ms: int | None
    next_attempt_at_ms: int | None
    last_error: str | None
    problem: str | None = None
    """Why it is no call of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundReport:
    """A round as its operator may see it: seed, outcome and realized multiplier are ``None`` until it has ended."""

    operator_id: UUID
    round_id: UUID
    session_id: UUID
    operator_player_id: str
    status: RoundStatus
    result: Result | None
    reason: str | None
    currency: str
    amount_minor: int
    auto_cashout_hundredths: int | None
    payout_minor: int
    realized_hundredths: int | None
    server_seed: str | None
    server_seed_hash: str
    client_seed: str
    nonce: int
    outcome: Outcome | None
    rtp_bps: int
    max_win_multiplier: int
    rev_share_bps: int
    created_at_ms: int
    started_at_ms: int | None
    settled_at_ms: int | None
    calls: tuple[CallReport, ...]
    problems: tuple[str, ...] = ()
    """Why the round itself is not as we wrote it: each code that is wrong. Nothing here is to be believed then."""

    @property
    def is_ours(self) -> bool:
        """Whether the round and all its calls are as we wrote them."""
        return not self.problems and all(call.problem is None for call in self.calls)


class NotOursError(Exception):
    """What is stored is not what we wrote: it is told to nobody outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevenueRow:
    """One UTC day and currency: GGR and its two parts in minor units, and the number of settled rounds."""

    period_day: date
    currency: str
    ggr_minor: int
    house_share_minor: int
    operator_share_minor: int
    rounds: int


class Reports(Protocol):
    """Reads for operators. Every method raises ``actors.ports.ledger.LedgerUnavailableError`` on database trouble."""

    async def round_report(self, operator_id: UUID, round_id: UUID) -> RoundReport | None:
        """One of the operator's rounds; ``None`` if it does not exist or is another operator's.

        Raises ``NotOursError`` if the round or a call of it is not as we wrote it.
        """

    async def find_round(self, round_id: UUID) -> RoundReport | None:
        """Any operator's round, for the person at the command line, also one that is not as we wrote it.

        If several operators have a round of this id, the one that is ours.
        """

    async def revenue(self, operator_id: UUID, first_day: date, last_day: date) -> list[RevenueRow]:
        """Inclusive UTC days by settlement, ordered by day then currency, days without settled rounds left out."""
