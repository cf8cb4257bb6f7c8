"""Bugs of the actors: when they store, send and tell, what they make of an answer, how a round ends."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import trio

import actors.play.round
from actors.cluster import recovery
from actors.cluster.unattended import UnattendedSweeper
from actors.facts import ends
from actors.facts.calls import refund_call
from actors.facts.records import CallKind, CallStatus, RoundStatus
from actors.facts.transitions import Applied, Rejected
from actors.kit.timers import Timers
from actors.play.live_rounds import LiveRounds
from actors.play.round import RoundActor
from actors.play.round_closing import Closing
from actors.ports.ledger import LedgerUnavailableError
from actors.ports.wallet import Acknowledged, Declined, Unclear
from actors.rules.settlement import FlightPlan, Result, Settlement
from actors.shared.addresses import Addresses
from actors.shared.ledger import LedgerActor
from actors.shared.messages import RoundLost, RoundOver
from actors.shared.services import commit_until_known
from actors.wallet.bulkheads import Bulkheads
from actors.wallet.pool import WalletPool
from actors.wallet.wallet import WalletActor
from tests.helpers.memory_outbox import MemoryOutbox
from tests.worlds.planting import Bugs

BUGS = Bugs()

# The order of storing, sending and telling.


def _tell(closing, end, frame_id):
    closing._note_over(end)
    closing._report(RoundOver(end.finished, end.outbox_minor, frame_id))


@BUGS.named("an end is told before it is stored")
def _told_early():
    async def end(self, end, frame_id=None, **_):
        _tell(self, end, frame_id)
        return isinstance(await commit_until_known(self._services, end), Applied)

    return [(Closing, "end", end)]


@BUGS.named("a settlement stays in memory when the ledger fails")
def _memory_only():
    async def end(self, end, frame_id=None, **_):
        with suppress(LedgerUnavailableError):
            await self._services.ledger.commit(end)
        _tell(self, end, frame_id)
        return True

    return [(Closing, "end", end)]


@BUGS.named("a bet is sent before it is stored")
def _sent_early():
    real = RoundActor._place_bet

    async def place(self):
        await self._pool.send_bet(self._bet)
        return await real(self)

    return [(RoundActor, "_place_bet", place)]


@BUGS.named("a flight is shown before its start is stored")
def _shown_early():
    async def start(self, taken, balance_minor):
        began_ms = self._services.metronome.next_beat_ms()
        started_at_ms = self._services.clock.unix_of(began_ms)
        live = replace(self.placed, status=RoundStatus.FLYING, started_at_ms=started_at_ms)
        await self._fly_or_refund(self._takeoff(live, began_ms, balance_minor))

    return [(RoundActor, "_start", start)]


@BUGS.named("a start that is told late flies from the past")
def _late_flies():
    return [(actors.play.round, "START_TOLD_MS_MAX", 10**9)]


@BUGS.named("a lost answer counts as not stored")
def _not_taken_back():
    real = Closing.end

    async def end(self, end, *frame_id, if_refused=None, **balance_minor):
        if if_refused is None:
            return await real(self, end, *frame_id, **balance_minor)
        self._report(if_refused)
        return False

    return [(Closing, "end", end)]


# What an answer of the wallet means.


def _hears(kind: CallKind, heard: type, instead: Callable):
    """The wallet actor takes answers of one type for another."""
    real = WalletActor._attempt

    async def attempt(self, call, timeout_ms, *, was_trial):
        answer = await real(self, call, timeout_ms, was_trial=was_trial)
        return instead(answer) if call.kind is kind and isinstance(answer, heard) else answer

    return [(WalletActor, "_attempt", attempt)]


@BUGS.named("an unclear bet counts as accepted")
def _unclear_accepted():
    return _hears(CallKind.BET, Unclear, lambda answer: Acknowledged(0))


@BUGS.named("a declined bet flies")
def _declined_flies():
    return _hears(CallKind.BET, Declined, lambda answer: Acknowledged(0))


@BUGS.named("an unclear bet is not refunded")
def _unclear_not_refunded():
    return _hears(CallKind.BET, Unclear, lambda answer: Declined(answer.detail))


@BUGS.named("a win is acknowledged by a 5xx")
def _win_by_failure():
    return _hears(CallKind.WIN, Unclear, lambda answer: Acknowledged(0))


@BUGS.named("a win is given up after a 4xx")
def _win_lost():
    return _hears(CallKind.WIN, Declined, lambda answer: Acknowledged(0))


@BUGS.named("a refund is acknowledged by any answer")
def _refund_by_anything():
    return _hears(CallKind.REFUND, Unclear | Declined, lambda answer: Acknowledged(0))


# What is sent again.


def _sends_changed(changed: Callable):
    real = WalletActor._attempt

    async def attempt(self, call, timeout_ms, *, was_trial):
        return await real(self, changed(call), timeout_ms, was_trial=was_trial)

    return [(WalletActor, "_attempt", attempt)]


@BUGS.named("a body is built anew for every attempt")
def _body_rebuilt():
    def changed(call):
        return replace(call, body=call.body[:-1] + b',"attempt":%d}' % call.attempts) if call.attempts else call

    return _sends_changed(changed)


@BUGS.named("a win is sent again under a new id")
def _win_renamed():
    def changed(call):
        if call.kind is not CallKind.WIN or not call.attempts:
            return call
        new_id = f"{call.operator_tx_id}-{call.attempts}"
        body = call.body.replace(call.operator_tx_id.encode(), new_id.encode())
        return replace(call, operator_tx_id=new_id, body=body)

    return _sends_changed(changed)


@BUGS.named("a bet is sent again under a new id")
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


@BUGS.named("a call is parked after its first failure")
def _parked_at_once():
    real = WalletActor._postponed

    def postponed(self, call, attempts, detail):
        return replace(real(self, call, attempts, detail), parked=True)

    return [(WalletActor, "_postponed", postponed)]


@BUGS.named("a call is tried again much too late")
def _too_late():
    real = WalletActor._postponed

    def postponed(self, call, attempts, detail):
        later = real(self, call, attempts, detail)
        return replace(later, next_attempt_at_ms=later.next_attempt_at_ms + 600_000)

    return [(WalletActor, "_postponed", postponed)]


@BUGS.named("what a refused end owes is sent all the same")
def _sent_unclaimed():
    real = WalletPool.send_claimed

    def send_claimed(self, call, *, is_claimed):
        real(self, call, is_claimed=True)

    return [(WalletPool, "send_claimed", send_claimed)]


# What is claimed, and by whom.


@BUGS.named("the courier gives up claims of what is in flight")
def _given_up_in_flight():
    return [(Bulkheads, "in_flight", property(lambda self: []))]


@BUGS.named("a node gives up the claims of its other lives, too")
def _given_up_of_others():
    def give_up(self, owner, *rest):
        nodes = {each.claimed_by for each in self.values() if each.claimed_by and each.claimed_by.node == owner.node}
        return sum(real(self, each, *rest) for each in nodes | {owner})

    real = MemoryOutbox.give_up
    return [(MemoryOutbox, "give_up", give_up)]


@BUGS.named("a node gives up everybody's claims")
def _given_up_of_all():
    def give_up(self, owner, *rest):
        owners = {each.claimed_by for each in self.values() if each.claimed_by}
        return sum(real(self, each, *rest) for each in owners | {owner})

    real = MemoryOutbox.give_up
    return [(MemoryOutbox, "give_up", give_up)]


# How rounds end.


@BUGS.named("a failed round is refunded from memory")
def _failed_refunded():
    real = LiveRounds._end_failed

    async def end(self, actor):
        await real(self, actor)
        claimed = self._pool.claim(refund_call(actor.placed, self._services.clock.now_ms()))
        if claimed is not None:
            self._pool.hand_over(claimed)

    return [(LiveRounds, "_end_failed", end)]


@BUGS.named("a failed round is not ended")
def _failed_forgotten():
    async def end(self, actor):
        actor._report(RoundLost())

    async def nothing(self):
        await trio.lowlevel.checkpoint()

    return [(LiveRounds, "_end_failed", end), (UnattendedSweeper, "_sweep", nothing)]


@BUGS.named("nobody is told of the end of a failed round")
def _failed_untold():
    async def tell(self, operator_id, session_id, round_id, finished):
        self._pool.wake_courier(operator_id)

    return [(LiveRounds, "tell_end", tell)]


@BUGS.named("a busy change counts as rejected")
def _busy_rejected():
    def note_busy(self, waiting):
        self._leave_queue(waiting)
        waiting.reply.answer(Rejected())

    return [(LedgerActor, "_note_busy", note_busy)]


@BUGS.named("a cash-out of an old round takes the live one")
def _any_round():
    real = Addresses.round_of

    def round_of(self, session_id, round_id):
        flown = [round_id for of_session, round_id in self.rounds if of_session == session_id]
        return real(self, session_id, flown[0] if flown else round_id)

    return [(Addresses, "round_of", round_of)]


@BUGS.named("timers that fail forget what was set")
def _timers_forget():
    real = Timers.run

    async def run(self):
        for _, number, timer in list(self._heap):
            if timer.is_for(number):
                timer.clear()
        await real(self)

    return [(Timers, "run", run)]


@BUGS.named("an interrupted round is judged by the present")
def _judged_now():
    real = recovery.interrupted

    def interrupted(services, live, last_alive_ms):
        return real(services, replace(live, interrupted_at_ms=None), services.clock.now_ms())

    return [(recovery, "interrupted", interrupted)]


@BUGS.named("recovery refunds a round that had crashed")
def _crash_refunded():
    return [(recovery, "interrupted_end", lambda plan, started_at_ms, last_alive_ms: None)]


@BUGS.named("recovery forgets that a bet may have been taken")
def _bet_forgotten():
    real = ends.void

    def void(live, owner, reason, **how):
        if reason == ends.INTERRUPTED:
            how |= {"bet_status": CallStatus.DECLINED}
        return real(live, owner, reason, **how)

    return [(ends, "void", void)]


@BUGS.named("a cash-out counts after the crash")
def _cashed_out_late():
    real = FlightPlan.cashed_out

    def cashed_out(self, elapsed_ms):
        return real(self, min(elapsed_ms, self.ends_at_ms - 1)) or real(self, elapsed_ms)

    return [(FlightPlan, "cashed_out", cashed_out)]


@BUGS.named("an automatic cash-out is forgotten")
def _no_auto():
    return [(FlightPlan, "unattended", lambda self: Settlement(Result.CRASH, 0, 0))]


@BUGS.named("a shutdown settles what still flies")
def _shutdown_settles():
    def refunded(live, owner, reason, now_ms, claim=None):
        return ends.settled(live, owner, live.plan().unattended(), now_ms, claim)

    return [(ends, "refunded", refunded)]
