"""The ledger's in-memory twin: the same rules as the SQL, on dictionaries. It passes the same tests."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import trio

from actors.facts.columns import made, values
from actors.facts.records import (
    CallStatus,
    Commitment,
    FinishedRound,
    LiveRound,
    OpenedSession,
    Operator,
    OutboxCount,
    Owner,
    PageOptions,
    RoundKey,
    RoundStatus,
    SessionRecord,
    SessionTotals,
    WalletCall,
)
from actors.facts.transitions import (
    AcknowledgeCall,
    Answer,
    Applied,
    Busy,
    ChangeClientSeed,
    CreateSession,
    EndRound,
    Launched,
    PlaceBet,
    PostponeCall,
    Rejected,
    Started,
    StartRound,
    Transition,
)
from actors.ports.ledger import LedgerUnavailableError
from actors.ports.nodes import Pulse
from actors.ports.outbox import NOT_AHEAD
from actors.ports.sessions import SessionElsewhereError
from actors.rules import fairness
from actors.rules.lineage import Lineage
from actors.shared.ledger import session_of
from tests.helpers.books import NOON_MS
from tests.helpers.memory_outbox import MemoryOutbox, StoredCall
from tests.helpers.memory_requests import MemoryRequests
from tests.helpers.memory_rules import refuses_bet, refuses_end, refuses_session, same_end

TABLES = ("sessions", "rounds", "calls", "launches", "heartbeats_ms", "flown_ms", "ended_ms", "requests")
"""All that is stored but the operators."""


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
    page: PageOptions
    owner: Owner | None = None


class MemoryLedger(MemoryRequests):
    """Trouble on demand.

    ``unavailable``: every call fails before its effect. ``loses_commits``: only commits do; ``loses``: only those of
    these types of transition. ``lose_answer_once``: the next commit has its effect, then fails. ``locked``: sessions of
    which somebody else holds a row.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operators: list[Operator] = []
        self.version_of_operators = 0
        self.confirmed: dict[Owner, int] = {}
        self.damaged: set[UUID | str] = set()
        """Sessions, rounds and calls that do not open any more."""
        self.unavailable = False
        self.lose_answer_once = False
        self.loses_commits = False
        self.locked: set[UUID] = set()
        self.loses: tuple[type[Transition], ...] = ()
        self.sessions: dict[UUID, StoredSession] = {}
        self.rounds: dict[UUID, StoredRound] = {}
        self.calls = MemoryOutbox()
        self.launches: dict[tuple[UUID, bytes], tuple[Launched, int]] = {}
        self.heartbeats_ms: dict[Owner, int] = {}
        self.epochs_drawn = 0
        """No table, and so it never goes back."""
        self.flown_ms: dict[Owner, int] = {}
        self.ended_ms: dict[Owner, int] = {}
        self.processes_gone: set[Owner] = set()
        """Lives whose connections have ended with their processes."""
        self.histories = 1
        self.cut_reason: str | None = None
        self.has_moved = self.was_synchronous = False
        self.clock_ms: int | None = None
        """The database's clock, if a test has set it."""

    def now_ms(self) -> int:
        """The database's clock. By itself it shows noon at the start of trio's, as the nodes' clocks do."""
        return NOON_MS + int(trio.current_time() * 1000) if self.clock_ms is None else self.clock_ms

    def copy_at_death(self) -> "MemoryLedger":
        """What a new process would find if this one died now."""
        survivor = copy.deepcopy(self)
        survivor.loses_commits = survivor.unavailable = survivor.lose_answer_once = False
        return survivor

    def backup(self) -> dict[str, object]:
        """What is stored now, for ``go_back``."""
        return copy.deepcopy({table: getattr(self, table) for table in TABLES})

    def go_back(self, backup: dict[str, object]) -> None:
        """Be what was stored once: restored from a backup, or a standby that was promoted without the last commits."""
        vars(self).update(copy.deepcopy(backup))

    async def operators_version(self) -> int:
        await self._cross()
        return self.version_of_operators

    async def load_operators(self) -> list[Operator]:
        await self._cross()
        return list(self.operators)

    async def confirm_operators(self, owner: Owner, version: int) -> None:
        await self._cross()
        self.confirmed[owner] = version

    async def _cross(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.unavailable:
            raise LedgerUnavailableError("the twin was told to be unavailable")

    # Changes.

    async def commit(self, transitions: Sequence[Transition]) -> list[Answer | Busy]:
        await self._cross()
        if self.loses_commits or any(isinstance(transition, self.loses) for transition in transitions):
            raise LedgerUnavailableError("the twin was told to take no commits")
        answers = [
            Busy() if session_of(transition) in self.locked else self._apply(transition) for transition in transitions
        ]
        self._forget_launches([each for each in transitions if isinstance(each, CreateSession)])
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
            case EndRound():
                return self._end_round(transition)
            case AcknowledgeCall():
                return self.calls.acknowledge(transition, self._set_balance)
            case PostponeCall():
                return self.calls.postpone(transition)
            case ChangeClientSeed():
                return self._change_client_seed(transition)

    def _forget_launches(self, launched: Sequence[CreateSession]) -> None:
        if launched:
            now_ms = min(each.created_at_ms for each in launched)
            asked = {(each.operator_id, each.signature_digest) for each in launched}
            kept = [(key, old) for key, old in self.launches.items() if old[1] >= now_ms or key in asked]
            self.launches = dict(kept)

    def _create_session(self, new: CreateSession) -> Answer:
        key = (new.operator_id, new.signature_digest)
        if key in self.launches:
            first = self.launches[key][0]
            return replace(first, replayed=first.session_id != new.session_id)
        if new.session_id in self.sessions or refuses_session(new):
            return Rejected()
        commitment = Commitment(new.server_seed, fairness.commitment(new.server_seed), new.client_seed, 1)
        self.sessions[new.session_id] = StoredSession(
            made(SessionRecord, values(new), next=commitment, balance_is_known=True),
            new.token_digest,
            new.page,
        )
        launched = Launched(new.session_id, new.expires_at_ms, new.sealed_token, replayed=False)
        self.launches[key] = (launched, new.replay_until_ms)
        return launched

    def _place_bet(self, bet: PlaceBet) -> Answer:
        live = bet.round
        stored = self.rounds.get(live.round_id)
        if stored is not None:
            same = stored.live.operator_id == live.operator_id and stored.owner == bet.owner
            is_live = stored.finished is None and stored.live.status is RoundStatus.BETTING
            return Applied() if same and is_live else Rejected()
        session = self._session(live.operator_id, live.session_id)
        if session is None or session.owner != bet.owner or live.created_at_ms >= session.record.expires_at_ms:
            return Rejected()
        promised = session.record.next
        if (promised.nonce, promised.server_seed_hash) != (live.commitment.nonce, live.commitment.server_seed_hash):
            return Rejected()
        if (session.record.operator_player_id, session.record.currency) != (live.operator_player_id, live.currency):
            return Rejected()
        if self._live_round_of(live.session_id) or self.calls.pending(live.session_id) or refuses_bet(bet):
            return Rejected()
        seed = bet.next_server_seed
        after = Commitment(seed, fairness.commitment(seed), live.commitment.client_seed, promised.nonce + 1)
        session.record = replace(session.record, next=after)
        self.rounds[live.round_id] = StoredRound(live, bet.owner)
        self.calls[bet.call.operator_tx_id] = StoredCall(bet.call, CallStatus.PENDING)
        return Applied()

    def _session(self, operator_id: UUID, session_id: UUID) -> StoredSession | None:
        session = self.sessions.get(session_id)
        return session if session is not None and session.record.operator_id == operator_id else None

    def _round(self, operator_id: UUID, round_id: UUID) -> StoredRound | None:
        stored = self.rounds.get(round_id)
        return stored if stored is not None and stored.live.operator_id == operator_id else None

    def _start_round(self, start: StartRound) -> Answer:
        stored = self._round(start.operator_id, start.round_id)
        if stored is None or stored.owner != start.owner or stored.finished is not None:
            return Rejected()
        if stored.live.status is RoundStatus.BETTING:
            if start.balance_minor < 0:
                return Rejected()
            stored.live = replace(stored.live, status=RoundStatus.FLYING, started_at_ms=start.started_at_ms)
            self._end_bet(start.round_id, CallStatus.ACKNOWLEDGED, start.attempts)
            self._set_balance(start.session_id, start.balance_minor)
        assert stored.live.started_at_ms is not None
        return Started(stored.live.started_at_ms)

    def _end_bet(self, round_id: UUID, status: CallStatus, attempts: int, last_error: str | None = None) -> None:
        bet = self.calls[f"bet-{round_id}"]
        bet.last_error = last_error
        bet.status, bet.call = status, replace(bet.call, attempts=attempts)

    def _set_balance(self, session_id: UUID, balance_minor: int | None) -> None:
        session = self.sessions[session_id]
        is_known = balance_minor is not None
        if balance_minor is None:
            balance_minor = session.record.balance_minor
        session.record = replace(session.record, balance_minor=balance_minor, balance_is_known=is_known)

    def _end_round(self, end: EndRound) -> Answer:
        stored = self._round(end.operator_id, end.round_id)
        if stored is None or stored.owner != end.owner:
            return Rejected()
        if stored.finished is not None:
            return Applied() if stored.ended_by is not None and same_end(stored.ended_by, end) else Rejected()
        wanted = RoundStatus.FLYING if end.bet is None else RoundStatus.BETTING
        if stored.live.status is not wanted or refuses_end(stored.live, end):
            return Rejected()
        # As the database does: the round's start is what is stored.
        stored.finished = replace(end.finished, started_at_ms=stored.live.started_at_ms)
        stored.ended_by = end
        if end.bet is not None:
            self._end_bet(end.round_id, end.bet.status, end.bet.attempts, end.bet.detail)
        if end.call is None:
            return Applied()
        assert not {f"win-{end.round_id}", f"refund-{end.round_id}"} & self.calls.keys(), "never both, never twice"
        return Applied(is_claimed=self.calls.owe(end.owner, end.call))

    def _change_client_seed(self, change: ChangeClientSeed) -> Answer:
        session = self._session(change.operator_id, change.session_id)
        known = fairness.is_client_seed(change.client_seed)
        if session is None or session.owner != change.owner or not known:
            return Rejected()
        after = replace(session.record.next, client_seed=change.client_seed)
        session.record = replace(session.record, next=after)
        return Applied()

    # Nodes and ownership.

    async def register_node(self, node: str, flown_ms: int) -> Owner:
        await self._cross()
        self.epochs_drawn += 1
        owner = Owner(node, self.epochs_drawn)
        self.heartbeats_ms[owner], self.flown_ms[owner] = self.now_ms(), flown_ms
        return owner

    async def heartbeat(self, owner: Owner, flown_ms: int, lease_ms: int, written_ms: int | None = None) -> Pulse:
        await self._cross()
        before_ms, is_superseded, now_ms = self.heartbeats_ms.get(owner), self._is_superseded(owner), self.now_ms()
        is_over = before_ms is not None and (owner in self.ended_ms or before_ms <= now_ms - lease_ms)
        is_older = before_ms is not None and written_ms is not None and before_ms < written_ms
        is_recorded = before_ms is not None and not is_superseded and not is_over and not is_older
        if is_recorded:
            self.heartbeats_ms[owner], self.flown_ms[owner] = now_ms, flown_ms
        lineage = Lineage(
            history_id=str(self.histories),
            cut_reason=self.cut_reason,
            has_moved=self.has_moved,
            was_synchronous=self.was_synchronous,
        )
        return Pulse(
            database_ms=now_ms,
            before_ms=before_ms,
            is_recorded=is_recorded,
            is_superseded=is_superseded,
            is_over=is_over,
            newest_end_ms=max(self.ended_ms.values(), default=None),
            lineage=lineage,
        )

    async def end_silent(self, owner: Owner, silent_ms: int) -> list[Owner]:
        await self._cross()
        now_ms = self.now_ms()
        gone = [
            other
            for other, beat_ms in self.heartbeats_ms.items()
            if other != owner
            and other in self.processes_gone
            and other not in self.ended_ms
            and beat_ms <= now_ms - silent_ms
        ]
        self.ended_ms.update(dict.fromkeys(gone, now_ms))
        return gone

    async def end_life(self, owner: Owner) -> None:
        await self._cross()
        if owner in self.heartbeats_ms:
            self.ended_ms.setdefault(owner, self.now_ms())

    async def note_cut(self, owner: Owner, history_id: str, reason: str, own_history_id: str | None = None) -> None:
        await self._cross()
        is_past = own_history_id is not None and int(own_history_id) < self.histories
        if history_id == str(self.histories) and self.cut_reason is None and not is_past:
            self.cut_reason = reason

    async def adopt_place(self, history_id: str) -> None:
        await self._cross()
        if history_id == str(self.histories):
            self.has_moved = False

    def restored(self) -> None:
        """As ``getaway restored`` does: the next history begins."""
        self.histories += 1
        self.cut_reason, self.has_moved = None, False

    def _is_superseded(self, owner: Owner) -> bool:
        return any(other.node == owner.node and other.epoch > owner.epoch for other in self.heartbeats_ms)

    def _is_alive(self, owner: Owner, lease_ms: int, now_ms: int) -> bool:
        is_over = owner in self.ended_ms or self._is_superseded(owner)
        return not is_over and now_ms - self.heartbeats_ms.get(owner, 0) < lease_ms

    async def open_session(
        self, token_digest: bytes, owner: Owner, lease_ms: int, server_seed: str
    ) -> OpenedSession | None:
        await self._cross()
        for session in self.sessions.values():
            if session.token_digest == token_digest:
                break
        else:
            return None
        if session.record.session_id in self.locked:
            raise LedgerUnavailableError("the session is locked")
        live = self._live_round_of(session.record.session_id)
        if self.damaged & {session.record.session_id, None if live is None else live.round_id}:
            return None
        if session.owner not in {None, owner} and self._is_alive(session.owner, lease_ms, self.now_ms()):
            raise SessionElsewhereError("another live node owns the session")
        before = session.record.next
        discarded = before if session.owner is not None else None
        session.owner = owner
        promised = replace(before, server_seed=server_seed, server_seed_hash=fairness.commitment(server_seed))
        session.record = replace(session.record, next=promised)
        session_id = session.record.session_id
        return OpenedSession(
            session=session.record,
            live_round=live,
            outbox=tuple(self._opened(self.calls.pending(session_id))),
            owns_round=live is not None and self.rounds[live.round_id].owner == owner,
            totals=self._totals_of(session_id),
            discarded=discarded,
        )

    async def take_orphans(
        self, owner: Owner, lease_ms: int, limit: int, written_ms: int | None = None
    ) -> list[LiveRound]:
        await self._cross()
        taken: list[LiveRound] = []
        if not self._is_whole(owner, written_ms):
            return taken
        for stored in sorted(
            self.rounds.values(), key=lambda stored: (stored.live.created_at_ms, stored.live.round_id)
        ):
            if stored.owner == owner:
                dead = stored.live.interrupted_at_ms is not None
            else:
                dead = not self._is_alive(stored.owner, lease_ms, self.now_ms())
            if stored.finished is None and dead and len(taken) < limit and stored.live.round_id not in self.damaged:
                if stored.live.interrupted_at_ms is None:
                    flown_ms = self.flown_ms.get(stored.owner, 0)
                    stored.live = replace(stored.live, interrupted_at_ms=flown_ms)
                stored.owner = owner
                taken.append(stored.live)
        return taken

    def _is_whole(self, owner: Owner, written_ms: int | None) -> bool:
        """Whether the history is the one in which ``owner`` has written, and nobody has found otherwise."""
        beat_ms = self.heartbeats_ms.get(owner)
        is_older = beat_ms is None or (written_ms is not None and beat_ms < written_ms)
        return not is_older and self.cut_reason is None and not self.has_moved

    async def own_live_rounds(self, owner: Owner, before_ms: int, limit: int) -> list[RoundKey]:
        await self._cross()
        found = [
            stored.live
            for stored in self.rounds.values()
            if stored.finished is None
            and stored.owner == owner
            and stored.live.interrupted_at_ms is None
            and stored.live.created_at_ms < before_ms
            and (stored.live.session_id, owner) not in self.requests
        ]
        found.sort(key=lambda live: (live.created_at_ms, live.round_id))
        return [
            RoundKey(
                operator_id=live.operator_id,
                session_id=live.session_id,
                round_id=live.round_id,
                token_digest=self.sessions[live.session_id].token_digest,
            )
            for live in found[:limit]
        ]

    # Reads.

    def _live_round_of(self, session_id: UUID) -> LiveRound | None:
        for stored in self.rounds.values():
            if stored.live.session_id == session_id and stored.finished is None:
                return stored.live
        return None

    def _totals_of(self, session_id: UUID) -> SessionTotals:
        ended = [stored.finished for stored in self.rounds.values() if stored.live.session_id == session_id]
        settled = [past for past in ended if past is not None and past.status is RoundStatus.SETTLED]
        return SessionTotals(
            len(settled),
            sum(past.amount_minor for past in settled),
            sum(past.payout_minor for past in settled),
            max((past.nonce for past in settled), default=0),
        )

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
        finished = [past for past in finished if past.round_id not in self.damaged]
        finished.sort(key=_age, reverse=True)
        if before is not None:
            edge = next((past for past in finished if past.round_id == before), None)
            if edge is None:
                return [], False
            finished = [past for past in finished if _age(past) < _age(edge)]
        return finished[:limit], len(finished) > limit

    async def live_round(self, operator_id: UUID, round_id: UUID) -> LiveRound | None:
        await self._cross()
        stored = self._round(operator_id, round_id)
        return stored.live if stored is not None and stored.finished is None and round_id not in self.damaged else None

    async def finished_round(self, operator_id: UUID, round_id: UUID) -> FinishedRound | None:
        await self._cross()
        stored = self._round(operator_id, round_id)
        return None if stored is None or round_id in self.damaged else stored.finished

    def _opened(self, calls: Sequence[WalletCall]) -> list[WalletCall]:
        return [call for call in calls if call.operator_tx_id not in self.damaged]

    async def outbox_of(self, operator_id: UUID, session_id: UUID) -> list[WalletCall]:
        await self._cross()
        return self._opened([call for call in self.calls.pending(session_id) if call.operator_id == operator_id])

    async def balance_minor(self, operator_id: UUID, session_id: UUID) -> int:
        await self._cross()
        return self.sessions[session_id].record.balance_minor

    async def claim_calls(
        self,
        owner: Owner,
        quotas: Mapping[UUID, int],
        claim_ms: int,
        ahead_until_ms: Mapping[UUID, int] = NOT_AHEAD,
    ) -> list[WalletCall]:
        await self._cross()
        claimed = self.calls.claim(owner, quotas, self.now_ms(), claim_ms, ahead_until_ms)
        for call in claimed:
            if call.operator_tx_id in self.damaged:
                self.calls.park_refused(call.operator_tx_id)
        return self._opened(claimed)

    async def give_up_claims(self, owner: Owner, in_flight: Sequence[str], now_ms: int) -> int:
        await self._cross()
        return self.calls.give_up(owner, in_flight, now_ms, self.now_ms())

    async def release_claims(self, owner: Owner, lease_ms: int, limit: int) -> int:
        await self._cross()
        now_ms = self.now_ms()
        return self.calls.release(lambda by: by != owner and not self._is_alive(by, lease_ms, now_ms), now_ms, limit)

    async def outbox_counts(self) -> list[OutboxCount]:
        await self._cross()
        return self.calls.counts()


def _age(finished: FinishedRound) -> tuple[int, UUID]:
    return finished.settled_at_ms, finished.round_id
