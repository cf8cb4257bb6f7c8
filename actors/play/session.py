"""The session actor: one player's open session. It judges frames, starts rounds and tells what became of them.

It never waits for a wallet or a flight: those are other actors, whose news come by mail like the player's frames.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import assert_never
from uuid import UUID

import trio

from actors.facts.calls import outbox_tx_id
from actors.facts.frames_in import BetIn, CashoutIn, ClientSeedIn, HistoryIn
from actors.facts.frames_out import (
    BalanceOut,
    BetPendingOut,
    ClientOut,
    ClientSeedOut,
    ErrorOut,
    Promise,
    RoundEndedOut,
    RoundStartedOut,
    Totals,
    encode,
)
from actors.facts.records import Commitment, FinishedRound, LiveRound, OpenedSession, RoundStatus
from actors.facts.words import NOT_STORED, OPERATORS_ARE_OLD, TOO_MANY_VOID, WORDS, words
from actors.kit.actor import Actor
from actors.kit.errors import ActorError
from actors.kit.supervisor import RunBeside
from actors.play.bets import Table, bet_error, end_reason, new_round, next_commitment, place_error, table_of
from actors.play.client_seeds import store_client_seed
from actors.play.history import HistoryReader
from actors.play.outbox import SessionOutbox
from actors.play.round import RoundSeen
from actors.play.welcome import end_socket, welcome, with_newest
from actors.ports.ledger import LedgerUnavailableError
from actors.ports.sink import PlayerSink
from actors.shared.messages import (
    Attach,
    BetNotStored,
    BetStored,
    BetTrouble,
    CashoutRefused,
    Detach,
    FromPlayer,
    Leave,
    Look,
    RoundFlies,
    RoundLost,
    RoundNews,
    RoundOver,
    SessionMessage,
    WalletNews,
)
from actors.shared.services import Services
from actors.wallet.pool import WalletPool

log = logging.getLogger("getaway.session")


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
        self._services = services
        self._pool = pool
        self.record = session
        self._start_round = start_round
        self._draining = draining
        self._balance_minor = session.balance_minor
        self._balance_is_known = session.balance_is_known
        self._outbox = SessionOutbox(services, session, opened.outbox)
        self._totals = opened.totals
        self._next = session.next
        self._discarded = opened.discarded
        self._lost = False
        self._sink: PlayerSink | None = None
        self._alone_since = trio.current_time()
        self._linger_s = services.settings.session_linger_ms / 1000
        self._round: RoundSeen | None = None
        self._last: FinishedRound | None = None
        self._bet: BetIn | None = None
        self._bet_waits_until: float | None = None
        self._ends_at: float | None = None
        self._timer = services.timers.timer(self._look_soon)
        self._history = HistoryReader(services, session, self._show, run_beside, self._is_behind, flies=self._flies)
        if running is not None:
            self._adopt(running)

    @property
    def is_attended(self) -> bool:
        """Whether a socket shows it."""
        return self._sink is not None

    @property
    def waits_for(self) -> UUID | None:
        """The round for whose end it waits."""
        return None if self._round is None else self._round.placed.round_id

    @property
    def _flying(self) -> RoundFlies | None:
        return None if self._round is None else self._round.flies

    def _flies(self, round_id: UUID) -> bool:
        """Whether this round is shown as a flight that is under way."""
        return self._flying is not None and self._flying.live.round_id == round_id

    def _adopt(self, running: RoundSeen) -> None:
        """Take over a round that outlived the session actor before this one."""
        self._round = running
        played = running.placed.commitment
        if self._next.nonce > played.nonce:
            running.after = self._next  # What it drew was discarded when the session was opened again.
        if running.is_stored and self._discarded and self._discarded.server_seed_hash == played.server_seed_hash:
            self._discarded = None  # A history that was cut: what flies, if only in memory, is not revealed.

    async def run(self) -> None:
        """Serve until the session has ended, or nobody is there and nothing is live."""
        if self._flying is not None:
            # Whoever was told of the start may have failed before it could have the flight join.
            self._services.metronome.join(self._flying.flight)
        try:
            while not self._is_done():
                if (balance_minor := await self._outbox.check()) is not None:
                    self._note_balance(balance_minor, is_known=False)  # whoever heard it may have heard none
                    continue
                self._timer.set(self._wakes_at())
                message = await self.receive()
                if isinstance(message, FromPlayer) and isinstance(message.frame, ClientSeedIn):
                    await self._change_client_seed(message.frame)
                else:
                    self._handle(message)
        finally:
            self._timer.clear()
            self._end_socket("shutdown")

    def _look_soon(self) -> None:
        with suppress(ActorError):  # one whose mailbox is full is awake, and sees itself what time it is
            self.tell(Look())

    def _wakes_at(self) -> float:
        wakes_at = self._outbox.check_at
        if self._ends_at is not None:
            wakes_at = min(wakes_at, self._ends_at)
        elif self._round is None:
            clock = self._services.clock
            wakes_at = min(wakes_at, clock.trio_time(clock.steady_of(self.record.expires_at_ms)))
        if self._bet_waits_until is not None:
            wakes_at = min(wakes_at, self._bet_waits_until)
        if self._sink is None and self._round is None:
            wakes_at = min(wakes_at, self._alone_since + self._linger_s)
        return wakes_at

    def _is_done(self) -> bool:
        now = trio.current_time()
        if self._bet_waits_until is not None and now >= self._bet_waits_until:
            self._drop_waiting_bet("wallet_pending")
        if self._round is not None:
            return False
        reason = end_reason(self._services, self.record, is_draining=self._draining())
        if reason is None:
            self._ends_at = None
        elif not self._shows_a_payment(now):
            if self._bet is not None:
                self._drop_waiting_bet("draining" if reason == "shutdown" else "session_expired")
            self._end_socket(reason)
            return True
        is_alone = self._sink is None and self._bet is None and not self.queued
        return self._lost or (is_alone and now - self._alone_since >= self._linger_s)

    def _shows_a_payment(self, now: float) -> bool:
        """Whether the player may still see a win or a refund arrive, for ``pending_wait_ms`` at most."""
        if not self._outbox.minor or self._sink is None:
            return False
        if self._ends_at is None:
            self._ends_at = now + self._services.settings.pending_wait_ms / 1000
        return now < self._ends_at

    def leave_unread(self, message: SessionMessage) -> None:
        """Somebody who came at the very end comes again, and is told then what has ended."""
        if isinstance(message, Attach):
            end_socket(message.sink, "shutdown")

    def _end_socket(self, reason: str) -> None:
        if self._sink is not None:
            end_socket(self._sink, reason)
            self._seat(None)

    def _handle(self, message: SessionMessage) -> None:
        match message:
            case FromPlayer(frame=BetIn() as bet):
                self._judge_bet(bet)
            case FromPlayer(frame=CashoutIn() as wish):
                self._refuse_cashout(wish)
            case FromPlayer(frame=HistoryIn() as wish):
                self._history.start(wish)
            case Attach():
                self._attach(message)
            case Detach() if self._sink is message.sink:
                self._seat(None)
            case WalletNews():
                self._on_wallet(message)
            case Leave():
                self._leave()
            case Detach() | Look() | FromPlayer():
                pass  # What has changed is looked at after every message.
            case _:
                self._on_round(message)

    def _is_behind(self) -> bool:
        return self._sink is not None and self._sink.is_behind

    def _show(self, *frames: ClientOut) -> None:
        if self._sink is not None:
            self._sink.send(*map(encode, frames))

    def _refuse(self, code: str, frame_id: str | None, message: str | None = None) -> None:
        self._show(ErrorOut(id=frame_id, code=code, message=message or words(code)))

    def _seat(self, sink: PlayerSink | None) -> None:
        """Show everything to this socket from now on; ticks go to it straight from the metronome."""
        self._sink = sink
        if sink is None:
            self._alone_since = trio.current_time()
        if self._flying is not None:
            self._flying.flight.show_to(sink.outlet if sink is not None else None)

    def _attach(self, attach: Attach) -> None:
        self._end_socket("replaced")
        self._seat(attach.sink)
        table = table_of(self._services, self.record)
        if table is None:  # its currency was taken away while a round flies, which lands without being watched
            self._end_socket("operator_suspended")
            return
        frame = welcome(
            self._services,
            attach.frame_id,
            session=self.record,
            table=table,
            balance_minor=self._balance_minor,
            pending_minor=self._outbox.minor,
            promised=self._next,
            discarded=self._discarded,
            flying=self._flying,
            history=with_newest(self._last, attach.history, attach.history_max, self._flies),
            totals=self._totals,
        )
        self._show(frame)
        if self._round is not None and self._round.is_stored and self._flying is None:
            self._send_bet_pending(self._round.placed, None)

    async def _change_client_seed(self, change: ClientSeedIn) -> None:
        """Store the seed, then answer. Bets behind it in the mailbox find it in force."""
        # What is promised is shown with the answer: it must be for a bet to come, as this session has read it.
        if self._round is not None and (
            not self._round.is_stored or self._next.nonce <= self._round.placed.commitment.nonce
        ):
            self._refuse("round_in_progress", change.frame_id, "A bet is being placed. Change the seed after it.")
            return
        try:
            is_stored = await store_client_seed(self._services, self.record, change.value)
        except LedgerUnavailableError:
            self._refuse("wallet_unavailable", change.frame_id, "The client seed could not be stored. Try again.")
            return
        if not is_stored:
            self._lose()
            return
        self._next = replace(self._next, client_seed=change.value)
        self._show(ClientSeedOut(id=change.frame_id, next=Promise.of(self._next)))

    # Bets and rounds.

    def _judge_bet(self, bet: BetIn) -> None:
        if self._round is not None and self._round.is_in_trouble:
            self._refuse("wallet_unavailable", bet.frame_id, NOT_STORED)
            return
        is_busy = self._round is not None or self._bet is not None
        table = table_of(self._services, self.record)
        bulkhead = self._pool.bulkheads.of(self.record.operator_id)
        code = place_error(
            self._services, self.record, is_busy=is_busy, is_draining=self._draining(), permits=bulkhead.permits
        )
        if code or table is None or (code := bet_error(bet, table, self._known_balance_minor())):
            # What is ours is not put down to the wallet, which was not asked.
            is_ours = code == "wallet_unavailable" and not self._services.contact.takes_bets
            self._refuse(code or "bet_declined", bet.frame_id, NOT_STORED if is_ours else None)
            return
        if not self._services.operators.is_fresh:
            self._refuse("wallet_unavailable", bet.frame_id, OPERATORS_ARE_OLD)
            return
        whose = self.record.operator_id, self.record.operator_player_id, self.session_id
        if self._services.tally.wait_ms(*whose, self._services.clock.steady_ms()):
            self._refuse("rate_limited", bet.frame_id, TOO_MANY_VOID)
            return
        self._bet = bet
        if self._outbox.minor:
            self._bet_waits_until = trio.current_time() + self._services.settings.pending_wait_ms / 1000
        else:
            self._place(bet, table)

    def _drop_waiting_bet(self, code: str) -> None:
        assert self._bet is not None
        self._refuse(code, self._bet.frame_id)
        self._bet, self._bet_waits_until = None, None

    def _place(self, bet: BetIn, table: Table) -> None:
        live = new_round(self._services, self.record, self._next, bet, table)
        after = next_commitment(live, self._services.entropy.server_seed())
        self._round = RoundSeen(live, after)
        self._start_round(live, after)

    def _refuse_cashout(self, frame: CashoutIn) -> None:
        """Of a round that no actor plays: its end is told already, or will be."""
        ended = self.waits_for, None if self._last is None else self._last.round_id
        is_known = frame.round_id is not None and frame.round_id in ended
        self._refuse("too_late" if is_known else "no_such_round", frame.frame_id)

    def _on_round(self, news: RoundNews) -> None:
        match news:
            case BetStored():
                assert self._round is not None
                self._round.is_stored = True
                self._next = self._round.after
                self._send_bet_pending(self._round.placed, self._bet_frame_id())
            case BetTrouble():
                assert self._round is not None
                self._round.is_in_trouble = True
                # Whether it was stored or not, what it was on is not promised any more: its end may reveal it first.
                self._next = self._round.after
                self._refuse("wallet_unavailable", self._bet_frame_id(), NOT_STORED)
            case BetNotStored():
                self._on_not_stored(news)
            case RoundFlies():
                self._on_flies(news)
            case CashoutRefused():
                self._refuse(news.code, news.frame_id)
            case RoundOver():
                self._on_over(news)
            case RoundLost():
                self._clear_round()
                self._lose()
            case _:
                assert_never(news)

    def _on_not_stored(self, news: BetNotStored) -> None:
        assert self._round is not None
        is_ours = self._round.placed.commitment.server_seed_hash == self._next.server_seed_hash
        frame_id = self._bet_frame_id()
        self._clear_round()
        if news.refused and is_ours:
            self._lose()
        elif news.refused:
            # The actor before this one promised it, and this one another: the session is as much ours as before.
            self._refuse("wallet_unavailable", frame_id, NOT_STORED)
        else:
            # The bet may still arrive and be ended, revealed, by a sweep: this promise is not to be shown again. The
            # page comes back at once, and what is promised then refuses the bet.
            self._lost = True
            self._end_socket("shutdown")

    def _bet_frame_id(self) -> str | None:
        return None if self._bet is None else self._bet.frame_id

    def _send_bet_pending(self, live: LiveRound, frame_id: str | None) -> None:
        self._show(BetPendingOut(id=frame_id, round_id=live.round_id, amount_minor=live.amount_minor))

    def _on_flies(self, news: RoundFlies) -> None:
        assert self._round is not None
        self._round.flies = news
        news.flight.show_to(self._sink.outlet if self._sink is not None else None)
        self._balance_minor, self._balance_is_known = news.balance_minor, True
        self._show(RoundStartedOut.of(news.live, news.balance_minor, self._bet_frame_id()))
        self._services.metronome.join(news.flight)

    def _on_over(self, news: RoundOver) -> None:
        finished, void = news.finished, news.finished.status is RoundStatus.VOID
        frame_id = self._bet_frame_id() if self._flying is None and news.frame_id is None else news.frame_id
        if self._round is not None and self._next.nonce == finished.nonce:
            self._next = self._round.after
        self._clear_round()
        self._last, self._totals = finished, self._totals.after(finished)
        if news.balance_minor is not None:
            self._balance_minor = news.balance_minor
        if news.outbox_minor:
            self._outbox.add(outbox_tx_id(finished), news.outbox_minor)
        ended = RoundEndedOut.after(
            finished,
            frame_id,
            balance_minor=self._balance_minor,
            promised=self._next,
            totals=Totals.of(self.record, self._totals),
            pending_minor=self._outbox.minor,
        )
        frames: list[ClientOut] = [ended]
        if void and finished.reason in WORDS:
            frames.append(ErrorOut(id=frame_id, code=finished.reason, message=words(finished.reason)))
        if news.outbox_minor:
            frames.append(self._balance_frame())
        self._show(*frames)

    def _clear_round(self) -> None:
        self._round, self._bet = None, None

    def _lose(self) -> None:
        """Another node owns this session now: this one must say nothing about it any more."""
        self._lost = True
        self._end_socket("replaced")

    def _leave(self) -> None:
        """Its asker's node tells the player the rest, of a bet under way, too."""
        if self._bet_waits_until is not None:
            self._drop_waiting_bet("wallet_pending")
        self._lose()
        self._clear_round()

    def _on_wallet(self, news: WalletNews) -> None:
        self._outbox.end(news.operator_tx_id)
        if news.balance_minor is not None:
            self._note_balance(news.balance_minor, is_known=True)
        else:
            self._note_balance(self._balance_minor, is_known=self._balance_is_known and news.is_parked)

    def _known_balance_minor(self) -> int | None:
        return self._balance_minor if self._balance_is_known else None

    def _note_balance(self, balance_minor: int, *, is_known: bool) -> None:
        """Show it, and place the bet that has waited for the outbox."""
        self._balance_minor, self._balance_is_known = balance_minor, is_known
        self._show(self._balance_frame())
        if self._bet is not None and self._round is None and not self._outbox.minor:
            bet, self._bet, self._bet_waits_until = self._bet, None, None
            self._judge_bet(bet)

    def _balance_frame(self) -> BalanceOut:
        return BalanceOut(balance_minor=self._balance_minor, pending_minor=self._outbox.minor)
