"""The session actor: one player's open session. It brings what comes by mail to its screen, its purse and its betting,
and ends when nothing is left to be done.

It never waits for a wallet or a flight: those are other actors, whose news come by mail like the player's frames.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import assert_never
from uuid import UUID

import trio

from actors.facts.frames_in import BetIn, CashoutIn, ClientSeedIn, HistoryIn, SessionIn
from actors.facts.records import Commitment, LiveRound, OpenedSession, OperatorStatus, SessionRecord
from actors.kit.actor import Actor
from actors.kit.errors import ActorError
from actors.kit.supervisor import RunBeside
from actors.play.betting import Betting
from actors.play.history import HistoryReader
from actors.play.judging import bet_terms_of
from actors.play.purse import Purse
from actors.play.round import RoundSeen
from actors.play.screen import Screen, end_socket
from actors.play.welcome import welcome
from actors.shared.messages import Attach, Detach, FromPlayer, HistoryRead, Leave, Look, SessionMessage, WalletNews
from actors.shared.services import Services
from actors.wallet.pool import WalletPool


def end_reason(services: Services, session: SessionRecord, *, is_draining: bool) -> str | None:
    """Why the session has to end now, in the protocol's words, or ``None``."""
    if services.clock.now_ms() >= session.expires_at_ms:
        return "expired"
    terms = bet_terms_of(services, session)
    if terms is None or terms.operator.status is not OperatorStatus.ACTIVE:
        return "operator_suspended"
    return "shutdown" if is_draining else None


class SessionActor(Actor[SessionMessage]):
    """One open session. ``running`` is the round that it had when it was opened. ``start_round`` runs the actor of a
    round, behind which something is promised; ``run_beside`` runs a short piece of work; ``draining`` tells whether new
    bets are refused."""

    def __init__(
        self,
        services: Services,
        pool: WalletPool,
        opened: OpenedSession,
        *,
        running: RoundSeen | None,
        start_round: Callable[[LiveRound, Commitment], None],
        run_beside: RunBeside,
        draining: Callable[[], bool],
    ) -> None:
        session = opened.session
        super().__init__("session", services.settings.session_mailbox_max, session.session_id)
        self.session_id = session.session_id
        self.record = session
        self._services = services
        self._draining = draining
        self._screen = Screen()
        self._purse = Purse(services, opened)
        self._betting = Betting(
            services,
            pool,
            opened,
            self._purse,
            self._screen,
            running=running,
            start_round=start_round,
            draining=draining,
        )
        self._history = HistoryReader(services, session, self._screen, run_beside, flies=self._betting.flies)
        self._is_lost = False
        self._ends_at: float | None = None
        self._timer = services.timers.timer(self._look_soon)

    @property
    def is_attended(self) -> bool:
        """Whether a socket shows it."""
        return self._screen.is_attended

    @property
    def waits_for(self) -> UUID | None:
        """The round for whose end it waits."""
        return None if self._betting.round is None else self._betting.round.placed.round_id

    async def run(self) -> None:
        """Serve until the session has ended, or nobody is there and nothing is live."""
        if self._betting.flying is not None:
            # Whoever was told of the start may have failed before it could have the flight join.
            self._services.metronome.join(self._betting.flying.flight)
        try:
            while not self._end_if_due():
                if await self._purse.refresh():
                    self._note_balance()
                    continue
                self._timer.set(self._wakes_at())
                await self._handle(await self.receive())
        finally:
            self._timer.clear()
            self._screen.end("shutdown")

    def _look_soon(self) -> None:
        with suppress(ActorError):  # one whose mailbox is full is awake, and sees itself what time it is
            self.tell(Look())

    def _wakes_at(self) -> float:
        wakes_at = min(self._purse.refresh_at, self._betting.waits_until)
        if self._betting.round is None:
            wakes_at = min(wakes_at, self._screen.alone_since + self._linger_s)
        if self._ends_at is not None:
            return min(wakes_at, self._ends_at)
        if self._betting.round is None:
            clock = self._services.clock
            return min(wakes_at, clock.trio_time(clock.steady_of(self.record.expires_at_ms)))
        return wakes_at

    @property
    def _linger_s(self) -> float:
        return self._services.settings.session_linger_ms / 1000

    def _end_if_due(self) -> bool:
        """Whether the session has ended; a bet that has waited for too long ends here, too."""
        now = trio.current_time()
        self._betting.drop_overdue()
        if self._betting.round is not None:
            return False
        reason = end_reason(self._services, self.record, is_draining=self._draining())
        if reason is None:
            self._ends_at = None
        else:
            # The player may still see a win or a refund arrive, for a while.
            if self._ends_at is None:
                self._ends_at = now + self._services.settings.pending_wait_ms / 1000
            if not (self._purse.pending_minor and self.is_attended and now < self._ends_at):
                self._betting.drop_waiting("draining" if reason == "shutdown" else "session_expired")
                self._screen.end(reason)
                return True
        is_idle = self._betting.waiting is None and not self.queued
        return self._is_lost or (is_idle and now - self._screen.alone_since >= self._linger_s)

    def leave_unread(self, message: SessionMessage) -> None:
        """Somebody who came at the very end comes again, and is told then what has ended."""
        if isinstance(message, Attach):
            end_socket(message.sink, "shutdown")

    async def _handle(self, message: SessionMessage) -> None:
        match message:
            case FromPlayer():
                await self._answer(message.frame)
            case HistoryRead():
                self._history.show(message)
            case Attach():
                self._attach(message)
            case Detach():
                self._screen.leave(message.sink)
            case WalletNews():
                self._purse.end_call(message)
                self._note_balance()
            case Leave():
                self._leave()
            case Look():
                pass  # What has changed is looked at after every message.
            case _:
                self._stop(self._betting.hear(message))

    async def _answer(self, frame: SessionIn) -> None:
        match frame:
            case BetIn():
                self._betting.judge(frame)
            case CashoutIn():
                self._betting.refuse_cashout(frame)
            case ClientSeedIn():
                self._stop(await self._betting.change_client_seed(frame))
            case HistoryIn():
                self._history.start(frame)
            case _:
                assert_never(frame)

    def _attach(self, attach: Attach) -> None:
        self._screen.end("replaced")
        self._screen.seat(attach.sink)
        terms = bet_terms_of(self._services, self.record)
        if terms is None:  # its currency was taken away while a round flies, which lands without being watched
            self._screen.end("operator_suspended")
            return
        frame = welcome(
            self._services, attach, session=self.record, terms=terms, purse=self._purse, betting=self._betting
        )
        self._screen.show(frame)
        self._betting.show_again()

    def _stop(self, reason: str | None) -> None:
        """For this reason, if there is one, the session says nothing more, and ends as soon as it has no round.

        ``replaced``: another node owns it now.
        """
        if reason is not None:
            self._is_lost = True
            self._screen.end(reason)

    def _leave(self) -> None:
        """Its asker's node tells the player the rest, of a bet under way, too."""
        self._betting.drop_waiting("wallet_pending")
        self._stop("replaced")
        self._betting.forget_round()

    def _note_balance(self) -> None:
        """Show it, and place the bet that has waited for what was pending."""
        self._screen.show(self._purse.frame)
        self._betting.judge_waiting()
