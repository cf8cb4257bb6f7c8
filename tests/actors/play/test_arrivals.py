"""Who comes just as a session ends is welcomed all the same, or told to come again; never left without a word."""

import json
from collections import deque

import trio

from actors.facts.records import CallKind
from actors.ports.wallet import Unclear
from actors.shared.messages import Attach, Leave
from tests.helpers.game import Player, open_game

CHECK_S = 9


async def arrive(game, token):
    player = Player(game.clock)
    player.door = await game.node.lobby.enter(json.dumps({"type": "hello", "session": token}).encode(), player)
    return player


def slow_checks(game):
    """What a session looks up of its payments takes so long."""
    look_up = game.ledger.outbox_of

    async def outbox_of(*key):
        if trio.lowlevel.current_task().name == "session":
            await trio.sleep(CHECK_S)
        return await look_up(*key)

    game.ledger.outbox_of = outbox_of


async def won_and_gone(game):
    """A session whose win the wallet does not take, and whose player has left."""
    token = await game.launch(300)
    player = await arrive(game, token)
    await player.until("welcome")
    game.wallet.script[CallKind.WIN] = deque(Unclear("no") for _ in range(1000))
    player.say("bet", amount_minor=1_000, auto_cashout=1.2)
    await player.until("round_ended")
    await trio.sleep(1)
    player.door.leave()
    return token


async def test_who_comes_while_the_session_that_lingered_looks_something_up(autojump_clock):
    for after_s in range(24, 34):
        async with open_game() as game:
            token = await won_and_gone(game)
            slow_checks(game)
            await trio.sleep(after_s)
            with trio.fail_after(60):
                await (await arrive(game, token)).until("welcome")


async def test_who_is_in_the_mail_when_a_session_ends_is_told_to_come_again(autojump_clock):
    """Here it goes to another node, which a new hello finds."""
    async with open_game() as game:
        token = await game.launch(300)
        first = await arrive(game, token)
        await first.until("welcome")
        session = next(iter(game.node.lobby._sessions._actors.values()))
        second = Player(game.clock)
        session.tell(Leave())
        session.tell(Attach(second, [], None))
        assert (await second.until("session_ended"))["reason"] == "shutdown"
        assert second.closed
