"""The streaming row's server plays: a row that measures a server at a standstill would say nothing."""

import json
import sys

import trio
from trio_websocket import open_websocket_url

from tests.bench.streaming import TICK_MS
from tests.bench.yardsticks import free_port, running


async def until(socket, kind: str) -> dict:
    while True:
        frame = json.loads(await socket.get_message())
        if frame["type"] == kind:
            return frame
        assert frame["type"] != "error", frame


async def test_a_player_of_it_gets_ticks(tmp_path):
    port, tokens = free_port(), tmp_path / "tokens"
    command = [str(word) for word in (sys.executable, "-m", "tests.bench.streaming_server", port, 1, tokens, TICK_MS)]
    with running(command, port), trio.fail_after(30):
        async with open_websocket_url(f"ws://127.0.0.1:{port}/stream") as socket:
            await socket.send_message(json.dumps({"type": "hello", "session": tokens.read_text().strip()}))
            await until(socket, "welcome")
            await socket.send_message(json.dumps({"type": "bet", "amount_minor": 100}))
            await until(socket, "round_started")
            assert await until(socket, "tick")
