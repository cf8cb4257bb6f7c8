"""Two servers on one database: a player who comes to the other one plays on there, and no cent is counted twice."""

import threading
from contextlib import contextmanager

import pytest
import trio

from actors.shared.game_settings import GameSettings
from tests.helpers.server_process import ServerProcess
from tests.whole.house import audit_house, finished_round, open_house
from tests.whole.wallet import Fault

SLOW_RATE_PER_MS = "0.00006"
BACK_S_MAX = GameSettings(bet_limits={}).handover_patience_ms / 1000
"""What a player is never kept waiting for without a word; a quiet machine needs a fifth of a second."""
FLIGHT_HUNDREDTHS_MIN = 140
"""A flight that is shown to two nodes has to last about so long; one that crashes before is flown again."""


class Pair:
    """A house, and a second server beside it."""

    def __init__(self, house, second):
        self.house = house
        self.second = second

    def at_first(self, session):
        return self.house.playing(session)

    def at_second(self, session):
        there = replace_url(self.house, self.second.url)
        return there.playing(session)


def replace_url(house, url):
    """The same house, entered by another door."""

    class Elsewhere(type(house)):
        @property
        def url(self):
            return url

    elsewhere = Elsewhere(house.server, house.wallet, house.rate_per_ms)
    elsewhere.players, elsewhere.tick_texts = house.players, house.tick_texts
    return elsewhere


@contextmanager
def second_server(first, folder):
    folder.mkdir()
    variables = {name: value for name, value in first.environ.items() if name.startswith("GETAWAY_GAME_")}
    second = ServerProcess(
        first.environ["GETAWAY_DATABASE_URL"], folder, GETAWAY_SERVER_NODE="second-node", **variables
    )
    try:
        yield second.start()
    finally:
        second.kill()


@pytest.fixture(scope="module")
def pair(postgres, tmp_path_factory):
    folder = tmp_path_factory.mktemp("handover")
    with (
        open_house(postgres, folder, rate_per_ms=SLOW_RATE_PER_MS) as house,
        second_server(house.server, folder / "second") as second,
    ):
        yield Pair(house, second)
        assert second.errors() == []


async def flight(pair, player):
    """A round that can still be cashed out when it has been shown twice."""
    while True:
        started = await player.bet(600)
        assert started["type"] == "round_started", started
        if await player.wait_for_multiplier(FLIGHT_HUNDREDTHS_MIN - 20):
            return started


async def test_an_idle_session_is_there_at_once(pair):
    session = pair.house.operator.session()
    async with pair.at_first(session) as left:
        began_at = trio.current_time()
        async with pair.at_second(session) as player:
            took_s = trio.current_time() - began_at
            assert took_s < BACK_S_MAX
            frames = await left.closed()
            assert [frame["reason"] for frame in frames] == ["replaced"]
            ended = await player.play(600, auto_cashout=1.01)
            await trio.to_thread.run_sync(finished_round, pair.house.operator, ended["round_id"])


async def test_a_flight_goes_on_and_its_cash_out_pays(pair):
    for _ in range(20):
        session = pair.house.operator.session()
        async with pair.at_first(session) as left:
            started = await flight(pair, left)
            began_at = trio.current_time()
            async with pair.at_second(session) as player:
                took_s = trio.current_time() - began_at
                shown = player.welcome["round"]
                if shown is None:
                    continue  # it crashed on the way
                assert took_s < BACK_S_MAX
                assert (shown["round_id"], shown["started_at"]) == (started["round_id"], started["started_at"])
                assert shown["server_seed_hash"] == started["server_seed_hash"]
                if await player.receive_tick() is None:
                    continue
                assert player.ticks[0][0] > left.ticks[-1][0], "it goes on, it does not begin again"
                await player.send("cashout", round_id=started["round_id"])
                ended = await player.until("round_ended")
                if ended["result"] != "cashout":
                    continue
                told = await trio.to_thread.run_sync(finished_round, pair.house.operator, started["round_id"])
                assert told["payout_minor"] == ended["payout_minor"] > 600
                return
    raise AssertionError("no flight lasted long enough")


async def test_a_flight_ends_by_its_rules_when_nobody_watches_it_any_more(pair):
    session = pair.house.operator.session()
    async with pair.at_first(session) as left:
        started = await left.bet(600, auto_cashout=1.3)
        async with pair.at_second(session):
            pass
    told = await trio.to_thread.run_sync(finished_round, pair.house.operator, started["round_id"])
    assert told["status"] == "settled"


async def test_a_pending_bet_is_decided_first(pair):
    session = pair.house.operator.session()
    answers = threading.Event()
    async with pair.at_first(session) as left:
        pair.house.wallet.mistreat(session.player_id, "bet", Fault(pause=answers, takes_effect=True))
        pending = await left.ask("bet", "bet_pending", amount_minor=600, auto_cashout=1.5)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(set_later, answers, 1.0)
            async with pair.at_second(session) as player:
                if player.welcome["round"] is None:
                    ended = player.welcome["history"][0]
                else:
                    ended = await player.until("round_ended")
                assert ended["round_id"] == pending["round_id"]
                assert ended["status"] == "settled"
    assert len(pair.house.wallet.calls_of(f"bet-{pending['round_id']}")) == 1


async def set_later(event, delay_s):
    await trio.sleep(delay_s)
    event.set()


async def test_a_pending_win_arrives_where_the_player_is(pair):
    session = pair.house.operator.session()
    async with pair.at_first(session) as left:
        won = None
        while not won:
            pair.house.wallet.forget_faults(session.player_id)
            pair.house.wallet.mistreat(session.player_id, "win", Fault(drop=True))
            ended = await left.play(600, auto_cashout=1.01)
            won = ended["payout_minor"]
        async with pair.at_second(session) as player:
            while player.seen[-1].get("pending_minor", 0):
                await player.receive()
            told = await trio.to_thread.run_sync(finished_round, pair.house.operator, ended["round_id"])
            assert told["payout_minor"] == won
            assert player.balances[-1] == ended["balance_minor"] + won


async def test_sockets_that_take_turns_are_all_served(pair):
    session = pair.house.operator.session()
    for _ in range(5):
        async with pair.at_first(session) as player:
            assert player.welcome["round"] is None
            async with pair.at_second(session) as other:
                assert other.welcome["session_id"] == session.session_id
                await player.closed()


async def test_the_books_agree(pair):
    await trio.to_thread.run_sync(audit_house, pair.house)
