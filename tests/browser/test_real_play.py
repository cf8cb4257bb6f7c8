"""Rounds in a real browser against the real server, its database and the demo operator's wallet."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.real_house import (
    PATIENCE_MS,
    Seat,
    lobby_seat,
    now_ms,
    open_real_house,
    opened,
    visiting,
    wait_until,
)

READY_MS_MAX = 5_000  # on a quiet machine it is a tenth of this
NOTE_WHEN_READY = """
const watch = () => {
  if (document.querySelector('#action')?.dataset.state === 'bet') globalThis.readyMs = performance.now();
  else requestAnimationFrame(watch);
};
watch();
"""
# Texts of the page that are no texts but the names of messages: words that a language lacks.
NAMES_OF_WORDS = """() => {
  const leaves = [...document.querySelectorAll('body *')].filter((element) => element.children.length === 0);
  return leaves.map((leaf) => leaf.textContent.trim()).filter((text) => /^[a-z_]+(\\.[a-zA-Z_]+)+$/.test(text));
}"""


@pytest.fixture(scope="module")
def house(postgres, tmp_path_factory):
    with open_real_house(postgres, tmp_path_factory.mktemp("play")) as house:
        yield house


@pytest.fixture
def own_page(browser):
    """For a script that would stay with the page of the other tests."""
    with visiting(browser) as context:
        yield context.new_page()


def minor_in(text):
    return int(re.sub("[^0-9]", "", text))


def test_a_bet_and_a_cash_out_in_the_lobby(house, own_page):
    page = own_page
    page.add_init_script(NOTE_WHEN_READY)
    seat = lobby_seat(house, "ada", page)
    # It is noted in the frame after that in which the button has shown it.
    ready_ms = seat.game.wait_for_function("() => globalThis.readyMs").json_value()
    print(f"ready to bet {ready_ms:.0f} ms after the page was opened")
    assert ready_ms < READY_MS_MAX

    seat.fly(stake="10.00")
    seat.shows_minor("#balance", 499_000)
    seat.passes(110)
    paid_minor = seat.cash_out()
    assert house.at_rest("ada", "bet", "win") == [("bet", -1_000), ("win", paid_minor)]
    balance_minor = 500_000 - 1_000 + paid_minor
    assert house.balance_minor("ada") == balance_minor
    seat.shows_minor("#balance", balance_minor)
    expect(seat.at("#pending")).to_be_hidden()
    wait_until(lambda: minor_in(page.locator("#balance").inner_text()) == balance_minor, "the lobby's balance")
    (played,) = house.rounds("ada")
    assert (played["status"], played["result"], played["payout_minor"]) == ("settled", "cashout", paid_minor)
    assert seat.hundredths() == played["realized_hundredths"]
    assert paid_minor == 1_000 * played["realized_hundredths"] // 100


def test_a_flight_outlives_a_reload(house, page):
    seat = opened(house, "bob", page)
    seat.fly(stake="5.00")
    seen = seat.hundredths()
    page.reload()
    seat.in_state("flying")
    seat.says("round.flying")
    seat.passes(seen + 1)
    seat.shows_minor("#balance", 499_500)
    paid_minor = seat.cash_out()
    assert house.at_rest("bob", "bet", "win") == [("bet", -500), ("win", paid_minor)]
    seat.shows_minor("#balance", 499_500 + paid_minor)


def test_a_round_that_is_lost_and_the_next_commitment(house, page):
    seat = opened(house, "eve", page)
    seat.choose(102, 108)
    promised = seat.at("#commitment").inner_text()
    seat.bet(stake="3.00")
    seat.says("result.crash")
    seat.in_state("bet")
    (played,) = house.rounds("eve")
    assert seat.hundredths() == played["crash_hundredths"]
    assert promised == played["server_seed_hash"]
    assert seat.at("#commitment").inner_text() == house.session_of("eve")["server_seed_hash"] != promised
    seat.at("#history button").first.click()
    # All but the digest, which is shown for those who compute it elsewhere.
    expect(seat.at("#sheet-checks .code")).to_have_count(1)
    expect(seat.at("#sheet-checks li")).to_have_count(1 + seat.at("#sheet-checks .ok").count())
    expect(seat.at("#sheet-checks")).to_contain_text("This page showed you the hash before you bet.")
    house.at_rest("eve", "bet")


TIMELINE = """
globalThis.timeline = [];
const draw = Crypto.prototype.getRandomValues;
Crypto.prototype.getRandomValues = function (numbers) {
  timeline.push(["draw", null]);
  return draw.call(this, numbers);
};
globalThis.WebSocket = class extends WebSocket {
  constructor(url) {
    super(url);
    this.addEventListener("message", (event) => timeline.push(["in", JSON.parse(event.data)]));
  }
  send(text) {
    timeline.push(["out", JSON.parse(text)]);
    super.send(text);
  }
};
"""


def test_each_bet_has_a_client_seed_that_the_browser_drew_after_the_hash_was_shown(house, own_page):
    page = own_page
    page.add_init_script(TIMELINE)
    seat = opened(house, "gil", page)
    for number in range(1, 5):
        seat.in_state("bet")
        shown = seat.at("#client-seed").input_value()
        seat.bet(stake="1.00", auto="1.01")
        expect(seat.at("#history [data-round-id]")).to_have_count(number)
        assert house.rounds("gil")[-1]["client_seed"] == shown, "the player sees it before the bet"
    told_by_us, promised, draws, sent = set(), None, 0, []
    for way, frame in page.evaluate("timeline"):
        if way == "draw":
            draws += 1
        elif way == "in" and "next" in frame:
            told_by_us |= {frame["next"]["client_seed"]} - {bet["client_seed"] for bet in sent}
            if promised != frame["next"]["server_seed_hash"]:
                promised, draws = frame["next"]["server_seed_hash"], 0
        elif way == "out" and frame["type"] == "bet":
            assert draws >= 1, "drawn after the hash was shown"
            sent.append(frame)
    seeds = [bet["client_seed"] for bet in sent]
    assert len(set(seeds)) == len(seeds) == 4
    assert told_by_us and told_by_us.isdisjoint(seeds)
    assert [played["client_seed"] for played in house.rounds("gil")] == seeds


def test_two_tabs_of_one_session(house, browser):
    launched = house.launch("cleo")
    with visiting(browser) as context:
        seats = [Seat(house, "cleo", context.new_page()) for _ in range(2)]
        older, newer = seats
        older.page.goto(launched.launch_url)
        older.fly(stake="2.00")
        newer.page.goto(launched.launch_url)
        newer.in_state("flying")
        older.ended("Playing elsewhere")
        expect(older.at("#resume")).to_have_text("Continue here")
        expect(older.at("#action")).to_have_attribute("aria-disabled", "true")
        come_back_to(older)
        older.in_state("flying")
        expect(older.at("#ending")).to_be_hidden()
        newer.ended("Playing elsewhere")
        come_back_to(newer)
        newer.in_state("flying")
        older.ended("Playing elsewhere")
        paid_minor = newer.cash_out()
        assert house.at_rest("cleo", "bet", "win") == [("bet", -200), ("win", paid_minor)]
        come_back_to(older)
        older.in_state("bet")
        for seat in (older, newer):
            seat.shows_minor("#balance", 500_000 - 200 + paid_minor)
            expect(seat.at("#history [data-round-id]")).to_have_count(1)


def come_back_to(seat):
    seat.page.bring_to_front()
    seat.at("#resume").click()


def test_the_session_result_equals_the_books(house, page):
    seat = opened(house, "dan", page)
    seat.win(stake="20.00")
    house.at_rest("dan", "bet", "win")
    seat.choose(100, 104)
    seat.bet(stake="7.00", auto="1.50")
    seat.says("result.crash")
    moves = house.at_rest("dan", "bet", "win", "bet")
    net_minor = sum(amount for _, amount in moves)
    assert net_minor == -2_000 + 2_100 - 700
    seat.shows_minor("#net", net_minor)
    page.reload()
    seat.in_state("bet")
    seat.shows_minor("#net", net_minor)
    seat.shows_minor("#balance", 500_000 + net_minor)
    expect(seat.at("#history [data-round-id]")).to_have_count(2)
    expect(seat.at("#played")).to_have_text(re.compile(r"^\d\d:\d\d$"))


@pytest.mark.parametrize(("lang", "direction", "action"), [("de", "ltr", "SETZEN"), ("ar", "rtl", "راهن")])
def test_the_language_of_the_launch(house, page, lang, direction, action):
    seat = opened(house, f"fay-{lang}", page, lang=lang)
    html = page.locator("html")
    expect(html).to_have_attribute("lang", lang)
    expect(html).to_have_attribute("dir", direction)
    expect(seat.at("#action-main")).to_have_text(action)
    seat.win()
    seat.shows_minor("#net", 5)
    assert seat.hundredths() == 105
    assert page.evaluate(NAMES_OF_WORDS) == []
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    seat.at("#open-rules").click()
    expect(seat.at("#rules-text")).to_contain_text("96")
    assert page.evaluate(NAMES_OF_WORDS) == []


def test_the_reminder_of_time_and_result_and_the_way_back(house, page):
    lobby_url = f"{house.lobby_url}?player=gus&currency=USD"
    launched = house.launch("gus", reality_check_minutes=1, lobby_url=lobby_url)
    house.edit_session("gus", created_at_ms=now_ms() - 61_000)
    page.goto(launched.launch_url)
    seat = Seat(house, "gus", page)
    expect(seat.at("#reality")).to_be_visible(timeout=PATIENCE_MS)
    expect(seat.at("#reality-text")).to_have_text(re.compile(r"playing for 01:\d\d\..* \$0\.00\."))
    page.keyboard.press("Enter")
    expect(seat.at("#reality")).to_be_visible()
    seat.at("#reality-continue").click()
    expect(seat.at("#reality")).to_be_hidden()

    # Once for each interval, and never during a round.
    seat.win(stake="10.00")
    house.at_rest("gus", "bet", "win")
    expect(seat.at("#reality")).to_be_hidden()

    expect(seat.at("#lobby")).to_have_attribute("href", lobby_url)
    page.reload()
    expect(seat.at("#reality-text")).to_have_text(
        re.compile(r"playing for 01:\d\d\..* \+\$0\.50\."), timeout=PATIENCE_MS
    )
    expect(seat.at("#reality")).to_be_visible()
    seat.at("#reality-leave").click()
    page.wait_for_url(lobby_url)
    expect(page.locator("#balance")).to_be_visible()
