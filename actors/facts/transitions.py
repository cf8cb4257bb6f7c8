"""Every change of state that must survive, as a value: the ledger commits them in groups, all or none of each.

A transition names what must hold for it to apply (its round's status, its owner). If that does not hold, the answer
is ``Rejected`` and nothing changes. A transition that was applied before and is sent again answers as it did the
first time: a caller that lost the answer may always repeat it.
"""

from dataclasses import dataclass, field
from uuid import UUID

from actors.facts.records import CallStatus, FinishedRound, LiveRound, Owner, PageOptions, WalletCall


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSession:
    """A launch. Answered by ``Launched``; a signature that was seen before gets the first launch's answer.

    The token is kept only as ``token_digest`` (SHA-256); ``sealed_token`` can be opened only with the signature of
    the request, of which the ledger keeps ``signature_digest`` until ``replay_until_ms``.
    """

    operator_id: UUID
    session_id: UUID
    operator_player_id: str
    currency: str
    balance_minor: int
    token_digest: bytes
    created_at_ms: int
    expires_at_ms: int
    client_seed: str
    server_seed: str = field(repr=False)
    signature_digest: bytes
    sealed_token: bytes = field(repr=False)
    replay_until_ms: int
    page: PageOptions = field(default_factory=PageOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceBet:
    """The intent: a round in ``betting``, its frozen ``/bet`` call, and the session's next commitment.

    The session's next nonce becomes the round's plus one, its next server seed ``next_server_seed``, and its client
    seed the round's client seed (the player may have chosen one with the bet).

    Applies if the session is owned by ``owner``, has not expired, has no live round and no pending win or
    refund, and its stored commitment (nonce, hash) is the round's.
    """

    owner: Owner
    round: LiveRound
    call: WalletCall
    next_server_seed: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRound:
    """``betting -> flying``: the operator took the stake. Answered by ``Started`` with the stored start.

    ``attempts`` is how often the bet was sent.
    """

    owner: Owner
    operator_id: UUID
    session_id: UUID
    round_id: UUID
    started_at_ms: int
    balance_minor: int
    attempts: int


@dataclass(frozen=True, slots=True)
class BetFate:
    """What became of the bet of a void round: ``declined``, or ``unknown`` with a refund queued.

    ``attempts`` is how often it was sent: 0 when it never left. ``detail`` is the wallet's answer, for a person.
    """

    status: CallStatus
    attempts: int
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRound:
    """The end of a round, as ``finished`` shows it: ``flying -> settled``, ``flying -> refunded``, or
    ``betting -> void`` with the fate of its bet. ``call``, its win or refund, is put into the outbox by
    the same commit.

    ``actors.facts.ends`` makes each of the three.
    """

    owner: Owner
    operator_id: UUID
    finished: FinishedRound
    call: WalletCall | None
    bet: BetFate | None

    @property
    def session_id(self) -> UUID:
        return self.finished.session_id

    @property
    def round_id(self) -> UUID:
        return self.finished.round_id

    @property
    def outbox_minor(self) -> int:
        """What the player has not got yet."""
        return 0 if self.call is None else self.call.amount_minor

    @property
    def is_claimed(self) -> bool:
        """Whether the node that commits it is to send its call."""
        return self.call is not None and self.call.next_attempt_at_ms > self.call.created_at_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeCall:
    """A pending or parked win or refund that the operator's wallet confirmed; its balance becomes the session's.

    ``balance_minor`` is ``None`` if the wallet said none that can be read: the session's stays, and is not certain.
    A fact about the outside, true whoever learned it: it is not fenced by an owner.
    """

    operator_id: UUID
    session_id: UUID
    operator_tx_id: str
    attempts: int
    balance_minor: int | None
    acknowledged_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PostponeCall:
    """A failed attempt at a win or refund: when it is tried next, or parked for a person (``parked``).

    ``refused_since_ms``: the first of the plain refusals in a row that this one ends. ``not_before_ms``: before it the
    call is not claimed ahead of its time (see ``Ledger.claim_calls``). Applies unless another owner has claimed the
    call meanwhile.
    """

    owner: Owner
    operator_id: UUID
    session_id: UUID
    operator_tx_id: str
    attempts: int
    next_attempt_at_ms: int
    last_error: str
    parked: bool
    refused_since_ms: int | None = None
    not_before_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeClientSeed:
    """The client seed of the session's next rounds."""

    owner: Owner
    operator_id: UUID
    session_id: UUID
    client_seed: str


Transition = CreateSession | PlaceBet | StartRound | EndRound | AcknowledgeCall | PostponeCall | ChangeClientSeed


@dataclass(frozen=True, slots=True)
class Applied:
    """The transition is durable. ``is_claimed``: the end's call is claimed by the node that ended it."""

    is_claimed: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """What the transition requires does not hold; nothing changed."""


@dataclass(frozen=True, slots=True)
class Launched:
    """The session that answers a launch: a new one, or the first one of a replayed request."""

    session_id: UUID
    expires_at_ms: int
    sealed_token: bytes = field(repr=False)
    replayed: bool


@dataclass(frozen=True, slots=True)
class Started:
    """The round flies since ``started_at_ms``."""

    started_at_ms: int


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else has locked a row of the session: nothing was looked at, nothing changed. Offer it again later."""


Answer = Applied | Rejected | Launched | Started
