"""The whole demo, as a person meets it: the lobby of the demo operator with the real game in its frame."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Frame, FrameLocator, Page, Route, expect

from server.sandbox.getaway_client import GetawayClient
from server.sandbox.operator import OperatorServer
from server.sandbox.signatures import Credentials
from server.sandbox.site import OperatorSite
from server.sandbox.wallet_book import WalletBook
from tests.helpers.server_process import free_ports

ROOT = Path(__file__).resolve().parents[2]
START_S_MAX = 60
STOP_S_MAX = 60
ROUND_MS_MAX = 60_000
CREDENTIALS = Credentials("7f5c1d3e-0000-4000-8000-000000000001", "api-key", "hmac-secret")

# A view without ancestorOrigins is a browser that has none: the bridge then waits for a hello, here for the second one.
GAME_PAGE = """<!doctype html><title>The game</title><link rel="icon" href="data:,"><script type="module">
import { Bridge } from "/static/bridge.js";
const [isBlind, frameOrigins] = OPTIONS;
if (isBlind) await new Promise((resolve) => { addEventListener("load", () => setTimeout(resolve, 300)); });
const blind = { parent, location: {}, addEventListener: (...listener) => addEventListener(...listener) };
const tellAll = () => {
  bridge.post("ready", { session_id: "s", currency: "USD", lang: "en" });
  bridge.post("balance", { balance_minor: 400_000, pending_minor: 0, currency: "USD" });
};
globalThis.commands = [];
const bridge = new Bridge({ view: isBlind ? blind : window, frameOrigins, onCommand: (command) => {
  commands.push(command);
  if (command.type === "hello") tellAll();
} });
globalThis.bridge = bridge;
</script>"""


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
    expect(game.locator("#sheet-checks .ok")).to_have_count(5)
    page.keyboard.press("Escape")

    # A lobby that is loaded again goes on with its session. The bet is on the client seed that stood there before it;
    # the page that comes after it shows another one.
    expect(game.locator("#action")).to_have_attribute("data-state", "bet", timeout=15_000)
    seed = game.locator("#client-seed").input_value()
    before = page.locator("#balance").inner_text()
    bet(page, game, "10", "3")
    expect(page.locator("#balance")).not_to_have_text(before, timeout=15_000)
    page.reload()
    expect(game.locator("#history [data-round-id]")).to_have_count(3, timeout=ROUND_MS_MAX)
    expect(game.locator("#client-seed")).not_to_have_value(seed)
    game.locator("#history [data-round-id] button").first.click()
    expect(game.locator("[data-fact=client-seed]")).to_have_text(seed)


class StandInGame:
    """Launches anybody, and serves the page above with the page's own files."""

    def __init__(self) -> None:
        self.launches: list[dict] = []
        self.is_blind = False
        self.frame_origins: list[str] = []
        self.server = http_server(self.answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str, body: bytes) -> tuple[str, bytes]:
        if path.startswith("/static/"):
            return "text/javascript", (ROOT / path[1:]).read_bytes()
        if path.startswith("/play"):
            options = json.dumps([self.is_blind, self.frame_origins])
            return "text/html", GAME_PAGE.replace("OPTIONS", options).encode()
        self.launches.append(json.loads(body))
        launched = {
            "ok": True,
            "session_id": "s",
            "launch_url": f"{self.url}/play?session={len(self.launches)}",
            "expires_at": "2100-01-01T00:00:00Z",
        }
        return "application/json", json.dumps(launched).encode()


def http_server(answer) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content_type, content = answer(self.path, self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self):
            self.do_GET()

        def log_message(self, *_):
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def stand_in() -> Iterator[StandInGame]:
    game = StandInGame()
    with serving(game.server):
        yield game


@pytest.fixture
def stand_in_lobby(stand_in, tmp_path) -> Iterator[str]:
    server = OperatorServer(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{server.server_port}"
    stand_in.frame_origins = [origin]
    book = WalletBook(tmp_path / "wallet.sqlite")
    client = GetawayClient(stand_in.url, CREDENTIALS)
    server.site = OperatorSite(book, client, CREDENTIALS, origins=[origin], say=lambda line: None)
    with serving(server):
        yield origin
    book.close()


def game_frame(page: Page) -> Frame:
    frame = page.wait_for_selector("#game:not([hidden])").content_frame()
    frame.wait_for_function("globalThis.bridge?.hasHeard")
    return frame


def wait_until(page: Page, is_true: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < give_up_at
        page.wait_for_timeout(20)


def say(frame: Frame, message_type: str, **fields: object) -> None:
    frame.wait_for_function("globalThis.bridge !== undefined")
    frame.evaluate("([type, fields]) => bridge.post(type, fields)", [message_type, fields])


def wait_for_commands(frame: Frame, *newest: dict) -> None:
    """Until these came last; a page that is still loading has none yet."""
    text = json.dumps(newest, separators=(",", ":"))
    frame.wait_for_function(
        "([count, text]) => JSON.stringify(globalThis.commands?.slice(-count)) === text", arg=[len(newest), text]
    )


# The bridge, with the game's end as it is and the rest of the game played by the test


@pytest.mark.parametrize("is_blind", [False, True])
def test_the_lobby_shows_what_the_game_says(stand_in, stand_in_lobby, page, is_blind):
    stand_in.is_blind = is_blind
    page.goto(f"{stand_in_lobby}/?player=ada")
    game = game_frame(page)
    said, balance = page.locator("#said"), page.locator("#balance")
    expect(said).to_have_text("Ready, in USD")
    # What the session opened with is no news: money may have moved in the lobby since.
    expect(balance).to_have_text("5,000.00 USD")

    say(game, "round_started", round_id="r1", amount_minor=1_000)
    expect(said).to_have_text("Round started: 10.00 USD at stake")
    ended = {"round_id": "r1", "amount_minor": 1_000, "payout_minor": 1_520, "realized_multiplier": 1.52}
    say(game, "round_ended", status="settled", result="cashout", **ended)
    expect(said).to_have_text("Round over: away at 1.52× with 15.20 USD")
    say(game, "round_ended", status="settled", result="crash", **ended)
    expect(said).to_have_text("Round over: caught, 10.00 USD lost")
    say(game, "round_ended", status="refunded", **ended)
    expect(said).to_have_text("Round refunded: 10.00 USD stays with the player")


def test_the_game_tells_the_balance_before_the_wallet_is_asked(stand_in_lobby, page):
    page.goto(f"{stand_in_lobby}/?player=ada")
    game = game_frame(page)
    expect(page.locator("#said")).to_have_text("Ready, in USD")
    asked: list[Route] = []

    def hold(route: Route) -> None:
        asked.append(route)

    page.route("**/api/balance?*", hold)
    wait_until(page, lambda: len(asked) == 1)
    say(game, "balance", balance_minor=399_000, pending_minor=0, currency="USD")
    expect(page.locator("#balance")).to_have_text("3,990.00 USD")
    # The answer to a question that was asked before it is older.
    asked[0].fulfill(json={"ok": True, "balance_minor": 500_000, "balance": "5,000.00 USD"})
    wait_until(page, lambda: len(asked) == 2)
    expect(page.locator("#balance")).to_have_text("3,990.00 USD")
    asked[1].fulfill(json={"ok": True, "balance_minor": 399_100, "balance": "3,991.00 USD"})
    expect(page.locator("#balance")).to_have_text("3,991.00 USD")
    page.unroute_all(behavior="wait")


def test_the_lobby_holds_silences_and_closes_the_game(stand_in, stand_in_lobby, page):
    page.goto(f"{stand_in_lobby}/?player=ada&lang=pt&reality_check_minutes=30")
    game = game_frame(page)
    resume, unmuted = {"type": "resume"}, {"type": "mute", "muted": False}
    wait_for_commands(game, resume, unmuted)
    page.get_by_role("button", name="Pause betting").click()
    wait_for_commands(game, {"type": "pause"}, unmuted)
    page.get_by_role("button", name="Mute").click()
    wait_for_commands(game, {"type": "pause"}, {"type": "mute", "muted": True})
    page.get_by_role("button", name="Resume betting").click()
    wait_for_commands(game, resume, {"type": "mute", "muted": True})

    # A wish outlives the game's page.
    game.evaluate("globalThis.isOld = true; location.reload()")
    game.wait_for_function("globalThis.isOld === undefined")
    wait_for_commands(game, resume, {"type": "mute", "muted": True})

    page.get_by_role("button", name="Close").click()
    wait_for_commands(game, {"type": "close"})
    say(game, "session_ended", reason="closed")
    expect(page.locator("#notice")).to_have_text("The game is closed. Launch opens it again.")
    expect(page.locator("#game")).to_be_hidden()
    expect(page.locator("#mute")).to_be_disabled()
    page.locator("#launch").click()
    wait_for_commands(game_frame(page), resume, {"type": "mute", "muted": True})
    assert [(launch["lang"], launch["reality_check_minutes"]) for launch in stand_in.launches] == [("pt", 30)] * 2
    assert stand_in.launches[0]["lobby_url"].startswith(f"{stand_in_lobby}/?player=ada")


def test_a_player_who_comes_back_to_the_lobby_can_go_on(stand_in, stand_in_lobby, page):
    page.goto(f"{stand_in_lobby}/?player=ada")
    say(game_frame(page), "open_lobby")
    expect(page.locator("#notice")).to_contain_text("Launch goes on with your game")
    expect(page.locator("#game")).to_be_hidden()
    page.locator("#launch").click()
    assert "session=1" in game_frame(page).url
    page.locator("#launch").click()
    expect(page.locator("#game")).to_have_attribute("src", re.compile("session=2$"))
    game_frame(page)
    page.locator("[name=lang]").select_option("es")
    page.wait_for_url("**lang=es**")
    game_frame(page)
    assert [launch["lang"] for launch in stand_in.launches] == [None, None, "es"]


@pytest.mark.parametrize("is_blind", [False, True])
def test_the_page_of_the_guide_works_as_it_stands(stand_in, page, is_blind):
    (sample,) = re.findall(r"```html\n(<!doctype.*?)```", (ROOT / "docs" / "lobby.md").read_text(), re.DOTALL)
    lobby = http_server(
        lambda path, body: stand_in.answer(path, b"{}") if path == "/launch" else ("text/html", sample.encode())
    )
    origin = f"http://127.0.0.1:{lobby.server_port}"
    stand_in.is_blind, stand_in.frame_origins = is_blind, [origin]
    page.route("**/favicon.ico", lambda route: route.fulfill(body=""))
    with serving(lobby):
        page.goto(origin)
        game = game_frame(page)
        expect(page.locator("#balance")).to_have_text("400000 USD")
        say(game, "round_started", round_id="r1", amount_minor=1_000)
        expect(page.locator("#said")).to_have_text("Round started: 1000")
        say(game, "round_ended", status="settled", payout_minor=1_500)
        expect(page.locator("#said")).to_have_text("Round settled: 1500")
        page.locator("#pause").click()
        wait_for_commands(game, {"type": "pause"})
        game.evaluate("parent.postMessage({ getaway: 1, type: 'dance' }, '*')")
        say(game, "session_ended", reason="expired")
        expect(page.locator("#said")).to_have_text("Session over: expired")
        expect(page.locator("#game")).to_have_count(0)
        page.goto("about:blank")


@pytest.mark.parametrize("is_blind", [False, True])
def test_a_lobby_whose_origin_is_not_allowed_hears_nothing(stand_in, stand_in_lobby, page, is_blind):
    stand_in.is_blind = is_blind
    stand_in.frame_origins = [
        stand_in_lobby.replace("http:", "https:"),
        stand_in_lobby.replace("127.0.0.1", "localhost"),
    ]
    page.goto(f"{stand_in_lobby}/?player=ada")
    game = page.wait_for_selector("#game:not([hidden])").content_frame()
    game.wait_for_function("globalThis.bridge !== undefined")
    say(game, "ready", session_id="s", currency="USD", lang="en")
    page.wait_for_timeout(1_500)  # more than one hello
    assert game.evaluate("[bridge.isKnown, bridge.hasHeard, commands.length]") == [False, False, 0]
    expect(page.locator("#said")).to_have_text("Nothing said yet")
