"""The ledger's in-memory twin: the same rules as the SQL, on dictionaries. It passes the same tests."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import trio

from actors.ports import LedgerUnavailableError, SessionElsewhereError
from actors.records import (
    CallKind,
    CallStatus,
    Commitment,
    FinishedRound,
    LiveRound,
    OpenedSession,
    Operator,
    Owner,
    RoundStatus,
    SessionRecord,
    WalletCall,
)
from actors.rules import fairness
from actors.transitions import (
    AcknowledgeCall,
    Answer,
    Applied,
    ChangeClientSeed,
    CreateSession,
    Launched,
    PlaceBet,
    PostponeCall,
    RefundRound,
    Rejected,
    SettleRound,
    Started,
    StartRound,
    Transition,
    VoidRound,
)

LIVE = {RoundStatus.BETTING, RoundStatus.FLYING}


@dataclass
class StoredCall:
    call: WalletCall
    status: CallStatus
    last_error: str | None = None


@dataclass
class StoredRound:
    live: LiveRound
    owner: Owner
    finished: FinishedRound | None = None
    ended_by: Transition | None = None


@dataclass
class StoredSession:
    record: SessionRecord
    token_digest: bytes
    owner: Owner | None = None


class MemoryLedger:
    """Trouble on demand.

    ``unavailable``: every call fails before its effect. ``loses_commits``: only commits do. ``lose_answer_once``: the next
    commit has its effect, then fails.
    """

    def __init__(self) -> None:
        self.operators: list[Operator] = []
        self.unavailable = False
        self.lose_answer_once = False
        self.loses_commits = False
        self.sessions: dict[UUID, StoredSession] = {}
        self.rounds: dict[UUID, StoredRound] = {}
        self.calls: dict[str, StoredCall] = {}
        self.launches: dict[tuple[UUID, bytes], tuple[Launched, int]] = {}
        self.heartbeats_ms: dict[Owner, int] = {}
        self._epoch = 0

    def copy_at_death(self) -> "MemoryLedger":
        """What a new process would find if this one died now."""
        survivor = copy.deepcopy(self)
        survivor.loses_commits = survivor.unavailable = survivor.lose_answer_once = False
        return survivor

    async def load_operators(self) -> list[Operator]:
        await self._cross()
        return list(self.operators)

    async def _cross(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.unavailable:
            raise LedgerUnavailableError("the twin was told to be unavailable")

    # Changes.

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer]:
        await self._cross()
        if self.loses_commits:
            raise LedgerUnavailableError("the twin was told to take no commits")
        answers = [self._apply(transition) for transition in transitions]
        if self.lose_answer_once:
            self.lose_answer_once = False
            raise LedgerUnavailableError("the twin was told to lose this answer")
        return answers

    def _apply(self, transition: Transition) -> Answer:
        match transition:
            case CreateSession():
                return self._create_session(transition)
            case PlaceBet():
                return self._place_bet(transition)
            case StartRound():
                return self._start_round(transition)
            case VoidRound() | SettleRound() | RefundRound():
                return self._end_round(transition)
            case AcknowledgeCall():
                return self._acknowledge(transition)
            case PostponeCall():
                return self._postpone(transition)
            case ChangeClientSeed():
                return self._change_client_seed(transition)

    def _create_session(self, new: CreateSession) -> Answer:
        key = (new.operator_id, new.signature_digest)
        if key in self.launches and self.launches[key][1] > new.created_at_ms:
            return replace(self.launches[key][0], replayed=True)
        commitment = Commitment(new.server_seed, fairness.commitment(new.server_seed), new.client_seed, 1)
        self.sessions[new.session_id] = StoredSession(
            SessionRecord(
                operator_id=new.operator_id,
                session_id=new.session_id,
                operator_player_id=new.operator_player_id,
                currency=new.currency,
                balance_minor=new.balance_minor,
                created_at_ms=new.created_at_ms,
                expires_at_ms=new.expires_at_ms,
                next=commitment,
            ),
            new.token_digest,
        )
        launched = Launched(new.session_id, new.expires_at_ms, new.sealed_token, replayed=False)
        self.launches[key] = (launched, new.replay_until_ms)
        return launched

    def _place_bet(self, bet: PlaceBet) -> Answer:
        live = bet.round
        stored = self.rounds.get(live.round_id)
        if stored is not None:
            same = stored.live.status is RoundStatus.BETTING and stored.owner == bet.owner
            return Applied() if same else Rejected()
        session = self.sessions.get(live.session_id)
        if session is None or session.owner != bet.owner or live.created_at_ms >= session.record.expires_at_ms:
            return Rejected()
        promised = session.record.next
        if (promised.nonce, promised.server_seed_hash) != (live.commitment.nonce, live.commitment.server_seed_hash):
            return Rejected()
        if self._live_round_of(live.session_id) or self._pending(live.session_id):
            return Rejected()
        seed = bet.next_server_seed
        after = Commitment(seed, fairness.commitment(seed), live.commitment.client_seed, promised.nonce + 1)
        session.record = replace(session.record, next=after)
        self.rounds[live.round_id] = StoredRound(live, bet.owner)
        self.calls[bet.call.operator_tx_id] = StoredCall(bet.call, CallStatus.PENDING)
        return Applied()

    def _start_round(self, start: StartRound) -> Answer:
        stored = self.rounds.get(start.round_id)
        if stored is None or stored.owner != start.owner or stored.live.status not in LIVE:
            return Rejected()
        if stored.live.status is RoundStatus.BETTING:
            stored.live = replace(stored.live, status=RoundStatus.FLYING, started_at_ms=start.started_at_ms)
            self._end_bet(start.round_id, CallStatus.ACKNOWLEDGED, 1)
            self._set_balance(start.session_id, start.balance_minor)
        assert stored.live.started_at_ms is not None
        return Started(stored.live.started_at_ms)

    def _end_bet(self, round_id: UUID, status: CallStatus, attempts: int) -> None:
        bet = self.calls[f"bet-{round_id}"]
        bet.status, bet.call = status, replace(bet.call, attempts=attempts)

    def _set_balance(self, session_id: UUID, balance_minor: int) -> None:
        session = self.sessions[session_id]
        session.record = replace(session.record, balance_minor=balance_minor)

    def _end_round(self, end: VoidRound | SettleRound | RefundRound) -> Answer:
        stored = self.rounds.get(end.round_id)
        if stored is None or stored.owner != end.owner:
            return Rejected()
        if stored.finished is not None:
            return Applied() if stored.ended_by is not None and _same_end(stored.ended_by, end) else Rejected()
        wanted = RoundStatus.BETTING if isinstance(end, VoidRound) else RoundStatus.FLYING
        if stored.live.status is not wanted:
            return Rejected()
        stored.finished, stored.ended_by = _finish(stored.live, end), end
        if isinstance(end, VoidRound):
            self._end_bet(end.round_id, end.bet_status, end.attempts)
        owed = end.win if isinstance(end, SettleRound) else end.refund
        if owed is not None:
            assert owed.amount_minor > 0 and owed.kind is not CallKind.BET
            assert not {f"win-{end.round_id}", f"refund-{end.round_id}"} & self.calls.keys(), "never both, never twice"
            self.calls[owed.operator_tx_id] = StoredCall(owed, CallStatus.PENDING)
        return Applied()

    def _acknowledge(self, fact: AcknowledgeCall) -> Answer:
        stored = self.calls.get(fact.operator_tx_id)
        if stored is None or stored.status is not CallStatus.PENDING:
            return Applied() if stored is not None and stored.status is CallStatus.ACKNOWLEDGED else Rejected()
        stored.status, stored.call = CallStatus.ACKNOWLEDGED, replace(stored.call, attempts=fact.attempts)
        self._set_balance(fact.session_id, fact.balance_minor)
        return Applied()

    def _postpone(self, fact: PostponeCall) -> Answer:
        stored = self.calls.get(fact.operator_tx_id)
        if stored is None or stored.status is not CallStatus.PENDING:
            same = stored is not None and fact.parked and stored.status is CallStatus.PARKED
            return Applied() if same else Rejected()
        stored.call = replace(stored.call, attempts=fact.attempts, next_attempt_at_ms=fact.next_attempt_at_ms)
        stored.last_error = fact.last_error
        if fact.parked:
            stored.status = CallStatus.PARKED
        return Applied()

    def _change_client_seed(self, change: ChangeClientSeed) -> Answer:
        session = self.sessions.get(change.session_id)
        if session is None or session.owner != change.owner:
            return Rejected()
        after = replace(session.record.next, client_seed=change.client_seed)
        session.record = replace(session.record, next=after)
        return Applied()

    # Nodes and ownership.

    async def register_node(self, node: str, now_ms: int) -> Owner:
        await self._cross()
        self._epoch += 1
        self.heartbeats_ms[Owner(node, self._epoch)] = now_ms
        return Owner(node, self._epoch)

    async def heartbeat(self, owner: Owner, now_ms: int) -> bool:
        await self._cross()
        if self._is_superseded(owner):
            return False
        self.heartbeats_ms[owner] = now_ms
        return True

    def _is_superseded(self, owner: Owner) -> bool:
        return any(other.node == owner.node and other.epoch > owner.epoch for other in self.heartbeats_ms)

    def _is_alive(self, owner: Owner, lease_ms: int, now_ms: int) -> bool:
        return not self._is_superseded(owner) and now_ms - self.heartbeats_ms.get(owner, 0) < lease_ms

    async def open_session(self, token_digest: bytes, owner: Owner, lease_ms: int, now_ms: int) -> OpenedSession | None:
        await self._cross()
        for session in self.sessions.values():
            if session.token_digest == token_digest:
                break
        else:
            return None
        if session.owner not in {None, owner} and self._is_alive(session.owner, lease_ms, now_ms):
            raise SessionElsewhereError("another live node owns the session")
        session.owner = owner
        session_id = session.record.session_id
        return OpenedSession(
            session=session.record,
            live_round=self._live_round_of(session_id),
            pending_calls=tuple(self._pending(session_id)),
        )

    async def take_orphans(self, owner: Owner, lease_ms: int, now_ms: int, limit: int) -> list[tuple[LiveRound, int]]:
        await self._cross()
        taken: list[tuple[LiveRound, int]] = []
        for stored in sorted(self.rounds.values(), key=lambda stored: stored.live.created_at_ms):
            dead = stored.owner != owner and not self._is_alive(stored.owner, lease_ms, now_ms)
            if stored.finished is None and dead and len(taken) < limit:
                heartbeat_at_ms = self.heartbeats_ms.get(stored.owner, 0)
                stored.owner = owner
                taken.append((stored.live, heartbeat_at_ms))
        return taken

    # Reads.

    def _live_round_of(self, session_id: UUID) -> LiveRound | None:
        for stored in self.rounds.values():
            if stored.live.session_id == session_id and stored.finished is None:
                return stored.live
        return None

    def _pending(self, session_id: UUID) -> list[WalletCall]:
        pending = [
            stored.call
            for stored in self.calls.values()
            if stored.call.session_id == session_id
            and stored.status is CallStatus.PENDING
            and stored.call.kind is not CallKind.BET
        ]
        return sorted(pending, key=lambda call: call.position)

    async def history(
        self, operator_id: UUID, operator_player_id: str, before: UUID | None, limit: int
    ) -> tuple[list[FinishedRound], bool]:
        await self._cross()
        finished = [
            stored.finished
            for stored in self.rounds.values()
            if stored.finished is not None
            and stored.live.operator_id == operator_id
            and stored.live.operator_player_id == operator_player_id
        ]
        finished.sort(key=_age, reverse=True)
        if before is not None:
            edge = next((past for past in finished if past.round_id == before), None)
            if edge is None:
                return [], False
            finished = [past for past in finished if _age(past) < _age(edge)]
        return finished[:limit], len(finished) > limit

    async def live_round(self, operator_id: UUID, round_id: UUID) -> LiveRound | None:
        await self._cross()
        stored = self.rounds.get(round_id)
        return stored.live if stored is not None and stored.finished is None else None

    async def finished_round(self, operator_id: UUID, round_id: UUID) -> FinishedRound | None:
        await self._cross()
        stored = self.rounds.get(round_id)
        return None if stored is None else stored.finished

    async def pending_calls(self, operator_id: UUID, session_id: UUID) -> list[WalletCall]:
        await self._cross()
        return self._pending(session_id)

    async def sessions_with_pending_calls(self, owner: Owner, limit: int) -> list[tuple[UUID, UUID]]:
        await self._cross()
        pending = [
            stored.call
            for stored in self.calls.values()
            if stored.status is CallStatus.PENDING and stored.call.kind is not CallKind.BET
        ]
        pending.sort(key=lambda call: call.created_at_ms)
        return list(dict.fromkeys((call.operator_id, call.session_id) for call in pending))[:limit]


def _age(finished: FinishedRound) -> tuple[int, UUID]:
    return finished.settled_at_ms, finished.round_id


def _same_end(one: Transition, other: Transition) -> bool:
    """Whether two ends say the same, whenever they were decided."""
    return _timeless(one) == _timeless(other)


def _timeless(end: Transition) -> tuple[object, ...]:
    match end:
        case SettleRound():
            return (SettleRound, end.result, end.realized_hundredths, end.payout_minor)
        case VoidRound():
            return (VoidRound, end.reason, end.bet_status)
        case RefundRound():
            return (RefundRound, end.reason)
        case _:
            raise AssertionError("not an end")


def _finish(live: LiveRound, end: VoidRound | SettleRound | RefundRound) -> FinishedRound:
    settled = end if isinstance(end, SettleRound) else None
    statuses = {SettleRound: RoundStatus.SETTLED, VoidRound: RoundStatus.VOID, RefundRound: RoundStatus.REFUNDED}
    return FinishedRound(
        round_id=live.round_id,
        session_id=live.session_id,
        status=statuses[type(end)],
        result=settled and settled.result,
        reason=None if isinstance(end, SettleRound) else end.reason,
        currency=live.currency,
        amount_minor=live.amount_minor,
        auto_cashout_hundredths=live.auto_cashout_hundredths,
        realized_hundredths=settled.realized_hundredths if settled else 0,
        payout_minor=settled.payout_minor if settled else 0,
        server_seed=end.server_seed,
        server_seed_hash=live.commitment.server_seed_hash,
        client_seed=live.commitment.client_seed,
        nonce=live.commitment.nonce,
        rtp_bps=live.terms.rtp_bps,
        max_win_multiplier=live.terms.max_win_multiplier,
        outcome=end.outcome,
        started_at_ms=live.started_at_ms,
        settled_at_ms=end.settled_at_ms,
    )
