"""History is large: one answer at a time, and none while the one before has not been read."""

import json

import trio
import trio.testing

from actors.kit.fair_queue import QueueFullError
from actors.ports.ledger import LedgerUnavailableError
from actors.shared.services import READS_AT_ONCE
from tests.helpers.game import Player, open_game


async def test_history_is_refused_while_an_answer_is_unread(autojump_clock):
    async with open_game() as game:
        player = await game.enter(await game.launch(150))
        player.is_behind = True
        player.say("history", id="second")
        refusal = await player.until("error")
        assert (refusal["code"], refusal["id"]) == ("rate_limited", "second")
        player.is_behind = False
        player.say("history", id="third")
        assert (await player.until("history"))["id"] == "third"


async def test_a_history_that_could_not_be_read_is_no_reading_that_never_ends(autojump_clock):
    async with open_game() as game:
        player, read = await game.enter(await game.launch(150)), game.ledger.history
        for failure, code in ((LedgerUnavailableError(), "wallet_unavailable"), (QueueFullError(), "rate_limited")):

            async def fails(*_, failure=failure):
                raise failure

            game.ledger.history = fails
            player.say("history", id="fails")
            refusal = await player.until("error")
            assert (refusal["code"], refusal["id"]) == (code, "fails")
            game.ledger.history = read
            player.say("history", id="works")
            assert (await player.until("history"))["id"] == "works"


async def hello(game, token, **fields):
    player = Player(game.clock)
    said = {"type": "hello", "session": token, **fields}
    player.door = await game.node.lobby.enter(json.dumps(said).encode(), player)
    return player


async def test_a_welcome_has_as_much_history_as_the_page_wants(autojump_clock):
    async with open_game() as game:
        token = await game.launch(100, 100, 100)
        player = await game.enter(token)
        for _ in range(3):
            player.say("bet", amount_minor=100)
            await player.until("round_ended")
        for wish, count in ((True, 3), (2, 2), (1, 1), (20, 3)):
            welcome = await (await hello(game, token, history=wish)).until("welcome")
            assert [entry["nonce"] for entry in welcome["history"]] == [3, 2, 1][:count]
        for wish in (False, 0):
            welcome = await (await hello(game, token, history=wish)).until("welcome")
            assert "history" not in welcome


async def test_a_hello_whose_history_is_no_number_is_refused_in_words(autojump_clock):
    async with open_game() as game:
        token = await game.launch(100)
        for wish in ("20", 21, -1, 1.5, []):
            player = await hello(game, token, history=wish)
            refusal = await player.until("error")
            assert refusal["code"] == "unauthorized" and "history" in refusal["message"]


async def test_only_so_many_histories_are_read_at_once(autojump_clock):
    async with open_game() as game:
        reads, asked = game.ledger.history, []

        async def slow(operator_id, player_id, before, limit):
            asked.append(limit)
            await trio.sleep(0.01)
            return await reads(operator_id, player_id, before, limit)

        players = [await game.play(150) for _ in range(12)]
        game.ledger.history = slow
        for player in players:
            player.say("history", limit=5)
        await trio.testing.wait_all_tasks_blocked()
        assert len(asked) == READS_AT_ONCE, "the rest waits"
        for player in players:
            await player.until("history")
        assert len(asked) == 12
