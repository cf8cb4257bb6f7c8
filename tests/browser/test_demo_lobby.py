"""The whole demo, as a person meets it: the lobby of the demo operator with the real game in its frame."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from tests.helpers.server_process import free_ports

ROOT = Path(__file__).resolve().parents[2]
START_S_MAX = 60
STOP_S_MAX = 60
ROUND_MS_MAX = 60_000


def wait_for_address(url: str, process: subprocess.Popen, log: Path) -> None:
    """Until the demo prints where to go: then everything answers."""
    give_up_at = time.monotonic() + START_S_MAX
    while time.monotonic() < give_up_at:
        text = log.read_text()
        if f"The lobby:  {url}" in text:
            return
        assert process.poll() is None, f"the demo has ended:\n{text[-4000:]}"
        time.sleep(0.05)
    pytest.fail(f"the demo printed no address:\n{log.read_text()[-4000:]}")


@pytest.fixture
def lobby_url(browser, tmp_path) -> Iterator[str]:
    """A demo of its own: fresh data, free ports, ended with the test."""
    lobby_port, server_port, metrics_port = free_ports(3)
    environment = os.environ | {
        "GETAWAY_SERVER_PORT": str(server_port),
        "GETAWAY_SERVER_METRICS_PORT": str(metrics_port),
        "GETAWAY_GAME_GROWTH_RATE_PER_MS": "0.0003",
        "GETAWAY_DATABASE_DATA_DIR": str(tmp_path / "data"),
    }
    log = tmp_path / "demo.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "server.cli", "demo", "--lobby-port", str(lobby_port)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{lobby_port}/"
        wait_for_address(url, process, log)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)


def expect_same_balance(page: Page, game: FrameLocator) -> None:
    """The lobby asks its own wallet; the game knows what the wallet has acknowledged."""
    expect(game.locator("#pending")).to_be_hidden(timeout=15_000)
    shown = game.locator("#balance").inner_text()
    pattern = re.compile(r"\D*".join(digits(shown)) + r"\D*$")
    expect(page.locator("#balance")).to_have_text(pattern, timeout=15_000)


def bet(page: Page, game: FrameLocator, stake: str, auto_cashout: str) -> None:
    expect(game.locator("#action")).to_have_attribute("data-state", "bet", timeout=15_000)
    game.locator("#stake").fill(stake)
    game.locator("#auto-cashout").fill(auto_cashout)
    page.wait_for_timeout(450)
    game.locator("#action").click()


def wait_for_end(game: FrameLocator, rounds: int) -> None:
    expect(game.locator("#history [data-round-id]")).to_have_count(rounds, timeout=ROUND_MS_MAX)
    expect(game.locator("#stage")).to_have_attribute("data-scene", re.compile("won|lost"))


def test_a_player_plays_in_the_lobby(lobby_url, page):  # in this order: the page goes before what it talks to
    page.goto(lobby_url)
    game = page.frame_locator("#game")
    expect(game.locator("#action")).to_have_attribute("data-state", "bet", timeout=15_000)
    expect_same_balance(page, game)
    before = digits(game.locator("#balance").inner_text())
    commitment = game.locator("#commitment").inner_text()

    bet(page, game, "10", "1.20")
    wait_for_end(game, 1)
    expect_same_balance(page, game)
    assert digits(game.locator("#balance").inner_text()) != before
    assert game.locator("#commitment").inner_text() != commitment

    # The automatic cash-out only bounds the wait, should the press come before the lowest cash-out.
    bet(page, game, "10", "3")
    page.wait_for_timeout(700)
    expect(game.locator("#action")).to_have_attribute("data-state", re.compile("flying|bet"), timeout=15_000)
    if game.locator("#action").get_attribute("data-state") == "flying":
        game.locator("#action").click()
    wait_for_end(game, 2)
    expect_same_balance(page, game)

    # The first round is the older one; its commitment is the hash that stood there before the bet.
    game.locator("#history [data-round-id] button").last.click()
    expect(game.locator("[data-fact=server-seed-hash]")).to_have_text(commitment)
    expect(game.locator("#sheet-checks .ok")).to_have_count(3)
    page.keyboard.press("Escape")

    # A lobby that is loaded again goes on with its session, whose client seed is nobody else's.
    seed = game.locator("#client-seed").input_value()
    before = page.locator("#balance").inner_text()
    bet(page, game, "10", "3")
    expect(page.locator("#balance")).not_to_have_text(before, timeout=15_000)
    page.reload()
    expect(game.locator("#history [data-round-id]")).to_have_count(3, timeout=ROUND_MS_MAX)
    expect(game.locator("#client-seed")).to_have_value(seed)
