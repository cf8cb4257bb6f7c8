"""History is large: one answer at a time, and none while the one before has not been read."""

from tests.helpers.game import open_game


async def test_history_is_refused_while_an_answer_is_unread():
    async with open_game() as game:
        player = await game.enter(await game.launch(150))
        player.is_behind = True
        player.say("history", id="second")
        refusal = await player.until("error")
        assert (refusal["code"], refusal["id"]) == ("rate_limited", "second")
        player.is_behind = False
        player.say("history", id="third")
        assert (await player.until("history"))["id"] == "third"
