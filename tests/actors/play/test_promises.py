"""A promise is kept by whoever made it, or discarded and revealed: each opening of a session draws a new seed."""

import pytest
import trio

from actors.facts.records import CallKind
from actors.facts.transitions import EndRound, PlaceBet
from actors.play.round import RoundActor
from actors.ports.ledger import LedgerUnavailableError
from actors.rules import fairness
from actors.shared.addresses import Addresses
from actors.shared.messages import BetStored
from tests.helpers.game import CLIENT_SEED, OPERATOR_ID, Player, open_game


def is_discarded(welcome: dict, promised: dict) -> bool:
    """Whether the welcome reveals exactly this promise, and makes another one for the same round."""
    told = welcome["discarded"]
    assert told.keys() == {"server_seed", "server_seed_hash", "nonce"}
    assert fairness.commitment(told["server_seed"]) == told["server_seed_hash"]
    assert welcome["next"]["server_seed_hash"] != told["server_seed_hash"]
    return (told["server_seed_hash"], told["nonce"]) == (promised["server_seed_hash"], promised["nonce"])


async def welcomed(game, token) -> tuple[Player, dict]:
    player = await game.enter(token)
    return player, await player.until("welcome")


async def test_a_seed_that_comes_with_the_news_of_a_stored_bet_changes_no_promise(autojump_clock, monkeypatch):
    """The bet is stored, and its session has not read so yet: what is promised to it must not be shown anew."""
    tell = Addresses.tell_session

    def just_behind(addresses, session_id, news):
        if isinstance(news, BetStored):
            player.say("client_seed", value="too-soon")
        tell(addresses, session_id, news)

    async with open_game() as game:
        player = await game.play(150)
        monkeypatch.setattr(Addresses, "tell_session", just_behind)
        promised = player.frames[-1]["next"]
        player.say("bet", amount_minor=1_000)
        assert (await player.until("error"))["code"] == "round_in_progress"
        started = await player.until("round_started")
        assert [frame for frame in player.frames if frame["type"] == "client_seed"] == []
        assert {name: started[name] for name in promised} == promised
        ended = await player.until("round_ended")
        assert (ended["next"]["client_seed"], ended["next"]["nonce"]) == (CLIENT_SEED, 2)


async def test_the_first_opening_discards_nothing_that_anybody_saw(autojump_clock):
    async with open_game() as game:
        token = await game.launch()
        (stored,) = game.ledger.sessions.values()
        at_the_launch = stored.record.next
        _, welcome = await welcomed(game, token)
        assert "discarded" not in welcome
        assert welcome["next"]["server_seed_hash"] != at_the_launch.server_seed_hash
        assert (welcome["next"]["nonce"], welcome["next"]["client_seed"]) == (1, CLIENT_SEED)


async def test_a_socket_that_comes_back_to_an_open_session_finds_the_same_promise(autojump_clock):
    async with open_game() as game:
        token = await game.launch()
        player, first = await welcomed(game, token)
        player.door.leave()
        await trio.sleep(5)
        _, again = await welcomed(game, token)
        assert again["next"] == first["next"]
        assert "discarded" not in again


async def test_a_session_that_left_memory_promises_anew_and_reveals_what_it_promised(autojump_clock):
    async with open_game() as game:
        token = await game.launch()
        player, first = await welcomed(game, token)
        player.say("client_seed", value="mine")
        await player.until("client_seed")
        player.door.leave()
        await trio.sleep(120)
        assert game.node.lobby.sessions_open == 0
        back, again = await welcomed(game, token)
        assert is_discarded(again, first["next"])
        assert again["next"]["client_seed"] == "mine", "the player's own choice stays"
        back.say("bet", amount_minor=1_000, auto_cashout=1.01)
        ended = await back.until("round_ended")
        assert ended["server_seed_hash"] == again["next"]["server_seed_hash"]
        assert ended["nonce"] == first["next"]["nonce"]


async def test_the_promise_beside_a_flight_is_discarded_by_a_new_opening_and_the_flight_is_not(autojump_clock):
    async with open_game() as game, open_game(beside=game, name="node-b") as other:
        await trio.sleep(1.1)
        token = await game.launch(300)
        player, first = await welcomed(game, token)
        player.say("bet", amount_minor=1_000)
        started = await player.until("round_started")
        beside = (await (await game.enter(token)).until("welcome"))["next"]
        assert (beside["nonce"], started["server_seed_hash"]) == (2, first["next"]["server_seed_hash"])
        there, welcome = await welcomed(other, token)
        assert welcome["round"]["server_seed_hash"] == started["server_seed_hash"]
        assert is_discarded(welcome, beside)
        await trio.sleep(2)
        there.say("cashout", round_id=started["round_id"])
        ended = await there.until("round_ended")
        assert ended["result"] == "cashout"
        assert ended["next"] == welcome["next"]


async def test_the_flight_of_a_dead_node_costs_one_promise_and_reveals_the_one_that_was_shown(autojump_clock):
    """Ending what is stored takes several looks, each of which draws."""
    async with open_game() as game:
        token = await game.launch(300)
        player, _ = await welcomed(game, token)
        player.say("bet", amount_minor=1_000)
        await player.until("round_started")
        shown = (await (await game.enter(token)).until("welcome"))["next"]
        survivor = game.ledger.copy_at_death()
        async with open_game(ledger=survivor, clock=game.clock) as reborn:
            _, welcome = await welcomed(reborn, token)
            assert welcome["history"][0]["status"] == "refunded"
            assert is_discarded(welcome, shown)


@pytest.mark.logs_errors("an actor failed (session, AssertionError)")
async def test_after_a_failed_actor_the_flight_is_followed_by_what_was_promised_last(autojump_clock):
    async with open_game() as game:
        token = await game.launch(300)
        player, _ = await welcomed(game, token)
        player.say("bet", amount_minor=1_000)
        started = await player.until("round_started")
        for session in game.node.lobby._sessions._actors.values():
            session.tell("not a message")
        await player.until_closed()
        back, welcome = await welcomed(game, token)
        back.say("cashout", round_id=started["round_id"])
        assert (await back.until("round_ended"))["next"] == welcome["next"]
        back.say("bet", amount_minor=1_000, auto_cashout=1.01)
        assert (await back.until("round_ended"))["server_seed_hash"] == welcome["next"]["server_seed_hash"]


@pytest.mark.logs_errors("an actor failed (session, AssertionError)")
async def test_a_bet_that_was_stored_when_the_session_was_opened_again_is_followed_by_what_is_promised_now(
    autojump_clock,
):
    """What was promised with it is discarded, and the news of its storing comes after that."""
    async with open_game() as game:
        token = await game.launch(300)
        player, _ = await welcomed(game, token)
        commit, gate = game.ledger.commit, trio.Event()

        async def answer_late(transitions):
            answers = await commit(transitions)
            if isinstance(transitions[0], PlaceBet):
                await gate.wait()
            return answers

        game.ledger.commit = answer_late
        player.say("bet", amount_minor=1_000, auto_cashout=1.01)
        await trio.sleep(0.1)
        for session in game.node.lobby._sessions._actors.values():
            session.tell("not a message")
        await player.until_closed()
        back, welcome = await welcomed(game, token)
        assert (welcome["next"]["nonce"], welcome["discarded"]["nonce"]) == (2, 2)
        gate.set()
        await back.until("bet_pending")
        back.say("client_seed", value="mine")
        assert (await back.until("client_seed"))["next"] == welcome["next"] | {"client_seed": "mine"}


@pytest.mark.logs_errors("an actor failed (round, RuntimeError)")
async def test_a_round_that_fails_before_its_session_has_heard_of_it_is_promised_no_more(autojump_clock, monkeypatch):
    """It is ended from what is stored, and its seed revealed with that."""
    report = RoundActor._report

    def fail_once_stored(actor, news):
        if isinstance(news, BetStored):
            raise RuntimeError("lost")
        report(actor, news)

    monkeypatch.setattr(RoundActor, "_report", fail_once_stored)
    async with open_game() as game:
        player = await game.play(300)
        player.say("bet", amount_minor=1_000)
        ended = await player.until("round_ended")
        assert (ended["status"], ended["next"]["nonce"]) == ("void", 2)
        assert ended["next"]["server_seed_hash"] != ended["server_seed_hash"]


async def test_no_client_seed_is_promised_while_a_bet_is_taken_back(autojump_clock):
    async with open_game() as game:
        player = await game.play(300)
        game.ledger.loses = (PlaceBet, EndRound)
        player.say("bet", amount_minor=1_000)
        assert (await player.until("error"))["code"] == "wallet_unavailable"
        player.say("client_seed", value="mine")
        assert (await player.until("error"))["code"] == "round_in_progress"


@pytest.mark.logs_errors("an actor failed (session, AssertionError)")
async def test_a_bet_that_was_on_its_way_when_the_session_was_opened_again_is_refused(autojump_clock):
    async with open_game() as game:
        token = await game.launch(300)
        player, first = await welcomed(game, token)
        commit, gate = game.ledger.commit, trio.Event()

        async def commit_late(transitions):
            if isinstance(transitions[0], PlaceBet):
                await gate.wait()
            return await commit(transitions)

        game.ledger.commit = commit_late
        player.say("bet", amount_minor=1_000)
        await trio.sleep(0.1)
        for session in game.node.lobby._sessions._actors.values():
            session.tell("not a message")
        await player.until_closed()
        back, welcome = await welcomed(game, token)
        assert is_discarded(welcome, first["next"])
        gate.set()
        assert (await back.until("error"))["code"] == "wallet_unavailable"
        assert game.ledger.rounds == {} and game.wallet.calls == []
        back.say("bet", amount_minor=1_000, auto_cashout=1.01)
        assert (await back.until("round_ended"))["server_seed_hash"] == welcome["next"]["server_seed_hash"]


async def test_a_promise_whose_bet_may_still_be_stored_is_never_shown_again(autojump_clock):
    async with open_game() as game:
        token = await game.launch(300)
        player, first = await welcomed(game, token)
        commit, late = game.ledger.commit, []

        async def commit_lost(transitions):
            if isinstance(transitions[0], PlaceBet) and not late:
                late.extend(transitions)
                raise LedgerUnavailableError("as told")
            return await commit(transitions)

        game.ledger.commit = commit_lost
        player.say("bet", amount_minor=1_000)
        assert (await player.until("session_ended"))["reason"] == "shutdown"
        _, again = await welcomed(game, token)
        assert is_discarded(again, first["next"])
        await commit(late)
        assert game.ledger.rounds == {}, "what was promised since then refuses it"


async def test_a_bet_that_is_taken_back_is_not_promised_again_while_its_end_is_on_the_way(autojump_clock):
    async with open_game() as game:
        token = await game.launch(300)
        player, first = await welcomed(game, token)
        commit = game.ledger.commit

        async def commit_slowly(transitions):
            answers = await commit(transitions)
            if isinstance(transitions[0], PlaceBet):
                raise LedgerUnavailableError("as told")
            await trio.sleep(1)
            return answers

        game.ledger.commit = commit_slowly
        player.say("bet", amount_minor=1_000)
        await player.until("error")
        await trio.sleep(0.5)
        _, welcome = await welcomed(game, token)
        assert welcome["history"][0]["server_seed_hash"] == first["next"]["server_seed_hash"], "revealed already"
        assert welcome["next"]["server_seed_hash"] != first["next"]["server_seed_hash"]


@pytest.mark.parametrize("kind", [PlaceBet, EndRound])
async def test_no_answer_that_is_lost_makes_a_hash_come_twice(autojump_clock, kind):
    async with open_game() as game:
        token, hashes = await game.launch(300, 300, 300), []
        for _ in range(6):
            player, welcome = await welcomed(game, token)
            hashes.append(welcome["next"]["server_seed_hash"])
            game.ledger.lose_answer_once = True
            player.say("bet", amount_minor=10, auto_cashout=1.01)
            await trio.sleep(20)
            player.door.leave()
            await trio.sleep(60)
        assert len(set(hashes)) == len(hashes)
        revealed = [past.server_seed_hash for past in (await game.ledger.history(OPERATOR_ID, "player-42", None, 9))[0]]
        assert set(revealed) <= set(hashes)
        assert len(game.wallet.sent(CallKind.BET)) <= len(revealed)
