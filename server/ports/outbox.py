"""Wins and refunds that could not be delivered, and what people did about them. Shapes and errors only."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from actors.facts.records import CallKind, CallStatus


class Action(StrEnum):
    """What a person can do: have it sent again, or say that it has been booked by other means."""

    RETRY = "retry"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxCall:
    """A win or refund that is parked, or pending for too long. Times are unix milliseconds."""

    operator_id: UUID
    operator_tx_id: str
    round_id: UUID
    kind: CallKind
    amount_minor: int
    currency: str
    status: CallStatus
    attempts: int
    created_at_ms: int
    next_attempt_at_ms: int
    last_error: str | None
    problem: str | None = None
    """Why it is no call of ours; nobody sends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequest:
    """What a person wants done about a call, and why."""

    action: Action
    operator_tx_id: str
    operator_id: UUID | None
    """``None`` if only one operator has a call of this id."""
    by_whom: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRecord:
    """What a person did, as it was recorded with the change itself."""

    operator_id: UUID
    operator_tx_id: str
    action: Action
    by_whom: str
    reason: str | None
    at_ms: int
    status_before: CallStatus
    status_after: CallStatus
    problem: str | None = None
    """Why it was not recorded by this program: nothing goes by it."""


class ActionRefusedError(Exception):
    """Nothing was done; the text says why, in one line for a person."""
