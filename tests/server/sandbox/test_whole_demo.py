"""The demo as a person runs it: one command, real processes, a round that is played, Ctrl-C, and once more."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import trio
from trio_websocket import open_websocket_url

from tests.helpers.server_process import free_ports

ROOT = Path(__file__).parents[3]
START_S_MAX = 60
STOP_S_MAX = 60


class Demo:
    """``getaway demo`` in a process group of its own, as a terminal would start it."""

    def __init__(self, environ, ports):
        self.server_port, self.lobby_port, _ = ports
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "server.cli", "demo", "--lobby-port", str(self.lobby_port)],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip("\n"))

    def wait_for_line(self, part, within_s=START_S_MAX):
        give_up_at = time.monotonic() + within_s
        while not any(part in line for line in self.lines):
            assert self.process.poll() is None and time.monotonic() < give_up_at, "\n".join(self.lines)
            time.sleep(0.02)

    def press_ctrl_c(self):
        os.killpg(self.process.pid, signal.SIGINT)
        status = self.process.wait(STOP_S_MAX)
        self._reader.join(5)
        return status

    def ask(self, method, path, document=None, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.lobby_port, timeout=20)
        origin = f"http://127.0.0.1:{self.lobby_port}"
        headers = {"Content-Type": "application/json", "Origin": origin} if method == "POST" else {}
        connection.request(method, path, json.dumps(document) if document is not None else None, headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert response.status == 200, (response.status, body)
        return response, body

    def balance_minor(self):
        return json.loads(self.ask("GET", "/api/balance?player=ada")[1])["balance_minor"]

    def launch(self):
        return json.loads(self.ask("POST", "/api/launch", {"player": "ada", "currency": "USD"})[1])["launch_url"]


@pytest.fixture
def demo(tmp_path):
    """Starts demos on the same ports and data, one after the other."""
    ports = free_ports(3)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GETAWAY_")} | {
        "GETAWAY_SERVER_PORT": str(ports[0]),
        "GETAWAY_SERVER_METRICS_PORT": str(ports[2]),
        "GETAWAY_DATABASE_DATA_DIR": str(tmp_path / "data"),
        "GETAWAY_GAME_GROWTH_RATE_PER_MS": "0.001",
    }

    @contextmanager
    def start():
        running = Demo(environ, ports)
        try:
            running.wait_for_line("Ctrl-C ends the demo")
            yield running
        finally:
            if running.process.poll() is None:
                running.press_ctrl_c()

    return start


async def play_one_round(launch_url):
    """Bet 10.00 with an automatic cash-out at 1.01; the frame of the round's end."""
    url = urlsplit(launch_url)
    (token,) = parse_qs(url.query)["session"]
    with trio.fail_after(30):
        async with open_websocket_url(f"ws://{url.netloc}/stream") as stream:
            await stream.send_message(json.dumps({"type": "hello", "session": token}))
            while (frame := json.loads(await stream.get_message()))["type"] != "round_ended":
                assert frame["type"] not in {"error", "session_ended"}, frame
                if frame["type"] == "welcome":
                    await stream.send_message(json.dumps({"type": "bet", "amount_minor": 1000, "auto_cashout": 1.01}))
            return frame


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_round_is_played_and_the_money_outlives_the_demo(demo):
    with demo() as first:
        lobby, page = first.ask("GET", "/?player=ada")
        assert b'id="game"' in page
        assert f"frame-src http://127.0.0.1:{first.server_port};" in lobby.headers["Content-Security-Policy"]
        launch_url = first.launch()
        assert launch_url.startswith(f"http://127.0.0.1:{first.server_port}/play?session=")
        game, _ = first.ask("GET", launch_url.partition(str(first.server_port))[2], port=first.server_port)
        assert f"http://127.0.0.1:{first.lobby_port}" in game.headers["Content-Security-Policy"]

        ended = trio.run(play_one_round, launch_url)
        assert ended["status"] == "settled"
        # What the player was told is what the operator's wallet did, in its own process.
        first.wait_for_line("-10.00 USD", 5)
        if ended["payout_minor"]:
            first.wait_for_line("+10.10 USD", 5)
        expected_minor = 500_000 - 1_000 + ended["payout_minor"]
        assert first.balance_minor() == expected_minor
        assert first.press_ctrl_c() == 0
        assert is_free(first.server_port)
        assert is_free(first.lobby_port)
        assert not any("killed" in line for line in first.lines)

    with demo() as second:
        assert second.balance_minor() == expected_minor
        assert second.launch() != launch_url
        assert second.press_ctrl_c() == 0
