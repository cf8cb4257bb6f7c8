"""What happens often leaves no cycles of references behind, so the server need not stop to look for garbage."""

import gc
import json
import logging
from contextlib import contextmanager
from functools import partial

import trio

from server.edge.listen.listener import listen, serve_edge
from server.edge.player.player_stream import text_frame
from server.process import garbage
from tests.helpers.edge_fakes import Client, settings, small_app, until, upgrade_request
from tests.helpers.game import open_game

OURS = ("server.", "actors.", "hypercorn.", "trio_websocket.", "wsproto.", "h11.")
CROWD = 3


@contextmanager
def found(kinds: list[str]):
    """Fills the list with the types of what became garbage in the block and was held by cycles."""
    gc.collect()
    gc.disable()
    try:
        yield
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        names = [f"{type(item).__module__}.{type(item).__qualname__}" for item in gc.garbage]
        kinds.extend(name for name in names if name.startswith(OURS))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def play_a_round(client: Client) -> None:
    await client.send(1, json.dumps({"type": "bet", "id": "b", "amount_minor": 100, "auto_cashout": 1.01}).encode())
    kind = None
    while kind != "round_ended":
        opcode, payload = await client.frame()
        kind = json.loads(payload)["type"] if opcode == 1 else None


async def enter(port: int, token: str) -> Client:
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    await stream.send_all(upgrade_request())
    client = Client(stream)
    await client.shake_hands()
    await client.send(1, json.dumps({"type": "hello", "session": token}).encode())
    assert json.loads((await client.frame())[1])["type"] == "welcome"
    return client


async def a_request(port: int) -> None:
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    await stream.send_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert b"200" in await stream.receive_some(16)
    while await stream.receive_some(65_536):
        pass
    await stream.aclose()


async def test_requests_sessions_and_rounds_leave_no_cycles():
    async with open_game(framed=text_frame) as game, trio.open_nursery() as nursery:
        serve = partial(serve_edge, await listen(settings()), small_app, lobby=game.node.lobby, clock=game.clock)
        edge = await nursery.start(serve)

        async def pass_by() -> None:
            """Players who come, play and leave, half of them without a goodbye; and requests."""
            for number in range(CROWD):
                client = await enter(edge.port, await game.launch(150))
                await play_a_round(client)
                if number % 2:
                    await client.send(8, b"\x03\xe8")
                    while await client.frame() is not None:
                        pass
                await client.stream.aclose()
                await a_request(edge.port)
            await until(lambda: edge.connections_open == 0)

        await pass_by()  # What is made at the first time stays.
        kinds: list[str] = []
        with found(kinds):
            await pass_by()
        assert kinds == []
        nursery.cancel_scope.cancel()


async def collections_within(seconds, monkeypatch, rounds_live):
    """When everything was looked through, in seconds from the start."""
    times = []
    monkeypatch.setattr(garbage.gc, "collect", lambda: times.append(trio.current_time()) or 7)
    started_at = trio.current_time()
    with trio.move_on_after(seconds):
        await garbage.collect_garbage(rounds_live)
    return [round(at - started_at) for at in times]


async def test_garbage_is_looked_for_hourly_when_nobody_flies(autojump_clock, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    assert await collections_within(8_000, monkeypatch, lambda: 0) == [3_600, 7_200]
    assert [record.objects for record in caplog.records] == [7, 7]


async def test_a_moment_without_rounds_is_waited_for(autojump_clock, monkeypatch):
    def busy():
        return 1 if trio.current_time() < 5_000 else 0

    times = await collections_within(8_000, monkeypatch, busy)
    assert len(times) == 1
    assert 5_000 - times[0] < garbage.CHECK_S


async def test_after_a_busy_day_garbage_is_looked_for_anyway(autojump_clock, monkeypatch):
    assert await collections_within(100_000, monkeypatch, lambda: 5) == [86_400]
