"""The round actor: the life of one round, from the stored intent to the stored end.

Nothing is sent before it is stored, and nobody is told before it is durable. Cash-outs come straight into this actor's
mailbox with the moment of their receipt, so that one queue orders cash-out and crash and one pure rule decides.
"""

import logging
from contextlib import suppress
from dataclasses import dataclass, replace

import trio

from actors.cluster.recovery import resolve_stored
from actors.facts import ends
from actors.facts.calls import bet_call
from actors.facts.records import CallStatus, Commitment, LiveRound, RoundStatus
from actors.facts.transitions import Answer, Applied, PlaceBet, Started, StartRound
from actors.kit.actor import Actor
from actors.kit.errors import ActorError
from actors.play.round_closing import Closing
from actors.ports.ledger import LedgerUnavailableError
from actors.ports.wallet import Acknowledged
from actors.rules.settlement import FlightPlan, Result, Settlement
from actors.shared.messages import (
    BetNotStored,
    BetStored,
    BetTrouble,
    Cashout,
    CashoutRefused,
    FlightEnds,
    HandOver,
    Interrupt,
    RoundFlies,
    RoundLost,
    RoundMessage,
    RoundNews,
    RoundOver,
)
from actors.shared.metronome import Flight
from actors.shared.services import Services, until_known
from actors.wallet.pool import WalletPool

log = logging.getLogger("getaway.round")

START_TOLD_MS_MAX = 250
"""A flight begins when its player can be told of it. What is durable later than this after its start, if only
because the commit had to be repeated, is refunded: nobody could have cashed out in the part of it that has passed."""


@dataclass(slots=True)
class RoundSeen:
    """A round as its session knows it: as it was when the session was opened, and from then on by the round's news."""

    placed: LiveRound
    after: Commitment
    """What is promised for the round after it."""
    is_stored: bool = False
    is_in_trouble: bool = False
    """The bet could not be stored, and is being taken back in case it was after all."""
    flies: RoundFlies | None = None
    frame_id: str | None = None
    """That of the bet, if the session is the one that took it."""


class RoundActor(Actor[RoundMessage]):
    """One live round, whose news its session is told, if it is open here.

    A flight that another node has begun goes on as if it had begun here: ``balance_minor`` is the player's balance
    after its stake. ``next_commitment`` is promised for the round after it.
    """

    def __init__(
        self,
        services: Services,
        pool: WalletPool,
        live: LiveRound,
        *,
        next_commitment: Commitment,
        balance_minor: int = 0,
    ) -> None:
        super().__init__("round", services.settings.round_mailbox_max, live.round_id)
        self._services = services
        self._pool = pool
        self._bet = bet_call(live)
        self._closing = Closing(services, pool, live)
        self._now = RoundSeen(live, next_commitment)
        if live.status is RoundStatus.FLYING:
            assert live.started_at_ms is not None
            self._now.is_stored = True
            self._now.flies = self._takeoff(live, services.clock.began_ms(live.started_at_ms), balance_minor)

    @property
    def placed(self) -> LiveRound:
        """As it was placed here, or as this node was given it."""
        return self._now.placed

    @property
    def flight(self) -> Flight | None:
        """The flight, once it has begun, also after its end."""
        return None if self._now.flies is None else self._now.flies.flight

    @property
    def is_over(self) -> bool:
        """Whether its end is stored, and told."""
        return self._closing.is_over

    @property
    def is_ending(self) -> bool:
        """Whether its end is decided, and being stored."""
        return self._closing.is_storing

    @property
    def seen(self) -> RoundSeen:
        """For a session that is opened now, which keeps its own up to date by the news."""
        return replace(self._now)

    def _report(self, news: RoundNews) -> None:
        self._services.addresses.tell_session(self.placed.session_id, news)

    async def run(self) -> None:
        """Bet, fly, end; or fly on and end. After a ``HandOver`` that nothing has preceded there is no end."""
        if self._now.flies is not None:
            self._services.metronome.join(self._now.flies.flight)
            await self._fly(self._now.flies)
            return
        if not await self._place_bet():
            return
        self._now.is_stored = True
        self._report(BetStored())
        answer = await self._pool.send_bet(self._bet)
        if isinstance(answer, Acknowledged) and answer.balance_minor is not None:
            await self._start(answer, answer.balance_minor)
        else:
            await self._closing.end(self._closing.untaken(answer))

    def leave_unread(self, message: RoundMessage) -> None:
        """A cash-out that came behind the one that ended the round, or while the end was stored."""
        if isinstance(message, Cashout) and self.is_over:
            self._report(CashoutRefused(message.frame_id, "too_late"))

    async def _place_bet(self) -> bool:
        intent = PlaceBet(
            owner=self._services.owner,
            round=self.placed,
            call=self._bet,
            next_server_seed=self._now.after.server_seed,
        )
        try:
            answer = await self._services.ledger.commit(intent)
        except LedgerUnavailableError:
            self._now.is_in_trouble = True
            self._report(BetTrouble())
            # If it was stored after all it is taken back. The operator was never asked, so nothing is owed.
            end = self._closing.void("wallet_unavailable", CallStatus.DECLINED, 0, "not sent: it could not be stored")
            await self._closing.end(end, if_refused=BetNotStored(refused=False))
            return False
        if not isinstance(answer, Applied):
            self._report(BetNotStored(refused=True))
            return False
        return True

    async def _start(self, taken: Acknowledged, balance_minor: int) -> None:
        """Store the start, then fly."""
        clock = self._services.clock
        began_ms: dict[int, int] = {}
        """By what each attempt would have stored: a correction of the house's time must not move the flight."""

        async def start() -> Answer:
            steady_ms = self._services.metronome.next_beat_ms()
            started_at_ms = clock.unix_of(steady_ms)
            began_ms[started_at_ms] = steady_ms
            return await self._services.ledger.commit(
                StartRound(
                    owner=self._services.owner,
                    operator_id=self.placed.operator_id,
                    session_id=self.placed.session_id,
                    round_id=self.placed.round_id,
                    started_at_ms=started_at_ms,
                    balance_minor=balance_minor,
                    attempts=taken.sends,
                )
            )

        give_up_at = trio.current_time() + self._services.settings.start_patience_ms / 1000
        try:
            answer = await until_known(start, give_up_at)
        except LedgerUnavailableError:
            await self._give_back(balance_minor)
            return
        if not isinstance(answer, Started):
            self._report(RoundLost())
            return
        live = replace(self.placed, status=RoundStatus.FLYING, started_at_ms=answer.started_at_ms)
        await self._fly_or_refund(self._takeoff(live, began_ms[answer.started_at_ms], balance_minor))

    async def _fly_or_refund(self, flies: RoundFlies) -> None:
        live, flight = flies.live, flies.flight
        if self._services.clock.steady_ms() - flight.started_at_ms <= START_TOLD_MS_MAX:
            self._now.flies = flies
            self._report(flies)
            await self._fly(flies)
            return
        # Nobody was told of it. Its seed is revealed by the refund: nobody may fly it after that, either.
        log.warning("a start was stored too late to be flown", extra={"round_id": str(live.round_id)})
        end = self._closing.refunded(live, ends.LATE_START)
        if await self._closing.end(end, balance_minor=flies.balance_minor):
            self._services.flights.end(live.session_id, live.round_id, flight.ends_at_ms)

    async def _give_back(self, balance_minor: int) -> None:
        """The stake was taken but the start could not be stored for too long: end the round from what is stored."""
        finished = await resolve_stored(self._services, self.placed.operator_id, self.placed.round_id, 0)
        if finished is None:
            self._report(RoundLost())
            return
        self._report(RoundOver(finished, self.placed.amount_minor, None, balance_minor))
        self._pool.wake_courier(self.placed.operator_id)

    def _takeoff(self, live: LiveRound, began_ms: int, balance_minor: int) -> RoundFlies:
        assert live.started_at_ms is not None
        return RoundFlies(live, Flight(live.round_id, began_ms, began_ms + live.plan().ends_at_ms), balance_minor)

    async def _fly(self, flies: RoundFlies) -> None:
        live, flight = flies.live, flies.flight
        timer = self._services.timers.timer(self._note_end)
        timer.set(self._services.clock.time_reached(flight.ends_at_ms))
        try:
            landing = await self._until_end(live.plan(), flight)
        finally:
            timer.clear()
            self._services.metronome.leave(flight)
        if landing is None:
            return
        settlement, frame_id = landing
        if settlement is None:
            await self._closing.end(self._closing.refunded(live, ends.SHUTDOWN))
        else:
            await self._closing.end(self._closing.settled(live, settlement), frame_id)

    def _note_end(self) -> None:
        with suppress(ActorError):  # one whose mailbox is full is awake, and sees itself what time it is
            self.tell(FlightEnds())

    async def _until_end(self, plan: FlightPlan, flight: Flight) -> tuple[Settlement | None, str | None] | None:
        """How the flight ends, and the frame that ended it; no settlement when it was interrupted, ``None`` when it is
        handed over.

        At the unattended end the mailbox is emptied first: what was received in time counts, however late it is read.
        So it is before a hand-over, and from then to this actor's end nobody else runs: no cash-out is lost between.
        """
        leaves = False
        while True:
            message = self.receive_nowait()
            if message is None:
                if self._services.clock.steady_ms() >= flight.ends_at_ms:
                    return plan.unattended(), None
                if leaves:
                    return None
                message = await self.receive()
            if isinstance(message, FlightEnds):
                continue
            if isinstance(message, HandOver):
                leaves = True
                continue
            if isinstance(message, Interrupt):
                return None, None
            settlement = plan.cashed_out(message.received_at_ms - flight.started_at_ms)
            if settlement is None:
                self._report(CashoutRefused(message.frame_id, "too_early"))
            elif settlement.result is Result.CRASH:
                self._report(CashoutRefused(message.frame_id, "too_late"))
                return settlement, None
            else:
                return settlement, message.frame_id
