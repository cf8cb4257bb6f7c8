"""The page's controls, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.fake_server import DRAWN
from tests.browser.steps import fly_long, in_state, open_page, press, press_key


def test_chips_keep_stakes_within_limits_and_steps(page, game):
    open_page(page, game)
    stake = page.locator("#stake")
    expect(stake).to_have_value("1.00")
    page.locator("[data-chip=double]").click()
    expect(stake).to_have_value("2.00")
    page.locator("[data-chip=max]").click()
    expect(stake).to_have_value("1000.00")
    page.locator("[data-chip=double]").click()
    expect(stake).to_have_value("1000.00")
    page.locator("[data-chip=half]").click()
    expect(stake).to_have_value("500.00")
    stake.fill("0.10")
    page.locator("[data-chip=half]").click()
    expect(stake).to_have_value("0.10")
    stake.fill("0.15")
    in_state(page, "disabled")
    expect(page.locator("#hint")).to_contain_text("multiple of $0.10")
    stake.fill("lots")
    expect(page.locator("#hint")).to_contain_text("not an amount")
    stake.fill("5,000")
    expect(page.locator("#hint")).to_contain_text("largest stake is $1,000.00")
    stake.fill("3")
    stake.press("Enter")
    expect(stake).to_have_value("3.00")
    expect(page.locator("#action-sub")).to_have_text("$3.00")
    assert game.count("bet") == 0


@pytest.mark.parametrize(
    ("currency", "balance", "stake"),
    [("JPY", "¥100,000", "100"), ("KWD", "KWD 100.000", "0.100"), ("HUF", "HUF 1,000.00", "1.00")],
)
def test_currencies_of_other_exponents(page, game, currency, balance, stake):
    game.currency = currency
    open_page(page, game)
    assert page.locator("#balance").inner_text().replace("\u00a0", " ") == balance
    expect(page.locator("#stake")).to_have_value(stake)
    press(page)
    in_state(page, "flying")
    assert game.last("bet")["amount_minor"] == 100


def test_quick_stakes_and_multipliers_are_offered_by_the_limits(page, game):
    game.limits |= {"min_bet_minor": 50, "max_bet_minor": 4_000, "bet_step_minor": 50}
    open_page(page, game)
    expect(page.locator("[data-stake]")).to_have_text(["0.50", "5", "25", "40"])
    page.locator("[data-stake]").nth(2).click()
    expect(page.locator("#stake")).to_have_value("25.00")
    expect(page.locator("#action-sub")).to_have_text("$25.00")
    page.locator("[data-auto='500']").click()
    expect(page.locator("#auto-cashout")).to_have_value("5.00")
    page.locator("[data-auto='']").click()
    expect(page.locator("#auto-cashout")).to_have_value("")
    page.locator("#auto-cashout").fill("1")
    in_state(page, "disabled")
    expect(page.locator("#hint")).to_contain_text("between 1.01× and 2000.00×")
    expect(page.locator("#auto-cashout")).to_have_attribute("aria-invalid", "true")
    page.locator("#auto-cashout").fill("2,5x")
    in_state(page, "bet")
    press(page)
    in_state(page, "flying")
    bet = {"type": "bet", "id": "", "amount_minor": 2_500, "auto_cashout": 2.5, "client_seed": DRAWN}
    assert game.last("bet") | {"id": ""} == bet


def test_a_stake_above_the_balance_is_said_and_not_forbidden(page, game):
    game.balance_minor = 500
    open_page(page, game)
    page.locator("[data-chip=max]").click()
    expect(page.locator("#stake")).to_have_value("5.00")
    expect(page.locator("#hint")).to_be_empty()
    page.locator("#stake").fill("6")
    expect(page.locator("#hint")).to_have_text("Your balance looks too low for this stake.")
    in_state(page, "bet")


def test_keys_that_are_typed_or_belong_to_a_dialog_do_not_play(page, game):
    fly_long(game)
    game.finish_rounds(1)
    open_page(page, game)
    stake = page.locator("#stake")
    stake.fill("2")
    for key in ("Space", "Enter"):
        stake.press(key)
    page.locator("#client-seed").press("Space")
    page.locator("#history button").focus()
    press_key(page, "Enter")
    expect(page.locator("#sheet")).to_be_visible()
    press_key(page, "Enter")
    expect(page.locator("#sheet")).to_be_hidden()
    page.locator("#open-rules").click()
    page.locator("#rules-title").click()
    for key in ("Space", "Enter"):
        press_key(page, key)
    expect(page.locator("#rules")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("#fair summary").focus()
    press_key(page, "Space")
    in_state(page, "bet")
    assert game.count("bet") == 0
    # A chip that was clicked gives the focus back: the key plays.
    page.locator("[data-chip=double]").click()
    press_key(page, "Space")
    in_state(page, "flying")
    assert game.last("bet")["amount_minor"] == 400


def test_a_double_click_bets_once_and_stays_in(page, game):
    fly_long(game)
    open_page(page, game)
    page.locator("#action").dblclick()
    in_state(page, "flying")
    expect(page.locator("#multiplier")).not_to_have_text("1.00×")
    in_state(page, "flying")
    assert (game.count("bet"), game.count("cashout")) == (1, 0)


TWO_PRESSES = """(gapMs) => {
  const [action, now] = [document.querySelector("#action"), performance.now.bind(performance)];
  const pressedAt = now();
  action.click();
  new MutationObserver((_, observer) => {
    if (action.dataset.state !== "flying") return;
    observer.disconnect();
    performance.now = () => pressedAt + gapMs;
    action.click();
    performance.now = now;
    action.dataset.pressed = "twice";
  }).observe(action, { attributes: true });
}"""


@pytest.mark.parametrize(("gap_ms", "cashouts"), [(399, 0), (600, 1)])
def test_a_press_right_after_a_bet_does_not_leave_the_round_that_it_began(page, game, gap_ms, cashouts):
    fly_long(game)
    game.cashout_answer = "hold"
    open_page(page, game)
    page.evaluate(TWO_PRESSES, gap_ms)
    expect(page.locator("#action")).to_have_attribute("data-pressed", "twice")
    in_state(page, "waiting" if cashouts else "flying")
    page.wait_for_timeout(50)
    assert (game.count("bet"), game.count("cashout")) == (1, cashouts)


PRESS_IN_THE_CALM = """() => {
  const action = document.querySelector("#action");
  new MutationObserver((_, observer) => {
    if (action.dataset.state !== "calm") return;
    observer.disconnect();
    action.click();
    action.dataset.pressed = "once";
  }).observe(action, { attributes: true });
}"""


def test_a_press_that_was_meant_for_the_round_that_has_just_ended_bets_nothing(page, game):
    fly_long(game)
    open_page(page, game)
    press(page)
    in_state(page, "flying")
    page.wait_for_timeout(450)
    page.evaluate(PRESS_IN_THE_CALM)
    game.crash_now()
    expect(page.locator("#action")).to_have_attribute("data-pressed", "once")
    in_state(page, "bet")
    assert game.count("bet") == 1


def test_the_button_names_the_payout_of_the_round_whatever_the_stake_beside_it_says(page, game):
    fly_long(game)
    open_page(page, game)
    expect(page.locator("#stake")).to_have_value("1.00")
    game.begin_round(2_500)
    in_state(page, "flying")
    expect(page.locator("#action-sub")).to_have_text(re.compile(r"^\$2[5-9]\.\d\d$"))


def test_the_client_seed_is_drawn_unless_the_player_has_chosen_one(page, game):
    open_page(page, game)
    seed, message = page.locator("#client-seed"), page.locator("#message")
    expect(seed).to_have_value(DRAWN)
    seed.fill("my-own_seed")
    seed.press("Enter")
    expect(message).to_contain_text("your own client seed")
    seed.fill("not good")
    seed.press("Enter")
    expect(message).to_contain_text("1 to 64 letters")
    expect(seed).to_have_value("my-own_seed")
    game.bet_answer = "void:bet_declined"
    for chosen in ("my-own_seed", "my-own_seed"):
        bet_once_more(page, game)
        assert game.last("bet")["client_seed"] == chosen == game.history[0]["client_seed"]
        expect(seed).to_have_value(chosen)
    page.locator("#randomize").click()
    expect(message).to_contain_text("drawn for each bet")
    expect(seed).to_have_value(DRAWN)
    bet_once_more(page, game)
    assert game.last("bet")["client_seed"] == DRAWN
    seed.fill("again-mine")
    seed.press("Enter")
    seed.fill("")
    seed.press("Enter")
    expect(message).to_contain_text("drawn for each bet")
    expect(seed).to_have_value(DRAWN)


def bet_once_more(page, game):
    before = game.count("bet")
    in_state(page, "bet")
    page.wait_for_timeout(450)
    page.locator("#action").click()
    expect(page.locator("#history [data-round-id]")).to_have_count(before + 1)


def test_the_lobby_around_the_frame_pauses_and_closes(page, game):
    fly_long(game)
    game.launch = {"frame_origins": [f"http://127.0.0.1:{game.port}"]}
    page.goto(f"http://127.0.0.1:{game.port}/lobby")
    frame = page.frame_locator("iframe")
    action = frame.locator("#action")
    expect(action).to_have_attribute("data-state", "bet")
    say = "type => frames[0].postMessage({ getaway: 1, type }, location.origin)"
    page.evaluate(say, "pause")
    expect(action).to_have_attribute("data-state", "disabled")
    expect(frame.locator("#action-main")).to_have_text("PAUSED")
    expect(frame.locator("#hint")).to_have_text("Your casino has paused betting.")
    page.evaluate(say, "resume")
    expect(action).to_have_attribute("data-state", "bet")
    action.click()
    expect(action).to_have_attribute("data-state", "flying")
    page.evaluate(say, "close")
    expect(frame.locator("#multiplier")).not_to_have_text("1.00×")
    expect(action).to_have_attribute("data-state", "flying")
    game.crash_now()
    expect(frame.locator("#ending h2")).to_have_text("Game closed")
    expect(frame.locator("#action-main")).to_have_text("CLOSED")
