"""What an operator's list tells of a database that has gone back: pure judgement, for ``getaway restored``.

What the operator has booked is what its player has: it is the newer truth. A round that we have as live ends as it was
booked, where its own terms prove that it can have ended so; otherwise nothing more is sent, and a person sees to it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from actors.facts import ends
from actors.facts.calls import bet_tx_id, call_body, refund_tx_id, win_tx_id
from actors.facts.records import CallKind, CallStatus, LiveRound, Owner, RoundStatus, WalletCall
from actors.facts.transitions import AcknowledgeCall, EndRound, PostponeCall, StartRound, Transition
from actors.rules.settlement import Settlement

ENDS_OTHERWISE: Final = "booked for a round that ends otherwise now: compare with `getaway round show`"
SENT_BEFORE: Final = 1
"""How often a call that the lost history has sent counts as sent: at least once."""


@dataclass(frozen=True, slots=True)
class BookedCall:
    """One transaction as the operator has it; ``line`` is where it ends in its list, counted from 1."""

    line: int
    operator_tx_id: str
    kind: str
    amount_minor: int
    currency: str
    session_id: str = ""
    operator_player_id: str = ""
    """They are needed for the refund of a bet that only the operator knows, and else for nothing."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database has of the rounds of a list."""

    known: frozenset[str]
    """Their transaction ids."""
    live: Mapping[UUID, LiveRound]
    outbox: Mapping[str, WalletCall]
    """Wins and refunds that are still to be sent, by transaction id."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A row of the operator's that nothing can be done for here; ``why`` is for a person."""

    line: int
    operator_tx_id: str
    why: str


@dataclass(frozen=True, slots=True)
class LostBet:
    """A bet that the operator has booked and we do not know."""

    round_id: UUID
    session_id: UUID
    operator_player_id: str
    currency: str
    amount_minor: int

    @property
    def refund_body(self) -> bytes:
        """The refund's bytes: those that a node would have sent, too."""
        return call_body(
            operator_tx_id=refund_tx_id(self.round_id),
            operator_player_id=self.operator_player_id,
            session_id=self.session_id,
            round_id=self.round_id,
            currency=self.currency,
            amount_minor=self.amount_minor,
            bet_tx_id=bet_tx_id(self.round_id),
        )

    def refund(self, operator_id: UUID, body: bytes, now_ms: int) -> WalletCall:
        """The call that carries ``body``, the one that was noted first. It belongs to no round, and so to no turn."""
        return WalletCall(
            operator_id=operator_id,
            session_id=self.session_id,
            round_id=self.round_id,
            operator_tx_id=refund_tx_id(self.round_id),
            kind=CallKind.REFUND,
            amount_minor=self.amount_minor,
            body=body,
            position=0,
            attempts=0,
            created_at_ms=now_ms,
            next_attempt_at_ms=now_ms,
        )


@dataclass(frozen=True, slots=True)
class BookedEnd:
    """A live round that has ended in the operator's books: by ``settlement``, or with the stake given back.

    With a ``problem`` it ends as if the stake were given back, but the refund is parked, for a person: it is not sent.
    """

    live: LiveRound
    settlement: Settlement | None
    problem: str | None

    def transitions(self, owner: Owner, now_ms: int, balance_minor: int) -> list[Transition]:
        """What to commit, in this order and all of it or nothing, by whoever has taken the round.

        ``balance_minor`` is the stored one of the session. A bet of which no answer is stored counts as taken at once
        where its win is booked: when its flight began nobody knows.
        """
        live, changes = self.live, list[Transition]()
        if self.settlement is not None and live.status is RoundStatus.BETTING:
            changes.append(
                StartRound(
                    owner=owner,
                    operator_id=live.operator_id,
                    session_id=live.session_id,
                    round_id=live.round_id,
                    started_at_ms=live.created_at_ms,
                    balance_minor=balance_minor,
                    attempts=SENT_BEFORE,
                )
            )
        end = self._end(owner, now_ms)
        assert end.call is not None, "what is booked has a call"
        return [*changes, end, self._seen_to(owner, end.call, now_ms)]

    def _end(self, owner: Owner, now_ms: int) -> EndRound:
        if self.settlement is not None:
            return ends.settled(self.live, owner, self.settlement, now_ms)
        if self.live.status is RoundStatus.FLYING:
            return ends.refunded(self.live, owner, ends.INTERRUPTED, now_ms)
        return ends.void(
            self.live,
            owner,
            ends.INTERRUPTED,
            bet_status=CallStatus.UNKNOWN,
            attempts=SENT_BEFORE,
            now_ms=now_ms,
        )

    def _seen_to(self, owner: Owner, call: WalletCall, now_ms: int) -> AcknowledgeCall | PostponeCall:
        if self.problem is not None:
            return parked(owner, call, self.problem, now_ms)
        return AcknowledgeCall(
            operator_id=call.operator_id,
            session_id=call.session_id,
            operator_tx_id=call.operator_tx_id,
            attempts=SENT_BEFORE,
            balance_minor=None,
            acknowledged_at_ms=now_ms,
        )


@dataclass(frozen=True, slots=True)
class Contradicted:
    """A win or refund that is still to be sent, while the operator has booked another end: it is parked."""

    call: WalletCall
    why: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What is to be done with an operator's list, and what a person must see to."""

    bets: tuple[LostBet, ...] = ()
    """To refund."""
    ends: tuple[BookedEnd, ...] = ()
    contradicted: tuple[Contradicted, ...] = ()
    unknown: tuple[Unknown, ...] = ()


def parked(owner: Owner, call: WalletCall, why: str, now_ms: int) -> PostponeCall:
    """The call is not sent any more unless a person has it sent."""
    return PostponeCall(
        owner=owner,
        operator_id=call.operator_id,
        session_id=call.session_id,
        operator_tx_id=call.operator_tx_id,
        attempts=call.attempts,
        next_attempt_at_ms=now_ms,
        last_error=f"not sent: {why}",
        parked=True,
    )


def round_of(row: BookedCall) -> UUID | None:
    """The round of a row; ``None`` if its transaction id is none of ours."""
    kind, _, text = row.operator_tx_id.partition("-")
    return as_uuid(text) if kind == row.kind else None


def as_uuid(text: str) -> UUID | None:
    """What ``text`` is in the one form that we write."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def judge(rows: Iterable[BookedCall], stored: Stored, since_ms: int) -> Findings:
    """What follows from the operator's rows and from what is stored of their rounds.

    A round id tells the millisecond at which its bet was made (RFC 9562): what was made before ``since_ms`` is not
    explained by the restore, and is left to a person. So is a bet whose win the operator has booked: it was paid.
    """
    booked: dict[UUID, dict[str, BookedCall]] = {}
    bets: list[LostBet] = []
    ends: list[BookedEnd] = []
    contradicted: list[Contradicted] = []
    unknown: list[Unknown] = []
    for row in rows:
        round_id = round_of(row)
        if round_id is None:
            unknown.append(Unknown(row.line, row.operator_tx_id, "no transaction id of ours"))
        elif booked.setdefault(round_id, {}).setdefault(row.kind, row) is not row:
            unknown.append(Unknown(row.line, row.operator_tx_id, "listed more than once"))
    for round_id, calls in booked.items():
        live = stored.live.get(round_id)
        if live is not None:
            ends += _booked_end(live, calls)
        elif bet_tx_id(round_id) in stored.known:
            found, others = _of_ended(round_id, calls, stored)
            contradicted += found
            unknown += others
        else:
            lost = _of_lost(round_id, calls, since_ms)
            bets += (lost,) if isinstance(lost, LostBet) else ()
            unknown += (lost,) if isinstance(lost, Unknown) else ()
    return Findings(tuple(bets), tuple(ends), tuple(contradicted), tuple(unknown))


def _booked_end(live: LiveRound, calls: Mapping[str, BookedCall]) -> Sequence[BookedEnd]:
    """Nothing if the operator has booked no end: nodes end the round by what is stored."""
    win, refund = calls.get(CallKind.WIN), calls.get(CallKind.REFUND)
    if win is not None and refund is not None:
        return [BookedEnd(live, None, "the operator has booked a win and a refund of this round")]
    if win is not None:
        settlement = live.plan().paying(win.amount_minor) if win.currency == live.currency else None
        problem = (
            f"the operator has booked a win of {win.amount_minor} {win.currency}, which this round can't have paid"
        )
        return [BookedEnd(live, settlement, problem if settlement is None else None)]
    if refund is not None:
        is_stake = (refund.amount_minor, refund.currency) == (live.amount_minor, live.currency)
        problem = f"the operator has booked a refund of {refund.amount_minor} {refund.currency}, not of the stake"
        return [BookedEnd(live, None, None if is_stake else problem)]
    return []


def _of_ended(
    round_id: UUID, calls: Mapping[str, BookedCall], stored: Stored
) -> tuple[list[Contradicted], list[Unknown]]:
    contradicted: list[Contradicted] = []
    unknown: list[Unknown] = []
    ids = {CallKind.WIN: win_tx_id(round_id), CallKind.REFUND: refund_tx_id(round_id)}
    for kind, other in ((CallKind.WIN, CallKind.REFUND), (CallKind.REFUND, CallKind.WIN)):
        row, call = calls.get(kind), stored.outbox.get(ids[kind])
        if row is not None and ids[kind] not in stored.known:
            unknown.append(Unknown(row.line, row.operator_tx_id, ENDS_OTHERWISE))
        if call is None:
            continue
        if row is not None and row.amount_minor != call.amount_minor:
            why = f"the operator has booked {row.amount_minor} under this id"
            contradicted.append(Contradicted(call, why))
        elif row is None and other in calls:
            contradicted.append(Contradicted(call, f"the operator has booked {ids[other]} for this round"))
    return contradicted, unknown


def _of_lost(round_id: UUID, calls: Mapping[str, BookedCall], since_ms: int) -> LostBet | Unknown | None:
    """What is to be done for a round that we do not know; nothing if no money is missing."""
    bet, win, refund = (calls.get(kind) for kind in (CallKind.BET, CallKind.WIN, CallKind.REFUND))
    if win is not None:
        if bet is None:
            why = "neither we nor the list know its bet"
        elif refund is not None:
            why = "a win and a refund of it are booked"
        else:
            why = "its win is booked, too: nothing is owed"
        row = bet or win
        return Unknown(row.line, row.operator_tx_id, why)
    if bet is None:
        return None  # A refund of a bet that never came: it stands for "never take it".
    if refund is not None:
        is_stake = (refund.amount_minor, refund.currency) == (bet.amount_minor, bet.currency)
        return None if is_stake else Unknown(refund.line, refund.operator_tx_id, "it is not what its bet has taken")
    session_id = as_uuid(bet.session_id)
    if round_id.version == 7 and round_id.int >> 80 < since_ms:
        return Unknown(bet.line, bet.operator_tx_id, "made before --since, and yet not known here")
    if session_id is None or not bet.operator_player_id:
        return Unknown(bet.line, bet.operator_tx_id, "the list lacks its session_id or operator_player_id")
    return LostBet(round_id, session_id, bet.operator_player_id, bet.currency, bet.amount_minor)
