"""Two workers on one port: players land on either, and go on at either, and every cent is counted once."""

import json
from collections import Counter

import pytest
import trio

from tests.server.workers.team import open_team_house, request_to
from tests.whole.casino import LAUNCH, Session
from tests.whole.house import audit_house, finished_round

RATE_PER_MS = "0.0002"
"""1.50x after two seconds: time enough to go to the other worker in flight."""
STAKE = 700
SESSIONS = 50
ROUNDS = 3
CONNECTIONS = 200
SHARE_MIN = 60
"""Of 200 connections, with a chance of one half each: fewer than 60 on one of two is one case in a hundred million."""


@pytest.fixture(scope="module")
def house(postgres, tmp_path_factory):
    with (
        postgres.database() as database_url,
        open_team_house(database_url, tmp_path_factory.mktemp("workers"), rate_per_ms=RATE_PER_MS) as house,
    ):
        yield house
        assert house.server.errors() == []


def other(number):
    return 3 - number


async def test_each_worker_launches_sessions_which_each_can_play(house):
    for number in (1, 2):
        player_id = f"launched-by-{number}"
        house.wallet.open_account(player_id, "USD", 500_000)
        body = house.operator.launch_body(player_id)
        headers = {"Content-Type": "application/json"} | dict(house.operator.signed("POST", LAUNCH, body))
        answers = [await request_to(house.server, at, "POST", LAUNCH, headers, body) for at in (number, other(number))]
        assert [status for status, _ in answers] == [200, 200]
        first, again = (json.loads(text) for _, text in answers)
        assert again == first, "the same signed bytes get the same session, whoever is asked"
        token = first["launch_url"].partition("session=")[2]
        session = Session(first["session_id"], first["launch_url"], token, player_id, "USD", first["expires_at"])
        async with house.playing_at(other(number), session) as player:
            assert player.welcome["session_id"] == first["session_id"]
            ended = await player.play(STAKE, auto_cashout=1.01)
            assert ended["status"] == "settled"


async def test_each_worker_takes_bets_and_cash_outs(house):
    for number in (1, 2):
        counted = [house.server.count(each, "getaway_rounds_ended", result="cashout") for each in (1, 2)]
        async with house.playing_at(number, house.operator.session()) as player:
            ended = {"result": None}
            while ended["result"] != "cashout":
                started = await flight(player)
                await player.send("cashout", round_id=started["round_id"])
                ended = await player.until("round_ended", "error")
            assert ended["payout_minor"] > STAKE
        counted[number - 1] += 1
        assert [house.server.count(each, "getaway_rounds_ended", result="cashout") for each in (1, 2)] == counted


async def test_connections_spread(house):
    landed = Counter()
    streams = [await trio.open_tcp_stream("127.0.0.1", house.server.port) for _ in range(CONNECTIONS)]
    try:
        with trio.fail_after(10):
            for stream in streams:
                while (number := house.server.holder(stream.socket.getsockname()[1])) is None:
                    await trio.sleep(0.01)
                landed[number] += 1
    finally:
        for stream in streams:
            await stream.aclose()
    assert set(landed) == {1, 2}
    assert min(landed.values()) >= SHARE_MIN, landed


async def flight(player):
    """A round that is still in the air after a moment."""
    while True:
        started = await player.bet(STAKE)
        assert started["type"] == "round_started", started
        if await player.wait_for_multiplier(103):
            return started


@pytest.mark.parametrize("number", [1, 2])
async def test_a_flight_goes_on_at_the_other_worker(house, number):
    for _ in range(30):
        session = house.operator.session()
        async with house.playing_at(number, session) as left:
            started = await flight(left)
        async with house.playing_at(other(number), session) as player:
            shown = player.welcome["round"]
            if shown is None or await player.receive_tick() is None:
                continue  # it crashed on the way
            assert (shown["round_id"], shown["started_at"]) == (started["round_id"], started["started_at"])
            assert player.ticks[0][0] > left.ticks[-1][0], "it goes on, it does not begin again"
            await player.send("cashout", round_id=started["round_id"])
            ended = await player.until("round_ended")
        if ended["result"] != "cashout":
            continue
        told = await trio.to_thread.run_sync(finished_round, house.operator, started["round_id"])
        assert told["payout_minor"] == ended["payout_minor"] > STAKE
        assert len(house.wallet.calls_of(f"bet-{started['round_id']}")) == 1
        assert len(house.wallet.calls_of(f"win-{started['round_id']}")) == 1
        return
    raise AssertionError("no flight lasted long enough")


class Traveller:
    """A player who goes to the other worker in the middle of every round, and cashes out there if it still flies."""

    def __init__(self, house, number):
        self.house = house
        self.session = house.operator.session()
        self.at = 1 + number % 2
        self.auto_cashout = (1.02, 1.2, 1.6, None)[number % 4]
        self.moves = Counter()

    async def play(self, rounds):
        for _ in range(rounds):
            async with self.house.playing_at(self.at, self.session) as player:
                started = await player.bet(STAKE, **({"auto_cashout": self.auto_cashout} if self.auto_cashout else {}))
                assert started["type"] == "round_started", started
                await player.wait_for_multiplier(104)
            self.at = other(self.at)
            async with self.house.playing_at(self.at, self.session) as player:
                await self.land(player, started)

    async def land(self, player, started):
        shown = player.welcome["round"]
        if shown is None:
            assert player.welcome["history"][0]["round_id"] == started["round_id"]
            self.moves["landed before"] += 1
            return
        assert shown["round_id"] == started["round_id"]
        self.moves["in flight", self.at] += 1
        if self.auto_cashout is None and await player.wait_for_multiplier(120):
            await player.send("cashout", round_id=started["round_id"])
        if player.round is not None:
            frame = await player.until("round_ended", "error")
            assert frame["type"] == "round_ended" or frame["code"] in ("too_late", "no_such_round"), frame


async def test_a_crowd_travels_and_the_books_balance(house):
    travellers = [await trio.to_thread.run_sync(Traveller, house, number) for number in range(SESSIONS)]
    async with trio.open_nursery() as nursery:
        for traveller in travellers:
            nursery.start_soon(traveller.play, ROUNDS)
    moves = sum((traveller.moves for traveller in travellers), Counter())
    assert min(moves["in flight", number] for number in (1, 2)) >= SESSIONS // 5, moves
    told = await trio.to_thread.run_sync(audit_house, house)
    mine = {traveller.session.session_id for traveller in travellers}
    rounds = [one for one in told.values() if one["session_id"] in mine]
    assert Counter(one["status"] for one in rounds) == {"settled": SESSIONS * ROUNDS}
    for round_id in told:
        for kind in ("bet", "win"):
            assert len(house.wallet.calls_of(f"{kind}-{round_id}")) <= 1, "nobody asks twice who was answered"
