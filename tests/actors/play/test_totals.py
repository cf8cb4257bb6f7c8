"""What a player has staked and been paid in a session: right in every welcome and after every round, at any node."""

import pytest
import trio

from actors.facts.records import CallKind
from actors.ports.wallet import Declined, Unclear
from tests.helpers.game import NOON_MS, open_game, seed_that_crashes_at

NOTHING = {"rounds": 0, "staked_minor": 0, "paid_minor": 0}
WON_ONCE = {"rounds": 1, "staked_minor": 1_000, "paid_minor": 1_500}


def sums(frame):
    """A frame's totals; the session was launched at noon unless the test says otherwise."""
    assert frame["totals"].keys() == {"started_at", *NOTHING}
    return {name: frame["totals"][name] for name in NOTHING}


async def play(player, auto_cashout=1.5, amount_minor=1_000):
    player.say("bet", amount_minor=amount_minor, auto_cashout=auto_cashout)
    return await player.until("round_ended")


async def test_rounds_add_up(autojump_clock):
    async with open_game() as game:
        await trio.sleep(7)
        token = await game.launch(300, 150, 300)
        await trio.sleep(5)
        player = await game.enter(token)
        welcome = await player.until("welcome")
        assert sums(welcome) == NOTHING
        assert welcome["totals"]["started_at"] == NOON_MS + 7_000
        ended = await play(player)
        assert sums(ended) == WON_ONCE
        assert ended["totals"]["started_at"] == NOON_MS + 7_000
        assert sums(await play(player, 2)) == {"rounds": 2, "staked_minor": 2_000, "paid_minor": 1_500}, "a crash"
        assert sums(await play(player, 2, 10)) == {"rounds": 3, "staked_minor": 2_010, "paid_minor": 1_520}
        again = await game.enter(token)
        assert sums(await again.until("welcome")) == {"rounds": 3, "staked_minor": 2_010, "paid_minor": 1_520}


async def test_they_survive_leaving_memory(autojump_clock):
    async with open_game() as game:
        token = await game.launch(300, 300)
        player = await game.enter(token)
        await play(player)
        player.door.leave()
        await trio.sleep(120)
        assert game.node.lobby.sessions_open == 0
        game.entropy.seeds.append(seed_that_crashes_at(300, 2))
        back = await game.enter(token)
        assert sums(await back.until("welcome")) == WON_ONCE
        assert sums(await play(back, 2)) == {"rounds": 2, "staked_minor": 2_000, "paid_minor": 3_500}


async def test_a_new_session_of_the_same_player_begins_with_nothing(autojump_clock):
    async with open_game() as game:
        await play(await game.play(300))
        await trio.sleep(1)
        second = await game.enter(await game.launch())
        welcome = await second.until("welcome")
        assert len(welcome["history"]) == 1
        assert sums(welcome) == NOTHING
        assert welcome["totals"]["started_at"] == welcome["server_time"]


@pytest.mark.parametrize("answer", [Declined("no"), Unclear("what")])
async def test_a_bet_that_was_not_taken_does_not_count(autojump_clock, answer):
    async with open_game() as game:
        token = await game.launch(300, 300)
        player = await game.enter(token)
        game.wallet.script[CallKind.BET].append(answer)
        ended = await play(player)
        assert (ended["status"], sums(ended)) == ("void", NOTHING)
        await trio.sleep(5)
        assert sums(await play(player)) == WON_ONCE
        again = await game.enter(token)
        assert sums(await again.until("welcome")) == WON_ONCE


@pytest.mark.logs_errors("an actor failed (round, AttributeError)")
async def test_a_refunded_round_does_not_count(autojump_clock):
    async with open_game() as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        for actor in game.node.lobby._rounds._actors.values():
            actor.tell("not a message")
        ended = await player.until("round_ended")
        assert (ended["status"], sums(ended)) == ("refunded", NOTHING)


async def test_a_new_process_reads_what_was_settled_before_and_after_the_death(autojump_clock):
    async with open_game() as game:
        token = await game.launch(300, 300)
        player = await game.enter(token)
        await play(player)
        player.say("bet", amount_minor=200, auto_cashout=1.2)
        await player.until("round_started")
        game.ledger.loses_commits = True
        await trio.sleep(10)  # beyond the cash-out, which is not stored
        stored, clock = game.ledger.copy_at_death(), game.clock
    async with open_game(ledger=stored, clock=clock) as second:
        back = await second.enter(token)
        welcome = await back.until("welcome")
        assert [past["status"] for past in welcome["history"]] == ["settled", "settled"]
        assert sums(welcome) == {"rounds": 2, "staked_minor": 1_200, "paid_minor": 1_740}


async def test_a_flight_that_moves_counts_once_at_its_new_node(autojump_clock):
    async with open_game() as first, open_game(beside=first, name="node-b") as second:
        await trio.sleep(1.1)
        token = await first.launch(300, 300, 300)
        left = await first.enter(token)
        await play(left)
        left.say("bet", amount_minor=1_000, auto_cashout=2)
        await left.until("round_started")
        await trio.sleep(1)
        player = await second.enter(token)
        welcome = await player.until("welcome")
        assert (welcome["round"] is not None, sums(welcome)) == (True, WON_ONCE)
        both = {"rounds": 2, "staked_minor": 2_000, "paid_minor": 3_500}
        assert sums(await player.until("round_ended")) == both
        back = await first.enter(token)
        assert sums(await back.until("welcome")) == both
        assert sums(await play(back)) == {"rounds": 3, "staked_minor": 3_000, "paid_minor": 5_000}


async def test_a_round_that_ends_during_its_hand_over_counts_once(autojump_clock):
    """The cash-out before the hand-over decides, and is stored before the session goes."""
    async with open_game() as first, open_game(beside=first, name="node-b") as second:
        await trio.sleep(1.1)
        token = await first.launch(400, 300)
        left = await first.enter(token)
        left.say("bet", amount_minor=1_000)
        started = await left.until("round_started")
        await trio.sleep(3)
        left.say("cashout", round_id=started["round_id"])
        player = await second.enter(token)
        welcome = await player.until("welcome")
        (past,) = welcome["history"]
        paid_minor = past["payout_minor"]
        assert paid_minor > 1_000
        assert sums(welcome) == {"rounds": 1, "staked_minor": 1_000, "paid_minor": paid_minor}
        assert sums(await play(player)) == {"rounds": 2, "staked_minor": 2_000, "paid_minor": paid_minor + 1_500}


@pytest.mark.logs_errors("an actor failed (session, AssertionError)")
async def test_an_end_whose_answer_was_lost_counts_once_for_who_enters_meanwhile(autojump_clock):
    """The new session reads the stored end, and then hears of it from the round, which has just learned of it."""
    async with open_game() as game:
        token = await game.launch(300)
        player = await game.enter(token)
        player.say("bet", amount_minor=1_000, auto_cashout=1.5)
        await player.until("round_started")
        for session in game.node.lobby._sessions._actors.values():
            session.tell("not a message")
        await player.until_closed()
        game.ledger.lose_answer_once = True
        (stored,) = game.ledger.rounds.values()
        while stored.finished is None:
            await trio.sleep(0.001)
        back = await game.enter(token)
        welcome = await back.until("welcome")
        assert sums(welcome) == WON_ONCE
        assert game.node.lobby.rounds_live == 1, "the round has not learned of its end yet"
        assert sums(await back.until("round_ended")) == WON_ONCE
