"""A round over a real socket, with the real actors on the twins behind it."""

import json
from decimal import Decimal
from functools import partial
from itertools import pairwise

import pytest
import trio
from wsproto.frame_protocol import Opcode

from actors.shared.game_settings import GameSettings
from server.edge.listen.listener import listen, serve_edge
from server.edge.player.player_stream import text_frame
from tests.helpers.edge_fakes import CountingObserver, SecurityRecord, World, settings, small_app
from tests.helpers.game import LIMITS, open_game

FAST = GameSettings(bet_limits={"USD": LIMITS}, growth_rate_per_ms=Decimal("0.002"), tick_ms=20)


async def answer(client, kind):
    """The next frame of a kind, and the ticks before it."""
    ticks = []
    while True:
        opcode, text = await client.frame()
        assert opcode is Opcode.TEXT, text
        frame = json.loads(text)
        if frame["type"] == kind:
            return frame, ticks
        if frame["type"] == "tick":
            ticks.append(frame)


@pytest.fixture
async def game():
    async with open_game(settings=FAST, framed=text_frame) as game, trio.open_nursery() as nursery:
        serve = partial(serve_edge, await listen(settings()), small_app, lobby=game.node.lobby, clock=game.clock)
        edge = await nursery.start(serve)
        world = World(edge, game.node.lobby, CountingObserver(), game.clock, SecurityRecord())
        try:
            yield game, world
        finally:
            nursery.cancel_scope.cancel()
            for client in world.sockets:
                client.close()


async def say(client, kind, **fields):
    await client.say(json.dumps({"type": kind, **fields}))


async def test_a_round_with_ticks_to_the_crash(game):
    game, world = game
    token = await game.launch(150)
    client = await world.player(hello=False)
    await say(client, "hello", session=token)
    await answer(client, "welcome")
    await say(client, "bet", amount_minor=100)
    await answer(client, "round_started")
    ended, ticks = await answer(client, "round_ended")
    assert ended["result"] == "crash"
    assert ticks and all(earlier["e"] < later["e"] for earlier, later in pairwise(ticks))


async def test_a_newer_socket_replaces_an_older_one(game):
    game, world = game
    token = await game.launch(150)
    older, newer = [await world.player(hello=False) for _ in range(2)]
    await say(older, "hello", session=token)
    await answer(older, "welcome")
    await say(newer, "hello", session=token)
    await answer(newer, "welcome")
    texts, code = await older.until_close()
    assert json.loads(texts[-1]) == {"type": "session_ended", "reason": "replaced"} and code == 1000


async def test_an_unknown_session(game):
    _, world = game
    client = await world.player(hello=False)
    await say(client, "hello", session="unknown")
    texts, code = await client.until_close()
    assert json.loads(texts[0])["code"] == "unauthorized" and code == 1000


async def test_a_drain_tells_and_closes_the_players(game):
    game, world = game
    client = await world.player(hello=False)
    await say(client, "hello", session=await game.launch(150))
    await answer(client, "welcome")
    await game.node.drain()
    texts, code = await client.until_close()
    assert json.loads(texts[-1])["reason"] == "shutdown" and code == 1000
