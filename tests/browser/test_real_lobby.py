"""The bridge between two real origins: the demo lobby around the real game, and pages that have no business there."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import expect

from tests.browser.real_house import PATIENCE_MS, lobby_seat, open_real_house, visiting, wait_until

# In the lobby's window: all that is said to it. In the game's: the sounds' contexts.
NOTE_WHAT_HAPPENS = """
if (window === top) {
  globalThis.heard = [];
  addEventListener('message', ({ origin, data }) => heard.push({ origin, data }));
}
globalThis.contexts = [];
const Real = globalThis.AudioContext;
globalThis.AudioContext = class extends Real {
  constructor() {
    super();
    contexts.push(this);
  }
};
"""
STRANGER = """<!doctype html><title>A stranger</title><link rel="icon" href="data:,"><body></body>"""
STRANGERS_WORDS = """(frame) => {
  const say = (type) => frame().postMessage({ getaway: 1, type, muted: true }, '*');
  for (const type of ['hello', 'pause', 'mute', 'close']) say(type);
}"""


@pytest.fixture(scope="module")
def house(postgres, tmp_path_factory):
    with open_real_house(postgres, tmp_path_factory.mktemp("lobby")) as house:
        yield house


@pytest.fixture
def context(house, browser):
    with visiting(browser, expected="frame-ancestors") as context:
        context.add_init_script(NOTE_WHAT_HAPPENS)
        yield context


@pytest.fixture
def stranger():
    """The origin of a page that the operator does not know."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(STRANGER)))
            self.end_headers()
            self.wfile.write(STRANGER.encode())

        def log_message(self, *_):
            pass

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def heard(seat, message_type):
    """What the lobby has been told of this type."""
    said = seat.page.evaluate("heard")
    assert {message["origin"] for message in said} <= {seat.house.game_origin}
    assert {message["data"]["getaway"] for message in said} <= {1}
    return [message["data"] for message in said if message["data"]["type"] == message_type]


def wait_to_hear(seat, message_type, count=1):
    wait_until(lambda: len(heard(seat, message_type)) >= count, f"{count} x {message_type}")
    said = heard(seat, message_type)
    assert len(said) == count
    return said[-1]


def test_the_lobby_hears_of_a_round(house, context):
    seat = lobby_seat(house, "ada", context.new_page())
    session_id = str(house.session_of("ada")["session_id"])
    assert house.game_origin != house.lobby_origin
    wait_until(lambda: heard(seat, "ready"), "the game is ready")
    assert heard(seat, "ready")[0] == {
        "getaway": 1,
        "type": "ready",
        "session_id": session_id,
        "currency": "USD",
        "lang": "en",
    }
    assert heard(seat, "balance")[0]["balance_minor"] == 500_000
    seat.fly(stake="10.00")
    (played,) = house.rounds("ada")
    round_id = str(played["round_id"])
    started = wait_to_hear(seat, "round_started")
    assert started == {"getaway": 1, "type": "round_started", "round_id": round_id, "amount_minor": 1_000}
    assert heard(seat, "balance")[-1]["balance_minor"] == 499_000
    paid_minor = seat.cash_out()
    assert wait_to_hear(seat, "round_ended") == {
        "getaway": 1,
        "type": "round_ended",
        "round_id": round_id,
        "status": "settled",
        "result": "cashout",
        "amount_minor": 1_000,
        "payout_minor": paid_minor,
        "realized_multiplier": seat.hundredths() / 100,
    }
    house.at_rest("ada", "bet", "win")
    at_rest = {"balance_minor": 499_000 + paid_minor, "pending_minor": 0, "currency": "USD"}
    wait_until(
        lambda: heard(seat, "balance")[-1] == {"getaway": 1, "type": "balance", **at_rest},
        "the lobby hears the balance",
    )
    token = seat.game.url.partition("session=")[2]
    assert token not in str(seat.page.evaluate("heard"))


def test_the_lobby_holds_betting_and_sound_and_closes(house, context):
    seat = lobby_seat(house, "bob", context.new_page())

    def press(name):
        seat.page.locator(f"#{name}").click()

    def states():
        return seat.game.evaluate("contexts.map((context) => context.state)")

    press("pause")
    seat.in_state("disabled")
    expect(seat.at("#hint")).to_have_text("Your casino has paused betting.")
    expect(seat.at("#action-main")).to_have_text("PAUSED")
    press("pause")
    seat.in_state("bet")

    seat.at("#sound").click()
    expect(seat.at("#sound")).to_have_attribute("aria-pressed", "true")
    wait_until(lambda: states() == ["running"], "the sound is on")
    press("mute")
    wait_until(lambda: states() == ["suspended"], "the lobby mutes the game")
    expect(seat.at("#sound")).to_have_attribute("aria-pressed", "true")
    press("mute")
    wait_until(lambda: states() == ["running"], "the sound comes back")

    seat.fly()
    press("pause")
    seat.in_state("flying")
    press("close")
    seat.passes(seat.hundredths() + 2)
    assert heard(seat, "session_ended") == []
    seat.press()
    assert wait_to_hear(seat, "session_ended") == {"getaway": 1, "type": "session_ended", "reason": "closed"}
    (_, (_, paid_minor)) = house.at_rest("bob", "bet", "win")
    assert wait_to_hear(seat, "round_ended")["payout_minor"] == paid_minor
    expect(seat.page.locator("#notice")).to_contain_text("The game is closed.")


def test_the_way_back_to_the_lobby_keeps_the_session(house, context):
    seat = lobby_seat(house, "cleo", context.new_page())
    seat.fly()
    seat.at("#lobby").click()
    wait_to_hear(seat, "open_lobby")
    expect(seat.page.locator("#notice")).to_contain_text("Back in the lobby.")
    seat.page.locator("#launch").click()
    seat.page.locator("iframe[src]").wait_for(state="visible")
    seat.game = seat.page.locator("iframe[src]").element_handle().content_frame()
    seat.in_state("flying")
    paid_minor = seat.cash_out()
    assert house.at_rest("cleo", "bet", "win") == [("bet", -100), ("win", paid_minor)]


def test_a_stranger_cannot_frame_the_game(house, context, stranger):
    launched = house.launch("dan")
    page = context.new_page()
    page.goto(stranger)
    page.evaluate(
        """(url) => new Promise((resolve) => {
          const frame = document.createElement('iframe');
          frame.src = url;
          frame.addEventListener('load', resolve);
          document.body.append(frame);
        })""",
        launched.launch_url,
    )
    (framed,) = page.main_frame.child_frames
    assert framed.url.startswith("chrome-error://")
    assert framed.locator("#game").count() == 0
    assert house.session_of("dan")["owner_node"] is None, "nobody has said hello"
    page.evaluate(f"({STRANGERS_WORDS})(() => frames[0])")
    page.wait_for_timeout(200)
    assert page.evaluate("heard") == []


def test_a_stranger_is_not_heard(house, context, stranger):
    """A page that opened the lobby's window can reach into it as far as to speak to the game's frame."""
    opener = context.new_page()
    opener.goto(stranger)
    with context.expect_page() as popup:
        opener.evaluate("(url) => { globalThis.lobby = open(url); }", f"{house.lobby_url}?player=eve&currency=USD")
    seat = lobby_seat(house, "eve", popup.value)
    wait_until(lambda: heard(seat, "ready"), "the game is ready")
    told = len(seat.page.evaluate("heard"))
    opener.evaluate(f"({STRANGERS_WORDS})(() => lobby.frames[0])")
    opener.wait_for_timeout(300)
    seat.in_state("bet")
    assert len(seat.page.evaluate("heard")) == told
    assert opener.evaluate("heard") == []
    # The same words from the lobby do count.
    seat.page.evaluate(f"({STRANGERS_WORDS})(() => frames[0])")
    wait_to_hear(seat, "session_ended")
    expect(seat.page.locator("#notice")).to_contain_text("The game is closed.", timeout=PATIENCE_MS)
