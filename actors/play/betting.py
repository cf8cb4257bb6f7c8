"""Betting: what a session has promised, the bet that waits, and the round as the session sees it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import assert_never
from uuid import UUID

import trio

from actors.facts.error_texts import NOT_STORED, WORDS, words
from actors.facts.frames_in import BetIn, CashoutIn, ClientSeedIn
from actors.facts.frames_out import (
    BetPendingOut,
    ClientOut,
    ClientSeedOut,
    ErrorOut,
    Promise,
    RoundEndedOut,
    RoundStartedOut,
    Totals,
)
from actors.facts.records import Commitment, FinishedRound, LiveRound, OpenedSession, RoundStatus
from actors.facts.transitions import Applied, ChangeClientSeed
from actors.play.judging import BetTerms, judge, new_round, next_commitment
from actors.play.purse import Purse
from actors.play.round import RoundSeen
from actors.play.screen import Screen
from actors.ports.ledger import LedgerUnavailableError
from actors.shared.messages import (
    BetNotStored,
    BetStored,
    BetTrouble,
    CashoutRefused,
    RoundFlies,
    RoundLost,
    RoundNews,
    RoundOver,
)
from actors.shared.services import Services
from actors.wallet.pool import WalletPool


@dataclass(frozen=True, slots=True)
class WaitingBet:
    """A good bet that must not overtake what is pending; it waits until ``until`` on trio's clock."""

    bet: BetIn
    until: float


class Betting:
    """One bet or round at a time. ``running`` is the round that outlived the session actor before this one.

    ``start_round`` runs the actor of a round, behind which something is promised; ``draining`` tells whether new bets
    are refused. Some methods return why the session has to end for its player, or ``None``.
    """

    def __init__(
        self,
        services: Services,
        pool: WalletPool,
        opened: OpenedSession,
        purse: Purse,
        screen: Screen,
        *,
        running: RoundSeen | None,
        start_round: Callable[[LiveRound, Commitment], None],
        draining: Callable[[], bool],
    ) -> None:
        self._services = services
        self._pool = pool
        self._session = opened.session
        self._purse = purse
        self._screen = screen
        self._start_round = start_round
        self._draining = draining
        self.promised = opened.session.next
        self.discarded = opened.discarded
        self.waiting: WaitingBet | None = None
        self.round = running
        self.last: FinishedRound | None = None
        if running is not None:
            self._adopt(running)

    def _adopt(self, running: RoundSeen) -> None:
        played = running.placed.commitment
        if self.promised.nonce > played.nonce:
            running.after = self.promised  # What it drew was discarded when the session was opened again.
        if running.is_stored and self.discarded and self.discarded.server_seed_hash == played.server_seed_hash:
            self.discarded = None  # A history that was cut: what flies, if only in memory, is not revealed.
        if running.flies is not None:
            self._screen.follow(running.flies.flight)

    @property
    def flying(self) -> RoundFlies | None:
        """The flight that is shown as under way."""
        return None if self.round is None else self.round.flies

    def flies(self, round_id: UUID) -> bool:
        """Whether this round is shown as a flight that is under way."""
        return self.flying is not None and self.flying.live.round_id == round_id

    @property
    def waits_until(self) -> float:
        """When ``drop_overdue`` has something to do, on trio's clock."""
        return inf if self.waiting is None else self.waiting.until

    def judge(self, bet: BetIn) -> None:
        """Refuse the bet, place it, or have it wait for what is pending."""
        if self.round is not None and self.round.is_in_trouble:
            self._screen.refuse("wallet_unavailable", bet.frame_id, NOT_STORED)
            return
        terms = judge(
            self._services,
            self._session,
            bet,
            is_busy=self.round is not None or self.waiting is not None,
            is_draining=self._draining(),
            permits=self._pool.bulkheads.of(self._session.operator_id).permits,
            balance_minor=self._purse.known_minor,
        )
        if isinstance(terms, ErrorOut):
            self._screen.show(terms)
        elif self._purse.pending_minor:
            self.waiting = WaitingBet(bet, trio.current_time() + self._services.settings.pending_wait_ms / 1000)
        else:
            self._place(bet, terms)

    def _place(self, bet: BetIn, terms: BetTerms) -> None:
        live = new_round(self._services, self._session, self.promised, bet, terms)
        after = next_commitment(live, self._services.entropy.server_seed())
        self.round = RoundSeen(live, after, frame_id=bet.frame_id)
        self._start_round(live, after)

    def judge_waiting(self) -> None:
        """Judge the bet that waits, if nothing is pending any more."""
        if self.waiting is not None and not self._purse.pending_minor:
            bet, self.waiting = self.waiting.bet, None
            self.judge(bet)

    def drop_waiting(self, code: str) -> None:
        """Refuse the bet that waits, if one does."""
        if self.waiting is not None:
            self._screen.refuse(code, self.waiting.bet.frame_id)
            self.waiting = None

    def drop_overdue(self) -> None:
        """Refuse the bet that has waited for too long."""
        if trio.current_time() >= self.waits_until:
            self.drop_waiting("wallet_pending")

    def refuse_cashout(self, frame: CashoutIn) -> None:
        """Of a round that no actor plays: its end is told already, or will be."""
        is_current = self.round is not None and self.round.placed.round_id == frame.round_id
        is_last = self.last is not None and self.last.round_id == frame.round_id
        self._screen.refuse("too_late" if is_current or is_last else "no_such_round", frame.frame_id)

    @property
    def _takes_client_seed(self) -> bool:
        """Whether what is promised is for a bet to come, as this session has read it: it is shown with the answer."""
        played = self.round
        return played is None or (played.is_stored and self.promised.nonce > played.placed.commitment.nonce)

    async def change_client_seed(self, change: ClientSeedIn) -> str | None:
        """Store the seed, then answer. Bets behind it in the mailbox find it in force."""
        if not self._takes_client_seed:
            message = "A bet is being placed. Change the seed after it."
            self._screen.refuse("round_in_progress", change.frame_id, message)
            return None
        transition = ChangeClientSeed(
            owner=self._services.owner,
            operator_id=self._session.operator_id,
            session_id=self._session.session_id,
            client_seed=change.value,
        )
        try:
            answer = await self._services.ledger.commit(transition)
        except LedgerUnavailableError:
            message = "The client seed could not be stored. Try again."
            self._screen.refuse("wallet_unavailable", change.frame_id, message)
            return None
        if not isinstance(answer, Applied):
            return "replaced"
        self.promised = replace(self.promised, client_seed=change.value)
        self._screen.show(ClientSeedOut(id=change.frame_id, next=Promise.of(self.promised)))
        return None

    def hear(self, news: RoundNews) -> str | None:
        """What became of the round, for the player."""
        match news:
            case BetStored():
                assert self.round is not None
                self.round.is_stored = True
                self.promised = self.round.after
                self._show_pending(self.round, self.round.frame_id)
            case BetTrouble():
                assert self.round is not None
                self.round.is_in_trouble = True
                # Whether it was stored or not, what it was on is not promised any more: its end may reveal it first.
                self.promised = self.round.after
                self._screen.refuse("wallet_unavailable", self.round.frame_id, NOT_STORED)
            case BetNotStored():
                return self._on_not_stored(news)
            case RoundFlies():
                self._on_flies(news)
            case CashoutRefused():
                self._screen.refuse(news.code, news.frame_id)
            case RoundOver():
                self._on_over(news)
            case RoundLost():
                self.forget_round()
                return "replaced"
            case _:
                assert_never(news)
        return None

    def _on_not_stored(self, news: BetNotStored) -> str | None:
        assert self.round is not None
        is_ours = self.round.placed.commitment.server_seed_hash == self.promised.server_seed_hash
        frame_id = self.round.frame_id
        self.forget_round()
        if not news.refused:
            # The bet may still arrive and be ended, revealed, by a sweep: this promise is not to be shown again. The
            # page comes back at once, and what is promised then refuses the bet.
            return "shutdown"
        if is_ours:
            return "replaced"
        # The actor before this one promised it, and this one another: the session is as much ours as before.
        self._screen.refuse("wallet_unavailable", frame_id, NOT_STORED)
        return None

    def _show_pending(self, seen: RoundSeen, frame_id: str | None) -> None:
        placed = seen.placed
        self._screen.show(BetPendingOut(id=frame_id, round_id=placed.round_id, amount_minor=placed.amount_minor))

    def show_again(self) -> None:
        """Show a socket that was just welcomed the bet whose answer is awaited: no welcome has it."""
        if self.round is not None and self.round.is_stored and self.round.flies is None:
            self._show_pending(self.round, None)

    def _on_flies(self, news: RoundFlies) -> None:
        assert self.round is not None
        self.round.flies = news
        self._screen.follow(news.flight)
        self._purse.pay_stake(news)
        self._screen.show(RoundStartedOut.of(news.live, news.balance_minor, self.round.frame_id))
        self._services.metronome.join(news.flight)

    def _on_over(self, news: RoundOver) -> None:
        finished, frame_id = news.finished, news.frame_id
        if self.round is not None:
            if self.round.flies is None and frame_id is None:
                frame_id = self.round.frame_id
            if self.promised.nonce == finished.nonce:
                self.promised = self.round.after
        self.forget_round()
        self.last = finished
        self._purse.end_round(news)
        ended = RoundEndedOut.after(
            finished,
            frame_id,
            balance_minor=self._purse.balance_minor,
            promised=self.promised,
            totals=Totals.of(self._session, self._purse.totals),
            pending_minor=self._purse.pending_minor,
        )
        frames: list[ClientOut] = [ended]
        if finished.status is RoundStatus.VOID and finished.reason in WORDS:
            frames.append(ErrorOut(id=frame_id, code=finished.reason, message=words(finished.reason)))
        if news.outbox_minor:
            frames.append(self._purse.frame)
        self._screen.show(*frames)

    def forget_round(self) -> None:
        """It is over, or somebody else tells the player of it."""
        self.round = None
        self._screen.follow(None)
