"""Bugs to plant: each is a small change of the actors, or of the rules that the twin shares with the SQL.

A simulation is worth what it finds. Every bug here must be found within ``SEEDS_MAX`` worlds.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from unittest import mock

from actors import endings, recovery
from actors.messages import BetNotStored
from actors.owed import Owed
from actors.ports import Acknowledged, Declined, LedgerUnavailableError, Unclear
from actors.records import CallKind, CallStatus, RoundStatus
from actors.round import RoundActor
from actors.rules.settlement import FlightPlan, Result, Settlement
from actors.services import commit_until_known
from actors.transitions import Applied, Rejected
from actors.wallet import WalletActor
from tests.helpers import memory_ledger
from tests.helpers.memory_ledger import MemoryLedger
from tests.helpers.memory_outbox import MemoryOutbox, StoredCall

SEEDS_MAX = 60
Plant = Callable[[], list[tuple[object, str, object]]]
BUGS: dict[str, Plant] = {}
"""By name, what is patched: owner, attribute, replacement."""


def bug(name: str) -> Callable[[Plant], Plant]:
    def register(plant: Plant) -> Plant:
        assert name not in BUGS
        BUGS[name] = plant
        return plant

    return register


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Run with the bug ``name`` in the code."""
    with ExitStack() as stack:
        for owner, attribute, replacement in BUGS[name]():
            stack.enter_context(mock.patch.object(owner, attribute, replacement))
        yield


# The order of storing, sending and telling.


@bug("an end is told before it is stored")
def _told_early():
    async def end(self, ending, frame_id=None):
        self._over(ending, frame_id)
        await commit_until_known(self._services, ending.transition)

    return [(RoundActor, "_end", end)]


@bug("a settlement stays in memory when the ledger fails")
def _memory_only():
    async def end(self, ending, frame_id=None):
        with suppress(LedgerUnavailableError):
            await self._services.ledger.commit(ending.transition)
        self._over(ending, frame_id)

    return [(RoundActor, "_end", end)]


@bug("a bet is sent before it is stored")
def _sent_early():
    real = RoundActor._place_bet

    async def place(self):
        await self._ask_wallet()
        return await real(self)

    return [(RoundActor, "_place_bet", place)]


@bug("a flight is shown before its start is stored")
def _shown_early():
    async def start(self, taken):
        started_at_ms = self._services.metronome.next_beat_ms()
        return replace(self.placed, status=RoundStatus.FLYING, started_at_ms=started_at_ms)

    return [(RoundActor, "_start", start)]


@bug("a lost answer counts as not stored")
def _not_taken_back():
    async def take_back(self):
        self.report(BetNotStored(refused=False))

    return [(RoundActor, "_take_back", take_back)]


# What an answer of the wallet means.


def _hears(kind: CallKind, heard: type, instead: Callable):
    """The wallet actor takes answers of one type for another."""
    real = WalletActor._attempt

    async def attempt(self, call, timeout_ms, *, was_trial):
        answer = await real(self, call, timeout_ms, was_trial=was_trial)
        return instead(answer) if call.kind is kind and isinstance(answer, heard) else answer

    return [(WalletActor, "_attempt", attempt)]


@bug("an unclear bet counts as accepted")
def _unclear_accepted():
    return _hears(CallKind.BET, Unclear, lambda answer: Acknowledged(0))


@bug("a declined bet flies")
def _declined_flies():
    return _hears(CallKind.BET, Declined, lambda answer: Acknowledged(0))


@bug("an unclear bet is not refunded")
def _unclear_not_refunded():
    return _hears(CallKind.BET, Unclear, lambda answer: Declined(answer.detail))


@bug("a win is acknowledged by a 5xx")
def _win_by_failure():
    return _hears(CallKind.WIN, Unclear, lambda answer: Acknowledged(0))


@bug("a win is given up after a 4xx")
def _win_lost():
    return _hears(CallKind.WIN, Declined, lambda answer: Acknowledged(0))


@bug("a refund is acknowledged by any answer")
def _refund_by_anything():
    return _hears(CallKind.REFUND, Unclear | Declined, lambda answer: Acknowledged(0))


# What is sent again.


def _sends_changed(changed: Callable):
    real = WalletActor._attempt

    async def attempt(self, call, timeout_ms, *, was_trial):
        return await real(self, changed(call), timeout_ms, was_trial=was_trial)

    return [(WalletActor, "_attempt", attempt)]


@bug("a body is built anew for every attempt")
def _body_rebuilt():
    def changed(call):
        return replace(call, body=call.body[:-1] + b',"attempt":%d}' % call.attempts) if call.attempts else call

    return _sends_changed(changed)


@bug("a win is sent again under a new id")
def _win_renamed():
    def changed(call):
        if call.kind is not CallKind.WIN or not call.attempts:
            return call
        new_id = f"{call.operator_tx_id}-{call.attempts}"
        body = call.body.replace(call.operator_tx_id.encode(), new_id.encode())
        return replace(call, operator_tx_id=new_id, body=body)

    return _sends_changed(changed)


@bug("a bet is sent again under a new id")
def _bet_renamed():
    real = WalletActor._attempt

    async def attempt(self, call, timeout_ms, *, was_trial):
        answer = await real(self, call, timeout_ms, was_trial=was_trial)
        if call.kind is not CallKind.BET or not isinstance(answer, Unclear):
            return answer
        new_id = f"{call.operator_tx_id}-2"
        body = call.body.replace(call.operator_tx_id.encode(), new_id.encode())
        return await real(self, replace(call, operator_tx_id=new_id, body=body), timeout_ms, was_trial=was_trial)

    return [(WalletActor, "_attempt", attempt)]


@bug("an acknowledgement is not stored")
def _acknowledgement_lost():
    def acknowledge(self, fact, set_balance):
        return Applied()

    return [(MemoryOutbox, "acknowledge", acknowledge)]


@bug("a balance comes from an old answer")
def _old_balance():
    real = MemoryOutbox.acknowledge

    def acknowledge(self, fact, set_balance):
        return real(self, fact, lambda session_id, balance_minor: None)

    return [(MemoryOutbox, "acknowledge", acknowledge)]


@bug("a call is parked after its first failure")
def _parked_at_once():
    real = WalletActor._postponed

    def postponed(self, call, attempts, detail):
        return replace(real(self, call, attempts, detail), parked=True)

    return [(WalletActor, "_postponed", postponed)]


@bug("a call is tried again much too late")
def _too_late():
    real = WalletActor._postponed

    def postponed(self, call, attempts, detail):
        later = real(self, call, attempts, detail)
        return replace(later, next_attempt_at_ms=later.next_attempt_at_ms + 600_000)

    return [(WalletActor, "_postponed", postponed)]


# Claims and the order of calls.


@bug("a claim never ends")
def _claim_for_ever():
    real = MemoryOutbox.claim

    def claim(self, owner, quotas, now_ms, claim_ms):
        return real(self, owner, quotas, now_ms, 10**9)

    return [(MemoryOutbox, "claim", claim), (MemoryOutbox, "release", lambda self, is_dead, now_ms, limit: 0)]


@bug("claims of the living are released")
def _claims_taken():
    real = MemoryOutbox.release

    def release(self, is_dead, now_ms, limit):
        return real(self, lambda owner: True, now_ms, limit)

    return [(MemoryOutbox, "release", release)]


@bug("a bet overtakes a pending win")
def _overtakes():
    real = MemoryLedger._place_bet

    def place(self, bet):
        with mock.patch.object(MemoryOutbox, "pending", lambda outbox, session_id: []):
            return real(self, bet)

    return [(MemoryLedger, "_place_bet", place), (Owed, "minor", property(lambda self: 0))]


# Who may write.


def _unfenced(kind: str):
    real = MemoryLedger._apply

    def apply(self, transition):
        if type(transition).__name__ == kind:
            stored = (
                self.sessions[transition.round.session_id]
                if kind == "PlaceBet"
                else self.rounds.get(transition.round_id)
            )
            if stored is not None and stored.owner is not None:
                owner, stored.owner = stored.owner, transition.owner
                answer = real(self, transition)
                stored.owner = owner if isinstance(answer, Rejected) else transition.owner
                return answer
        return real(self, transition)

    return [(MemoryLedger, "_apply", apply)]


@bug("anybody places a bet")
def _place_unfenced():
    return _unfenced("PlaceBet")


@bug("anybody starts a round")
def _start_unfenced():
    return _unfenced("StartRound")


@bug("anybody voids a round")
def _void_unfenced():
    return _unfenced("VoidRound")


@bug("anybody settles a round")
def _settle_unfenced():
    return _unfenced("SettleRound")


@bug("anybody refunds a round")
def _refund_unfenced():
    return _unfenced("RefundRound")


@bug("a living node's sessions and rounds are taken")
def _taken_from_the_living():
    return [(MemoryLedger, "_is_alive", lambda self, owner, lease_ms, now_ms: False)]


# How rounds end.


@bug("a win brings a refund with it")
def _win_and_refund():
    real = MemoryLedger._end_round

    def end_round(self, end):
        answer = real(self, end)
        if isinstance(answer, Applied) and getattr(end, "win", None) is not None:
            tx_id = f"refund-{end.round_id}"
            refund = replace(end.win, kind=CallKind.REFUND, operator_tx_id=tx_id)
            self.calls.setdefault(tx_id, StoredCall(refund, CallStatus.PENDING))
        return answer

    return [(MemoryLedger, "_end_round", end_round)]


@bug("a nonce is promised twice")
def _nonce_twice():
    real = MemoryLedger._place_bet

    def place(self, bet):
        session = self.sessions[bet.round.session_id]
        promised = session.record.next
        answer = real(self, bet)
        session.record = replace(session.record, next=promised)
        return answer

    return [(MemoryLedger, "_place_bet", place)]


@bug("a round may end twice")
def _ends_twice():
    real = MemoryLedger._end_round

    def end_round(self, end):
        stored = self.rounds.get(end.round_id)
        if stored is not None and stored.finished is not None:
            stored.finished = None
        return real(self, end)

    return [(MemoryLedger, "_end_round", end_round), (memory_ledger, "same_end", lambda one, other: True)]


@bug("an interrupted round is judged by the present")
def _judged_now():
    real = recovery.interrupted

    def interrupted(services, live, last_alive_ms):
        return real(services, replace(live, interrupted_at_ms=None), services.clock.now_ms())

    return [(recovery, "interrupted", interrupted)]


@bug("recovery refunds a round that had crashed")
def _crash_refunded():
    return [(recovery, "interrupted_end", lambda plan, started_at_ms, last_alive_ms: None)]


@bug("recovery forgets that a bet may have been taken")
def _bet_forgotten():
    real = endings.void

    def void(live, owner, reason, **how):
        if reason == endings.INTERRUPTED:
            how |= {"bet_status": CallStatus.DECLINED}
        return real(live, owner, reason, **how)

    return [(endings, "void", void)]


@bug("a cash-out counts after the crash")
def _cashed_out_late():
    real = FlightPlan.cashed_out

    def cashed_out(self, elapsed_ms):
        return real(self, min(elapsed_ms, self.ends_at_ms - 1)) or real(self, elapsed_ms)

    return [(FlightPlan, "cashed_out", cashed_out)]


@bug("an automatic cash-out is forgotten")
def _no_auto():
    return [(FlightPlan, "unattended", lambda self: Settlement(Result.CRASH, 0, 0))]


@bug("a shutdown settles what still flies")
def _shutdown_settles():
    def refunded(live, owner, reason, now_ms):
        return endings.settled(live, owner, live.plan().unattended(), now_ms)

    return [(endings, "refunded", refunded)]
