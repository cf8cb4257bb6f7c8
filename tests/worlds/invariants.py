"""What must hold in every world: judged at every crossing, before and after its effect."""

import json
from uuid import UUID

import trio

from actors.facts.ends import INTERRUPTED, LATE_START
from actors.facts.records import CallKind, CallStatus, LiveRound, Owner, RoundStatus, WalletCall
from actors.facts.transitions import (
    AcknowledgeCall,
    Busy,
    ChangeClientSeed,
    EndRound,
    PlaceBet,
    PostponeCall,
    Rejected,
    StartRound,
)
from actors.play.round import START_TOLD_MS_MAX
from actors.ports.nodes import Pulse
from actors.rules import fairness
from actors.rules.growth import GrowthCurve
from actors.shared.metronome import BEATS_MAX
from tests.helpers.transition_kinds import kind_of

DOUBT_MS_MAX = 7_000
"""How wrong a node may be about the database's clock: an answer of the ledger takes up to 6 s here."""


def expected_end(live: LiveRound, cashouts_ms: list[int]) -> tuple[int, int, int]:
    """Realized hundredths, payout and elapsed milliseconds that the rules give for receipts so long after the start."""
    curve, seeds, terms = GrowthCurve(live.terms.growth_rate_per_ms), live.commitment, live.terms
    crash = fairness.outcome(
        seeds.server_seed, seeds.client_seed, seeds.nonce, terms.rtp_bps, terms.max_win_multiplier
    ).crash_hundredths
    cap = min(100 * terms.max_win_multiplier, (100 * terms.max_payout_minor + 99) // live.amount_minor)
    target = min(live.auto_cashout_hundredths or cap, cap)
    ends_ms = curve.crashes_at_ms(crash) if target > crash else curve.reaches_at_ms(target)
    for elapsed_ms in cashouts_ms:
        shown = curve.hundredths_at(elapsed_ms)
        if elapsed_ms < ends_ms and shown >= 101:
            return shown, live.amount_minor * shown // 100, elapsed_ms
    if target > crash:
        return 0, 0, ends_ms
    return target, live.amount_minor * target // 100, ends_ms


ROUNDING_MS = 1
"""Two clocks round the same moment down, each from a number of its own."""


class Audit:
    """Stands between the ports and the ledger; tells the world what was broken."""

    def __init__(self, world) -> None:
        self.world = world
        self.ledger = world.ledger
        self.broken = world.broken
        self.cashouts_ms: dict[UUID, list[int]] = {}
        self._early: dict[UUID, list[int]] = {}
        self.flown_by: dict[UUID, Owner] = {}
        self.began_ms: dict[UUID, int] = {}
        """When flights truly began."""
        self.moved: set[UUID] = set()
        self.arriving: set[UUID] = set()
        """Flights that their new nodes have not taken up yet."""
        self.left: set[UUID] = set()
        """Flights that whoever opens their sessions may end, several at once: see ``Failures.dropped``."""
        self.failed_at_ms: dict[UUID, int] = {}
        """Up to when they had flown, in the time of their stored starts."""
        self.beat_at_failure_ms: dict[UUID, int] = {}
        """The true time of their node's last heartbeat."""
        self.ends: dict[UUID, object] = {}
        self.lost_ms: dict[UUID, int] = {}
        """When the actors of these rounds failed while they waited."""
        self.starts_asked_at: dict[tuple[UUID, int], float] = {}
        self.cut_known_ms: dict[Owner, int] = {}
        """When lives found, or were told, that the history was cut: such a life bets no more."""
        self.seen_flying: set[UUID] = set()
        """Flights that a player was shown."""
        self.trials_ms: dict[object, int] = {}
        """When each bulkhead began its newest trial."""
        self._bytes: dict[str, bytes] = {}
        self._sending: dict[tuple[str, UUID], str] = {}

    # Commits.

    def asks(self, transitions) -> None:
        """A node is about to ask the ledger for these, who knows how long it takes."""
        for each in transitions:
            if isinstance(each, StartRound):
                self.starts_asked_at.setdefault((each.round_id, each.started_at_ms), trio.current_time())

    def _judge_bets(self, life, transitions) -> None:
        """Who knows that the history was cut begins nothing new. What was on its way then may still come."""
        for each in transitions:
            if not isinstance(each, PlaceBet) or each.owner not in self.cut_known_ms:
                continue
            if each.round.created_at_ms > self.cut_known_ms[each.owner]:
                self.broken("no bet before the history is restored", f"{life.label} places {each.round.round_id}")

    async def commit(self, life, transitions) -> list:
        if self.world.was_cut:
            self._judge_bets(life, transitions)
            return await self.ledger.commit(transitions)
        before = [self._before(transition) for transition in transitions]
        try:
            answers = await self.ledger.commit(transitions)
        except AssertionError as error:
            self.broken("the ledger's own rules", str(error))
            raise
        for transition, answer, was in zip(transitions, answers, before, strict=True):
            self._note(life, transition, answer)
            if not isinstance(answer, Rejected | Busy):
                self._judge(life, transition, was)
        return answers

    def _note(self, life, transition, answer) -> None:
        if isinstance(transition, PlaceBet):
            what = f"{transition.round.round_id} {transition.round.amount_minor}"
        elif isinstance(transition, AcknowledgeCall | PostponeCall):
            what = transition.operator_tx_id
        else:
            what = str(transition.round_id if not isinstance(transition, ChangeClientSeed) else transition.session_id)
        self.world.trace.note(f"{life.label} {kind_of(transition)} {what}: {type(answer).__name__}")

    def _before(self, transition) -> tuple:
        """The owner who may make the change, and what is stored before it."""
        match transition:
            case PlaceBet():
                session = self.ledger.sessions[transition.round.session_id]
                return session.owner, transition.round.round_id in self.ledger.rounds
            case ChangeClientSeed():
                return self.ledger.sessions[transition.session_id].owner, None
            case AcknowledgeCall() | PostponeCall():
                stored = self.ledger.calls.get(transition.operator_tx_id)
                return (None, None) if stored is None else (stored.claimed_by, stored.status)
            case _:
                stored = self.ledger.rounds.get(transition.round_id)
                return (None, None) if stored is None else (stored.owner, stored.finished or stored.live.status)

    def _judge(self, life, transition, was: tuple) -> None:
        owner, status = was
        match transition:
            case AcknowledgeCall():
                self._judge_acknowledgement(transition)
                return
            case PostponeCall():
                self._judge_postponement(life, transition, owner)
                return
        if transition.owner != owner:
            self.broken("only the owner writes", f"{transition.owner} changed what {owner} owns: {transition}")
        if isinstance(transition, StartRound):
            self._judge_start(life, transition)
        elif isinstance(transition, EndRound):
            self._judge_end(life, transition, status)

    def _judge_acknowledgement(self, fact: AcknowledgeCall) -> None:
        entry = self.world.books[fact.operator_id].entries.get(fact.operator_tx_id)
        if entry is None or entry.status != 200:
            self.broken("acknowledged means booked", f"{fact.operator_tx_id} is not in its operator's books: {entry}")

    def _judge_postponement(self, life, fact: PostponeCall, claimed_by: Owner | None) -> None:
        if claimed_by not in {None, fact.owner}:
            self.broken("only the claimant postpones", f"{fact.operator_tx_id} is claimed by {claimed_by}")
        age_ms = life.clock.now_ms() - self.ledger.calls[fact.operator_tx_id].call.created_at_ms
        if fact.parked and age_ms < self.world.settings.retry_period_ms:
            self.broken("parked after the retry period only", f"{fact.operator_tx_id} was parked after {age_ms} ms")

    def _judge_start(self, life, start: StartRound) -> None:
        entry = self.world.books[start.operator_id].entries.get(f"bet-{start.round_id}")
        if entry is None or entry.status != 200:
            self.broken("no flight before the stake is taken", f"round {start.round_id} flies, its bet: {entry}")
        self.flown_by.setdefault(start.round_id, start.owner)
        stored_ms = self.ledger.rounds[start.round_id].live.started_at_ms
        began_ms = life.clock.steady_of(stored_ms)
        for received_ms in self._early.pop(start.round_id, ()):
            if received_ms >= began_ms:
                self.cashouts_ms.setdefault(start.round_id, []).append(received_ms - began_ms)
        self.began_ms.setdefault(start.round_id, life.true_of(began_ms))
        if abs(stored_ms - self.began_ms[start.round_id]) > DOUBT_MS_MAX:
            self.broken("starts are stored in the database's time", f"{start.round_id} began at {stored_ms}")

    def _judge_end(self, life, end, status) -> None:
        if status not in {RoundStatus.BETTING, RoundStatus.FLYING}:
            if end.finished.status is not self.ends[end.round_id].finished.status:
                self.broken("one end a round", f"{end.round_id} ended as {self.ends[end.round_id]}, then {end}")
            return
        self.ends[end.round_id] = end
        self.world.rounds_ended += 1
        both = {f"win-{end.round_id}", f"refund-{end.round_id}"} <= self.ledger.calls.keys()
        if both:
            self.broken("never win and refund", f"round {end.round_id} has both")
        if end.finished.status is not RoundStatus.VOID:
            self._judge_flight_end(life, end, self.ledger.rounds[end.round_id].live)

    def _judge_flight_end(self, life, end: EndRound, live: LiveRound) -> None:
        """Contract, section 6: who flew the round decides by receipts, whoever took it over by the failure's moment."""
        flew = end.owner == self.flown_by[end.round_id] and end.round_id not in self.failed_at_ms
        cashouts = self.cashouts_ms.get(end.round_id, []) if flew else []
        if flew and end.round_id in life.node.lobby._rounds._failed:
            # Its actor has failed, and what it had been told has gone with it.
            self._judge_lost_flight(life, end, live)
            return
        realized, payout, elapsed_ms = expected_end(live, cashouts)
        if not flew:
            failed_ms = self.failed_at_ms[end.round_id]
            ended_before = live.started_at_ms + elapsed_ms <= failed_ms
            is_settled = end.finished.status is RoundStatus.SETTLED
            if ended_before is not is_settled:
                self.broken(
                    "an interrupted round ends by the failure's moment",
                    f"{end.round_id} failed at {failed_ms}, would end at {live.started_at_ms + elapsed_ms}: {end}",
                )
            beat_ms = self.beat_at_failure_ms[end.round_id]
            if is_settled and self.began_ms[end.round_id] + elapsed_ms > beat_ms + DOUBT_MS_MAX:
                self.broken("a flight that truly was in the air is refunded", f"{end.round_id} at {beat_ms}: {end}")
        if end.finished.status is RoundStatus.REFUNDED:
            # Whose session's row does not open any more has nobody who could take it up.
            is_whole = live.session_id not in self.ledger.damaged
            if flew and end.round_id in self.moved and end.finished.reason == INTERRUPTED and is_whole:
                self.broken("a flight that was handed over goes on", f"{end.round_id} was interrupted by {end.owner}")
            if end.finished.reason == LATE_START and end.round_id in self.seen_flying:
                self.broken("a flight that was shown is not refunded as late", f"{end.round_id} by {end.owner}")
            return
        if (end.finished.realized_hundredths, end.finished.payout_minor) != (realized, payout):
            self.broken(
                "the payout is what the rules say",
                f"{end.round_id}: expected {realized} and {payout} for cash-outs {cashouts}: {end}",
            )
        if flew:
            self._judge_moment(life, live, elapsed_ms)

    def _judge_moment(self, life, live: LiveRound, elapsed_ms: int) -> None:
        """By true time: a flight neither jumps nor ends before its time, whatever its nodes' clocks say."""
        flight, round_id = life.flight_of(live), live.round_id
        began_ms = self.began_ms[round_id] if flight is None else life.true_of(flight.started_at_ms)
        if abs(began_ms - self.began_ms[round_id]) > (DOUBT_MS_MAX if round_id in self.moved else 0):
            self.broken("a flight never jumps", f"{round_id} began at {self.began_ms[round_id]}, flew from {began_ms}")
        # One that is over when it arrives ends by what is stored, and by what its new node believes of the time.
        doubt_ms = DOUBT_MS_MAX if flight is None and round_id in self.moved else ROUNDING_MS
        if self.ledger.now_ms() + doubt_ms < began_ms + elapsed_ms:
            self.broken("no end before its time", f"{round_id} ended too early, after {elapsed_ms} ms")

    def _judge_lost_flight(self, life, end: EndRound, live: LiveRound) -> None:
        """Settled if it had ended by itself when its actor failed, otherwise refunded."""
        realized, payout, elapsed_ms = expected_end(live, [])
        lost_ms = self.lost_ms.get(end.round_id, life.node.lobby._rounds._failed[end.round_id])
        if end.finished.status is RoundStatus.REFUNDED:
            if live.started_at_ms + elapsed_ms <= lost_ms:
                self.broken("a lost flight that had ended is settled", f"{end.round_id}, lost {lost_ms}: {end}")
        elif (end.finished.realized_hundredths, end.finished.payout_minor) != (realized, payout):
            self.broken("a lost flight pays what the rules say", f"{end.round_id}: expected {realized}: {end}")
        elif live.started_at_ms + elapsed_ms > lost_ms:
            self.broken("a lost flight is not judged by the present", f"{end.round_id}, lost {lost_ms}: {end}")

    # Reads that take something.

    async def read(self, life, method: str, arguments: tuple):
        judge = {
            "take_orphans": self._take_orphans,
            "open_session": self._open_session,
            "claim_calls": self._claim,
            "release_claims": self._release,
            "give_up_claims": self._give_up,
            "move_session": self._move,
        }.get(method)
        call = getattr(self.ledger, method)
        if method == "note_cut":
            return await self._note_cut(life, arguments)
        if method == "take_orphans" and self.world.was_cut:
            return await self._take_after_a_cut(call, arguments)
        if judge is None or self.world.was_cut:
            return await call(*arguments)
        return await judge(life, call, arguments)

    def _is_dead(self, owner: Owner) -> bool:
        beats, now_ms = self.ledger.heartbeats_ms, self.ledger.now_ms()
        newer = any(other.node == owner.node and other.epoch > owner.epoch for other in beats)
        return newer or owner in self.ledger.ended_ms or now_ms - beats[owner] >= self.world.settings.lease_ms

    async def _take_orphans(self, life, call, arguments) -> list:
        taker = arguments[0]
        owners = {key: stored.owner for key, stored in self.ledger.rounds.items() if stored.finished is None}
        taken = await call(*arguments)
        for live in taken:
            owner = owners[live.round_id]
            if owner == taker and live.round_id in self.failed_at_ms:
                continue
            self.world.trace.note(f"{life.label} takes {live.round_id} of {owner.node} {owner.epoch}")
            if owner == taker or not self._is_dead(owner):
                self.broken("nothing is taken from the living", f"{taker} took {live.round_id} of {owner}")
            self.world.taken_from(owner)
            self.failed_at_ms.setdefault(live.round_id, self.ledger.flown_ms[owner])
            self.beat_at_failure_ms.setdefault(live.round_id, self.ledger.heartbeats_ms[owner])
        return taken

    async def _take_after_a_cut(self, call, arguments) -> list:
        """Until a person has seen to it what is stored as live may have ended, and its end may have been paid."""
        is_known = self.ledger.has_moved or self.ledger.cut_reason is not None
        taken = await call(*arguments)
        if is_known and taken:
            self.broken("no orphan is ended before the history is restored", f"{arguments[0]} took {taken[0].round_id}")
        return taken

    async def _open_session(self, life, call, arguments):
        digest, opener, _, _ = arguments
        session = next(each for each in self.ledger.sessions.values() if each.token_digest == digest)
        owner = session.owner
        opened = await call(*arguments)
        if opened is None:
            return None  # Of a row that is damaged nothing was taken.
        self.world.trace.note(f"{life.label} opens {session.record.session_id}")
        if opened.live_round is not None:
            self._judge_presence(life, opened.live_round)
        if owner not in {None, opener} and not self._is_dead(owner):
            self.broken("nothing is taken from the living", f"{opener} took a session of {owner}")
        if owner not in {None, opener}:
            self.world.taken_from(owner)
        return opened

    def _judge_presence(self, life, live: LiveRound) -> None:
        """A live round of a node that never lost it has its actor there."""
        stored = self.ledger.rounds[live.round_id]
        if stored.owner != life.owner or live.round_id in self.failed_at_ms:
            return
        lobby = life.node.lobby
        if live.session_id in lobby._rounds:
            self.arriving.discard(live.round_id)
        elif live.session_id in life.failures.dropped:
            life.failures.dropped.discard(live.session_id)
            self.left.add(live.round_id)
        elif live.round_id not in self.arriving | self.left and live.session_id not in lobby._departures:
            self.broken("a live round has its actor", f"{live.round_id} is {live.status} and forgotten by its node")

    async def _move(self, life, call, arguments) -> bool:
        """Only the owner gives, to the living, what has no actor any more; of rounds only its own whole flights."""
        giver, request, _ = arguments
        session = self.ledger.sessions[request.session_id]
        owner = session.owner
        rounds = [each for each in self.ledger.rounds.values() if each.live.session_id == request.session_id]
        before = [(stored.owner, stored.live, stored.finished) for stored in rounds]
        moved = await call(*arguments)
        self.world.trace.note(f"{life.label} gives {request.session_id} to {request.asker.node}: {moved}")
        if session.owner == owner:
            return moved
        lobby = life.node.lobby
        if owner != giver:
            self.broken("only the owner gives", f"{giver} gave a session of {owner}")
        if self._is_dead(request.asker):
            self.broken("nothing is given to the dead", f"{request.asker} was given a session")
        if request.session_id in lobby._rounds or request.token_digest in lobby._sessions:
            self.broken("what is given has no actor any more", f"{giver} still runs {request.session_id}")
        for stored, (was_of, live, finished) in zip(rounds, before, strict=True):
            if finished is None and live.status is RoundStatus.BETTING and was_of == giver:
                self.broken("a bet is decided where it was sent", f"{live.round_id} was given away")
            if stored.owner != was_of:
                if was_of != giver or finished is not None or live.status is not RoundStatus.FLYING:
                    self.broken("only whole flights are given", f"{giver} gave {live.round_id} of {was_of}")
                self.world.flights_moved += 1
                self.moved.add(live.round_id)
                self.flown_by[live.round_id] = stored.owner
                self.arriving.add(live.round_id)
        return moved

    async def _claim(self, life, call, arguments) -> list:
        owner, _, _, ahead_until_ms = arguments
        now_ms = self.ledger.now_ms()
        before = {
            key: (each.claimed_by, each.call.next_attempt_at_ms)
            for key, each in self.ledger.calls.items()
            if each.is_in_outbox
        }
        claimed = await call(*arguments)
        for each in claimed:
            self.world.trace.note(f"{life.label} claims {each.operator_tx_id}")
            claimed_by, until_ms = before[each.operator_tx_id]
            is_early = until_ms > now_ms and claimed_by is None and until_ms <= ahead_until_ms.get(each.operator_id, 0)
            if until_ms > now_ms and not is_early:
                self.broken("a claim holds", f"{owner} claimed {each.operator_tx_id} of {claimed_by} before {until_ms}")
            if self.ledger.calls.pending(each.session_id)[0].operator_tx_id != each.operator_tx_id:
                self.broken("a session's calls go in order", f"{each.operator_tx_id} is not its session's oldest")
        return claimed

    async def _release(self, life, call, arguments) -> int:
        before = {key: each.claimed_by for key, each in self.ledger.calls.items() if each.claimed_by}
        count = await call(*arguments)
        for key, owner in before.items():
            if self.ledger.calls[key].claimed_by is None and not self._is_dead(owner):
                self.broken("nothing is taken from the living", f"a claim of {owner} was released: {key}")
        return count

    async def _give_up(self, life, call, arguments) -> int:
        """A node gives up what it has claimed itself and does not send, nothing else."""
        before = {key: each.claimed_by for key, each in self.ledger.calls.items() if each.claimed_by}
        sending = {tx_id for (label, _), tx_id in self._sending.items() if label == life.label}
        count = await call(*arguments)
        for key, owner in before.items():
            if self.ledger.calls[key].claimed_by is None:
                self.world.trace.note(f"{life.label} gives up {key}")
                if owner != life.owner:
                    self.broken("a node gives up only its own claims", f"{life.owner} gave up {key} of {owner}")
                if key in sending:
                    self.broken("what is being sent stays claimed", f"{life.owner} gave up {key} in flight")
        return count

    async def _note_cut(self, life, arguments: tuple) -> None:
        """A person will hear of it."""
        self.world.trace.note(f"{life.label} finds that the history was cut")
        self.cut_known_ms.setdefault(arguments[0], life.clock.now_ms())
        await self.ledger.note_cut(*arguments)
        self.world.nursery.start_soon(self.world.person.noticed)

    def hears(self, life, owner: Owner, pulse: Pulse) -> None:
        """The answer to a heartbeat has arrived."""
        if pulse.lineage.cut_reason is not None:
            self.cut_known_ms.setdefault(owner, life.clock.now_ms())

    # What leaves for the operators.

    def begins(self, life, call: WalletCall) -> None:
        """A call that begins while its operator's breaker is open is the trial that was begun just now."""
        bulkhead = life.node.pool.bulkheads.of(call.operator_id) if life.node is not None else None
        now_ms = life.clock.steady_ms()
        # Not by the breaker's own next trial: it has the same time when the breaker opens in this very millisecond.
        if bulkhead is not None and bulkhead._breaker.is_open and self.trials_ms.get(bulkhead) != now_ms:
            self.broken("an open breaker lets a trial through, no more", f"{call.operator_tx_id} is sent at {now_ms}")

    def sends(self, life, call: WalletCall) -> None:
        self.world.trace.note(f"{life.label} sends {call.operator_tx_id}")
        if self.world.was_cut:
            if self._bytes.setdefault(call.operator_tx_id, call.body) != call.body:
                self.broken("same id, same bytes", f"{call.operator_tx_id} is sent with other bytes than before")
            return
        stored = self.ledger.calls.get(call.operator_tx_id)
        if stored is None or stored.call.body != call.body:
            self.broken("stored before it is sent", f"{call.operator_tx_id} is sent, stored is {stored}")
            return
        if self._bytes.setdefault(call.operator_tx_id, call.body) != call.body:
            self.broken("same id, same bytes", f"{call.operator_tx_id} is sent with other bytes than before")
        if call.kind is CallKind.BET and stored.status is not CallStatus.PENDING and self.world.lives_begun == 1:
            self.broken("stored before it is sent", f"{call.operator_tx_id} is sent although it is {stored.status}")
        key = (life.label, call.session_id)
        if key in self._sending:
            self.broken("one call of a session at a time", f"{call.operator_tx_id} beside {self._sending[key]}")
        self._sending[key] = call.operator_tx_id
        stale = call.kind is CallKind.BET and self.ledger.rounds[call.round_id].owner != life.owner
        earlier = [each for each in self.ledger.calls.pending(call.session_id) if each.position < call.position]
        if earlier and not stale:
            self.broken("a session's calls go in order", f"{call.operator_tx_id} before {earlier[0].operator_tx_id}")

    def sent(self, life, call: WalletCall) -> None:
        self._sending.pop((life.label, call.session_id), None)

    # What players see and say.

    def cashes_out(self, life, round_id: UUID, received_ms: int) -> None:
        stored = self.ledger.rounds.get(round_id)
        if stored is None:
            return
        if stored.live.started_at_ms is None:  # its start may be on its way to the ledger, and earlier than this
            self._early.setdefault(round_id, []).append(received_ms)
            return
        flight = life.flight_of(stored.live)
        began_ms = life.clock.steady_of(stored.live.started_at_ms) if flight is None else flight.started_at_ms
        self.cashouts_ms.setdefault(round_id, []).append(received_ms - began_ms)

    def shown(self, label: str, book, player: str, frame: dict) -> None:
        kind = frame["type"]
        self.world.trace.note(f"{label} sees {kind} {frame.get('round_id', frame.get('code', ''))}")
        if self.world.was_cut:
            return
        if kind == "round_started":
            self._shown_start(book, frame)
            self._judge_telling(frame)
        elif kind == "round_ended":
            self._shown_end(frame)
        elif kind in {"welcome", "history"}:
            for past in frame.get("history", frame.get("rounds", ())):
                self._shown_end(past)
            if frame.get("round"):
                self._shown_start(book, frame["round"])
        if "balance_minor" in frame and frame["balance_minor"] not in book.answered[player]:
            self.broken("a shown balance was the operator's", f"{label} sees {json.dumps(frame)}")

    def _judge_telling(self, frame: dict) -> None:
        """By true time, from when the start was first asked for: a flight begins at most a beat later than that."""
        asked_at = self.starts_asked_at[UUID(frame["round_id"]), frame["started_at"]]
        late_ms = 1000 * (trio.current_time() - asked_at) - self.world.settings.tick_ms / BEATS_MAX
        if late_ms > START_TOLD_MS_MAX:
            self.broken("no flight begins in the past", f"{frame['round_id']} was told {late_ms:.0f} ms late: {frame}")

    def _shown_start(self, book, frame: dict) -> None:
        stored = self.ledger.rounds[UUID(frame["round_id"])]
        if stored.live.status is RoundStatus.BETTING or stored.live.started_at_ms != frame["started_at"]:
            self.broken("a shown flight is stored", f"{frame['round_id']} is {stored.live.status}")
        bet = book.of_round(frame["round_id"]).get(CallKind.BET)
        if bet is None or bet.status != 200:
            self.broken("no flight before the stake is taken", f"{frame['round_id']} is shown, its bet: {bet}")
        self.seen_flying.add(UUID(frame["round_id"]))

    def _shown_end(self, frame: dict) -> None:
        finished = self.ledger.rounds[UUID(frame["round_id"])].finished
        stored = finished and (finished.status.value, finished.payout_minor, finished.realized_hundredths / 100)
        if stored != (frame["status"], frame["payout_minor"], frame["realized_multiplier"]):
            self.broken("a shown end is stored", f"{json.dumps(frame)}, stored is {stored}")
