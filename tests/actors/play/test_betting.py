"""Betting alone: a bet that waits, and what is promised by whom when news of a round come."""

from dataclasses import replace

import pytest
import trio

from actors.facts.frames_in import BetIn, CashoutIn, ClientSeedIn
from actors.facts.records import OpenedSession
from actors.play.betting import Betting
from actors.play.purse import Purse
from actors.play.screen import Screen
from actors.shared.messages import BetNotStored, BetStored, BetTrouble, RoundLost, WalletNews
from tests.helpers.game import Player, open_game
from tests.helpers.wallet_calls import CallKind, call

BET = BetIn("bet", 1_000, None, None)
WIN = call(CallKind.WIN)


class Table:
    """A session's betting with no actors around it. ``placed``: the rounds that it started."""

    def __init__(self, game, session, *, running=None, discarded=None):
        self.services = game.node.services
        self.player, self.screen, self.placed = Player(None), Screen(), []
        self.screen.seat(self.player)
        opened = OpenedSession(session=session, live_round=None, outbox=(WIN,), discarded=discarded)
        self.purse = Purse(self.services, opened)
        self.betting = Betting(
            self.services,
            game.node.pool,
            opened,
            self.purse,
            self.screen,
            running=running,
            start_round=lambda *placed: self.placed.append(placed),
            draining=lambda: False,
        )

    def arrives(self):
        """The win that was pending."""
        self.purse.end_call(WalletNews(WIN.operator_tx_id, 5_000))
        self.betting.judge_waiting()

    @property
    def codes(self):
        return [frame.get("code", frame["type"]) for frame in self.player.frames]


@pytest.fixture
async def game(autojump_clock):
    async with open_game() as game:
        await game.play()
        yield game


@pytest.fixture
def session(game):
    (actor,) = game.node.lobby._sessions._actors.values()
    return actor.record


@pytest.fixture
def table(game, session):
    return Table(game, session)


async def test_a_bet_waits_for_what_is_pending_and_then_is_placed(table):
    table.betting.judge(BET)
    assert not table.placed
    table.betting.judge_waiting()
    assert not table.placed, "it still is"
    table.betting.judge(replace(BET, frame_id="second"))
    assert table.codes == ["round_in_progress"]
    table.arrives()
    ((live, after),) = table.placed
    assert (live.amount_minor, live.commitment, after.nonce) == (1_000, table.betting.promised, 2)
    assert table.betting.round.frame_id == "bet" and table.betting.waiting is None


async def test_a_bet_waits_for_so_long_and_no_longer(table):
    table.betting.judge(BET)
    await trio.sleep_until(table.betting.waits_until - 0.5)
    table.betting.drop_overdue()
    assert table.codes == []
    await trio.sleep(0.5)
    table.betting.drop_overdue()
    table.arrives()
    assert table.codes == ["wallet_pending"] and not table.placed
    table.betting.drop_waiting("draining")
    assert table.codes == ["wallet_pending"], "nothing waits"


async def test_what_is_promised_moves_on_with_the_bet_that_is_stored(table):
    table.arrives()
    table.betting.judge(BET)
    _, after = table.placed[0]
    assert table.betting.promised != after
    assert await table.betting.change_client_seed(ClientSeedIn("seed", "mine")) is None
    assert table.codes == ["round_in_progress"]
    assert table.betting.hear(BetStored()) is None
    assert table.betting.promised == after
    table.betting.show_again()
    assert [frame.get("id") for frame in table.player.frames] == ["seed", "bet", None]


@pytest.mark.parametrize("news", [RoundLost(), BetNotStored(refused=True)])
async def test_another_owner_speaks_for_what_it_has_taken(table, news):
    table.arrives()
    table.betting.judge(BET)
    assert table.betting.hear(news) == "replaced"
    assert table.betting.round is None and table.codes == []


async def test_a_promise_that_a_sweep_may_reveal_is_not_shown_again(table):
    table.arrives()
    table.betting.judge(BET)
    assert table.betting.hear(BetTrouble()) is None
    assert table.betting.promised == table.placed[0][1]
    table.betting.judge(BET)
    assert table.codes == ["wallet_unavailable", "wallet_unavailable"]
    assert table.betting.hear(BetNotStored(refused=False)) == "shutdown"


async def test_a_bet_of_the_actor_before_that_is_refused_takes_no_session_away(game, session, table):
    table.arrives()
    table.betting.judge(BET)
    again = replace(session, next=replace(session.next, server_seed_hash="f" * 64))
    later = Table(game, again, running=table.betting.round)
    assert later.betting.hear(BetNotStored(refused=True)) is None
    assert later.codes == ["wallet_unavailable"]


async def test_a_promise_that_is_played_is_not_revealed_as_discarded(game, session, table):
    table.arrives()
    table.betting.judge(BET)
    seen = table.betting.round
    assert Table(game, session, running=seen, discarded=session.next).betting.discarded == session.next
    seen.is_stored = True
    assert Table(game, session, running=seen, discarded=session.next).betting.discarded is None


async def test_a_cash_out_without_a_flight_is_too_late_or_of_no_round(table):
    table.arrives()
    table.betting.judge(BET)
    for round_id in (table.placed[0][0].round_id, None):
        table.betting.refuse_cashout(CashoutIn("out", round_id))
    assert table.codes == ["too_late", "no_such_round"]
