"""Bugs of the rules that the ledger keeps, planted in the twin that shares them with the SQL."""

from dataclasses import replace
from unittest import mock

from actors.facts.records import CallKind, CallStatus, RoundStatus
from actors.facts.transitions import Applied, Rejected
from actors.play.purse import Purse
from tests.helpers import memory_ledger
from tests.helpers.memory_ledger import MemoryLedger
from tests.helpers.memory_outbox import MemoryOutbox, StoredCall
from tests.helpers.transition_kinds import kind_of
from tests.worlds.planting import Bugs

BUGS = Bugs()

# Acknowledgements, claims and the order of calls.


@BUGS.named("an acknowledgement is not stored")
def _acknowledgement_lost():
    def acknowledge(self, fact, set_balance):
        return Applied()

    return [(MemoryOutbox, "acknowledge", acknowledge)]


@BUGS.named("a balance comes from an old answer")
def _old_balance():
    real = MemoryOutbox.acknowledge

    def acknowledge(self, fact, set_balance):
        return real(self, fact, lambda session_id, balance_minor: None)

    return [(MemoryOutbox, "acknowledge", acknowledge)]


@BUGS.named("a claim never ends")
def _claim_for_ever():
    real = MemoryOutbox.claim

    def claim(self, owner, quotas, now_ms, claim_ms, ahead_until_ms):
        return real(self, owner, quotas, now_ms, 10**9, ahead_until_ms)

    return [(MemoryOutbox, "claim", claim), (MemoryOutbox, "release", lambda self, is_dead, now_ms, limit: 0)]


@BUGS.named("claims of the living are released")
def _claims_taken():
    real = MemoryOutbox.release

    def release(self, is_dead, now_ms, limit):
        return real(self, lambda owner: True, now_ms, limit)

    return [(MemoryOutbox, "release", release)]


@BUGS.named("a bet overtakes a pending win")
def _overtakes():
    real = MemoryLedger._place_bet

    def place(self, bet):
        with mock.patch.object(MemoryOutbox, "pending", lambda outbox, session_id: []):
            return real(self, bet)

    return [(MemoryLedger, "_place_bet", place), (Purse, "pending_minor", property(lambda self: 0))]


# Who may write.


def _unfenced(kind: str):
    real = MemoryLedger._apply

    def apply(self, transition):
        if kind_of(transition) == kind:
            stored = (
                self.sessions[transition.round.session_id]
                if kind == "PlaceBet"
                else self.rounds.get(transition.round_id)
            )
            if stored is not None and stored.owner is not None:
                owner, stored.owner = stored.owner, transition.owner
                record = getattr(stored, "record", None)
                if record is not None:  # an opening draws a new promise, which fences a bet by itself
                    stored.record = replace(record, next=transition.round.commitment)
                answer = real(self, transition)
                if isinstance(answer, Rejected):
                    stored.owner = owner
                    if record is not None:
                        stored.record = record
                return answer
        return real(self, transition)

    return [(MemoryLedger, "_apply", apply)]


@BUGS.named("anybody places a bet")
def _place_unfenced():
    return _unfenced("PlaceBet")


@BUGS.named("anybody starts a round")
def _start_unfenced():
    return _unfenced("StartRound")


@BUGS.named("anybody voids a round")
def _void_unfenced():
    return _unfenced("void")


@BUGS.named("anybody settles a round")
def _settle_unfenced():
    return _unfenced("settled")


@BUGS.named("anybody refunds a round")
def _refund_unfenced():
    return _unfenced("refunded")


@BUGS.named("a living node's sessions and rounds are taken")
def _taken_from_the_living():
    return [(MemoryLedger, "_is_alive", lambda self, owner, lease_ms, now_ms: False)]


# What is stored of a round.


@BUGS.named("a win brings a refund with it")
def _win_and_refund():
    real = MemoryLedger._end_round

    def end_round(self, end):
        answer = real(self, end)
        if isinstance(answer, Applied) and end.finished.status is RoundStatus.SETTLED and end.call is not None:
            tx_id = f"refund-{end.round_id}"
            refund = replace(end.call, kind=CallKind.REFUND, operator_tx_id=tx_id)
            self.calls.setdefault(tx_id, StoredCall(refund, CallStatus.PENDING))
        return answer

    return [(MemoryLedger, "_end_round", end_round)]


@BUGS.named("a nonce is promised twice")
def _nonce_twice():
    real = MemoryLedger._place_bet

    def place(self, bet):
        session = self.sessions[bet.round.session_id]
        promised = session.record.next
        answer = real(self, bet)
        session.record = replace(session.record, next=promised)
        return answer

    return [(MemoryLedger, "_place_bet", place)]


@BUGS.named("a round may end twice")
def _ends_twice():
    real = MemoryLedger._end_round

    def end_round(self, end):
        stored = self.rounds.get(end.round_id)
        if stored is not None and stored.finished is not None:
            stored.finished = None
        return real(self, end)

    return [(MemoryLedger, "_end_round", end_round), (memory_ledger, "same_end", lambda one, other: True)]
