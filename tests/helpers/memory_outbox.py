"""The twin's wallet calls: what is pending, due, claimed or parked. The same rules as the SQL."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from actors.facts.records import CallKind, CallStatus, OutboxCount, Owner, WalletCall
from actors.facts.transitions import AcknowledgeCall, Answer, Applied, PostponeCall, Rejected
from actors.ports.outbox import NOT_AHEAD


@dataclass
class StoredCall:
    call: WalletCall
    status: CallStatus
    last_error: str | None = None
    not_before_ms: int | None = None
    claimed_by: Owner | None = None

    @property
    def is_in_outbox(self) -> bool:
        return self.status is CallStatus.PENDING and self.call.kind is not CallKind.BET

    def is_due(self, now_ms: int, ahead_until_ms: int) -> bool:
        may_be_early = self.claimed_by is None and (self.not_before_ms or 0) <= now_ms
        return self.call.next_attempt_at_ms <= (max(ahead_until_ms, now_ms) if may_be_early else now_ms)


class MemoryOutbox(dict[str, StoredCall]):
    """All calls by transaction id."""

    def pending(self, session_id: UUID) -> list[WalletCall]:
        found = [each.call for each in self.values() if each.is_in_outbox and each.call.session_id == session_id]
        return sorted(found, key=lambda call: call.position)

    def owe(self, owner: Owner, call: WalletCall) -> bool:
        """A round's end owes ``call``; whether its node has claimed it, which it says by a later next attempt."""
        is_claimed = call.next_attempt_at_ms > call.created_at_ms and not self.pending(call.session_id)
        if not is_claimed:
            call = replace(call, next_attempt_at_ms=call.created_at_ms)
        self[call.operator_tx_id] = StoredCall(call, CallStatus.PENDING, claimed_by=owner if is_claimed else None)
        return is_claimed

    def owed(self, fact: AcknowledgeCall | PostponeCall) -> StoredCall | None:
        stored = self.get(fact.operator_tx_id)
        if stored is None or stored.call.kind is CallKind.BET:
            return None
        same = (stored.call.operator_id, stored.call.session_id) == (fact.operator_id, fact.session_id)
        return stored if same else None

    def acknowledge(self, fact: AcknowledgeCall, set_balance: Callable[[UUID, int | None], None]) -> Answer:
        stored = self.owed(fact)
        if stored is None:
            return Rejected()
        if stored.status is CallStatus.ACKNOWLEDGED:
            return Applied()
        if fact.balance_minor is not None and fact.balance_minor < 0:
            return Rejected()
        stored.status, stored.call = (
            CallStatus.ACKNOWLEDGED,
            replace(stored.call, attempts=fact.attempts, refused_since_ms=None),
        )
        stored.last_error = stored.not_before_ms = stored.claimed_by = None
        set_balance(fact.session_id, fact.balance_minor)
        return Applied()

    def postpone(self, fact: PostponeCall) -> Answer:
        stored = self.owed(fact)
        if stored is None or stored.status is not CallStatus.PENDING:
            same = stored is not None and fact.parked and stored.status is CallStatus.PARKED
            return Applied() if same else Rejected()
        if stored.claimed_by not in {None, fact.owner}:
            return Rejected()
        stored.call = replace(
            stored.call,
            attempts=fact.attempts,
            next_attempt_at_ms=fact.next_attempt_at_ms,
            refused_since_ms=fact.refused_since_ms,
        )
        stored.last_error, stored.not_before_ms, stored.claimed_by = fact.last_error, fact.not_before_ms, None
        if fact.parked:
            stored.status = CallStatus.PARKED
        return Applied()

    def claim(
        self,
        owner: Owner,
        quotas: Mapping[UUID, int],
        now_ms: int,
        claim_ms: int,
        ahead_until_ms: Mapping[UUID, int] = NOT_AHEAD,
    ) -> list[WalletCall]:
        claimed = []
        for operator_id, quota in quotas.items():
            due = [stored for stored in self.values() if stored.call.operator_id == operator_id and stored.is_in_outbox]
            due = [
                stored
                for stored in due
                if stored.is_due(now_ms, ahead_until_ms.get(operator_id, now_ms))
                and self.pending(stored.call.session_id)[0].operator_tx_id == stored.call.operator_tx_id
                and not self._is_sending(stored.call.session_id, now_ms)
            ]
            due.sort(key=lambda stored: (stored.call.next_attempt_at_ms, stored.call.operator_tx_id))
            for stored in due[:quota]:
                stored.call = replace(stored.call, next_attempt_at_ms=now_ms + claim_ms)
                stored.claimed_by = owner
                claimed.append(stored.call)
        return sorted(claimed, key=lambda call: (call.created_at_ms, call.operator_tx_id))

    def park_refused(self, operator_tx_id: str) -> None:
        stored = self[operator_tx_id]
        stored.status, stored.claimed_by = CallStatus.PARKED, None
        stored.last_error = "not sent: it is not a call that we wrote"

    def give_up(self, owner: Owner, in_flight: Collection[str], created_before_ms: int, now_ms: int) -> int:
        mine = [
            stored
            for tx_id, stored in self.items()
            if stored.claimed_by == owner and tx_id not in in_flight and stored.call.created_at_ms < created_before_ms
        ]
        for stored in mine:
            due_ms = min(stored.call.next_attempt_at_ms, now_ms)
            stored.call, stored.claimed_by = replace(stored.call, next_attempt_at_ms=due_ms), None
        return len(mine)

    def _is_sending(self, session_id: UUID, now_ms: int) -> bool:
        return any(
            stored.is_in_outbox and stored.claimed_by is not None and stored.call.next_attempt_at_ms > now_ms
            for stored in self.values()
            if stored.call.session_id == session_id
        )

    def release(self, is_dead: Callable[[Owner], bool], now_ms: int, limit: int) -> int:
        orphaned = [stored for stored in self.values() if stored.claimed_by and is_dead(stored.claimed_by)][:limit]
        for stored in orphaned:
            due_ms = min(stored.call.next_attempt_at_ms, now_ms)
            stored.call, stored.claimed_by = replace(stored.call, next_attempt_at_ms=due_ms), None
        return len(orphaned)

    def counts(self) -> list[OutboxCount]:
        counts = []
        for operator_id in sorted({stored.call.operator_id for stored in self.values()}):
            mine = [stored for stored in self.values() if stored.call.operator_id == operator_id]
            since = [stored.call.created_at_ms for stored in mine if stored.is_in_outbox]
            refused = sum(stored.is_in_outbox and stored.call.refused_since_ms is not None for stored in mine)
            parked = sum(stored.status is CallStatus.PARKED for stored in mine)
            if since or parked:
                counts.append(
                    OutboxCount(
                        operator_id=operator_id,
                        pending=len(since),
                        oldest_created_at_ms=min(since, default=None),
                        parked=parked,
                        refused=refused,
                    )
                )
        return counts
