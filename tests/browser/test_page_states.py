"""What the page shows and sends from a bet to its end, in a real browser against a server that obeys the test."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.fake_server import DRAWN, TOKEN, FakeGame
from tests.browser.steps import (
    UNTIL_A_PRESS_COUNTS,
    crash_soon,
    fly_long,
    in_state,
    on_stage,
    open_page,
    press,
    press_key,
)

# What the stage shows with the press that is taken, read in the frame that follows it.
NOTE_NEXT_FRAME = """
() => addEventListener("click", () => requestAnimationFrame(() => {
  const at = (name) => document.querySelector(name);
  globalThis.noted = [at("#action").dataset.state, at("#action-main").textContent, at("#stage").dataset.scene];
}), { once: true })
"""


def money_in(text: str) -> int:
    return int(re.sub(r"[^0-9]", "", text))


def the_button(page: Page, state: str, main: str, sub: str | re.Pattern = "") -> None:
    """What the big button does, and what it says of it."""
    in_state(page, state)
    expect(page.locator("#action-main")).to_have_text(main)
    expect(page.locator("#action-sub")).to_have_text(sub)
    expect(page.locator("#action")).to_have_attribute("aria-disabled", str(state not in ("bet", "flying")).lower())


def said(page: Page, key: str, tone: str) -> None:
    """What the page said last, where a screen reader hears it."""
    expect(page.locator("#message[role=status]")).to_have_attribute("data-key", key)
    expect(page.locator("#message")).to_have_attribute("data-tone", tone)


def fly(page: Page, game: FakeGame, stake: str | None = None) -> None:
    fly_long(game)
    open_page(page, game)
    if stake is not None:
        page.locator("#stake").fill(stake)
    press(page)
    in_state(page, "flying")


def test_the_table_before_a_bet(page, game):
    open_page(page, game)
    the_button(page, "bet", "BET", "$1.00")
    expect(page.locator("#balance")).to_have_text("$1,000.00")
    expect(page.locator("#pending")).to_be_hidden()
    expect(page.locator("#net")).to_have_text("$0.00")
    expect(page.locator("#played")).to_have_text(re.compile(r"00:0\d"))
    expect(page.locator("#commitment")).to_have_text(game.next_fields()["server_seed_hash"])
    expect(page.locator("#commitment-label")).to_have_text("Next round's seed hash")
    expect(page.locator("#nonce")).to_have_text("1")
    expect(page.locator("#client-seed")).to_have_value(DRAWN)
    expect(page.locator("#stake-label")).to_have_text("Stake (USD)")
    expect(page.locator("#multiplier")).to_have_text("1.00×")
    expect(page.locator("#message")).to_contain_text("Place your bet")
    expect(page.locator("#connection")).to_be_hidden()
    on_stage(page, "idle")
    assert game.received[0] == {"type": "hello", "session": TOKEN}
    assert page.url == game.url
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_a_press_is_answered_in_the_next_frame(page, game):
    fly_long(game)
    game.bet_answer = "silence"
    open_page(page, game)
    page.evaluate(NOTE_NEXT_FRAME)
    press(page)
    assert page.wait_for_function("() => globalThis.noted").json_value() == ["pending", "BET PLACED", "betting"]
    game.bet_answer = "ok"
    game.drop()
    in_state(page, "bet")
    press(page)
    in_state(page, "flying")
    game.cashout_answer = "hold"
    page.evaluate("globalThis.noted = null")
    page.evaluate(NOTE_NEXT_FRAME)
    press(page)
    assert page.wait_for_function("() => globalThis.noted").json_value() == ["waiting", "CASHING OUT…", "flying"]


def test_a_bet_waits_for_the_wallet(page, game):
    game.bet_answer = "hold"
    open_page(page, game)
    press(page)
    the_button(page, "pending", "BET PLACED", "waiting for your casino…")
    said(page, "bet.pending", "info")
    on_stage(page, "betting")
    expect(page.locator("#stage-note")).to_have_text("Waiting for the wallet…")
    for name in ("#stake", "#auto-cashout", "[data-chip=max]", "[data-stake]"):
        expect(page.locator(name).first).to_be_disabled()
    expect(page.locator("#balance")).to_have_text("$1,000.00")
    game.start_held_round()
    in_state(page, "flying")
    assert game.count("bet") == 1


def test_a_cash_out_pays_at_least_what_the_button_said(page, game):
    game.ticks_stop = True
    fly(page, game, "100")
    the_button(page, "flying", "CASH OUT", "from 1.01×")
    expect(page.locator("#balance")).to_have_text("$900.00")
    expect(page.locator("#commitment-label")).to_have_text("This round's seed hash")
    expect(page.locator("#commitment")).to_have_text(game.round["server_seed_hash"])
    assert game.last("bet")["amount_minor"] == 10_000
    assert "auto_cashout" not in game.last("bet")
    game.ticks_stop = False
    expect(page.locator("#multiplier")).to_have_text(re.compile(r"1\.(0[6-9]|[1-9]\d)×"))
    shown = page.evaluate(
        "() => { const sub = document.querySelector('#action-sub').textContent;"
        " document.querySelector('#action').click(); return sub; }"
    )
    the_button(page, "bet", "BET", "$100.00")
    paid = game.history[0]["payout_minor"]
    assert 10_500 < money_in(shown) <= paid
    said(page, "result.cashout", "win")
    expect(page.locator("#message")).to_contain_text(f"Got away! ${paid / 100:.2f} at ")
    on_stage(page, "won")
    expect(page.locator("#stage")).to_have_attribute("data-profit", "true")
    expect(page.locator("#stage-note")).to_have_text(f"${paid / 100:.2f}")
    expect(page.locator("#balance")).to_have_text(f"${game.balance_minor / 100:,.2f}")
    expect(page.locator("#net")).to_have_text(f"+${(paid - 10_000) / 100:.2f}")
    assert game.balance_minor == 100_000 - 10_000 + paid


def test_a_cash_out_that_is_on_its_way(page, game):
    game.cashout_answer = "hold"
    fly(page, game)
    expect(page.locator("#action-sub")).to_have_text(re.compile(r"^\$1\.0[1-9]"))
    press(page)
    the_button(page, "waiting", "CASHING OUT…", "waiting for the server")
    on_stage(page, "flying")
    game.end_now("cashout", 123)
    the_button(page, "bet", "BET", "$1.00")
    expect(page.locator("#stage-note")).to_have_text("$1.23")
    assert game.count("cashout") == 1


def test_no_more_than_the_stake_is_no_win(page, game):
    game.limits |= {"min_bet_minor": 1, "bet_step_minor": 1}
    fly(page, game, "0.01")
    game.end_now("cashout", 150)
    said(page, "result.cashout_even", "info")
    on_stage(page, "won")
    expect(page.locator("#stage")).to_have_attribute("data-profit", "false")
    expect(page.locator("#stage-note")).to_have_text("$0.01 back")
    expect(page.locator("#net")).to_have_text("$0.00")
    won, even = "rgb(87, 230, 168)", page.locator("#readout").evaluate("e => getComputedStyle(e).color")
    assert even != won
    page.locator("#history button").first.click()
    expect(page.locator("#sheet-outcome")).to_have_attribute("data-tone", "info")


def test_the_highest_win(page, game):
    fly(page, game)
    game.end_now("max_win", 200_000)
    said(page, "result.max_win", "win")
    on_stage(page, "won")
    expect(page.locator("#multiplier")).to_have_text("2000.00×")
    expect(page.locator("#stage-note")).to_have_text("Highest win: $2,000.00")
    expect(page.locator("#history .chip").first).to_have_text("2000.00×")
    expect(page.locator("#net")).to_have_text("+$1,999.00")


def test_a_crash_is_told_with_its_point(page, game):
    crash_soon(game)
    open_page(page, game)
    press(page)
    on_stage(page, "lost")
    crash = f"{game.history[0]['crash_point']:.2f}×"
    said(page, "result.crash", "loss")
    the_button(page, "bet", "BET", "$1.00")
    expect(page.locator("#multiplier")).to_have_text(crash)
    expect(page.locator("#stage-note")).to_have_text("Caught!")
    expect(page.locator("#stage")).to_have_attribute("data-profit", "false")
    expect(page.locator("#message")).to_contain_text(f"closed in at {crash}")
    expect(page.locator("#history li").first.locator(".chip")).to_have_text(crash)
    expect(page.locator("#nonce")).to_have_text("2")
    expect(page.locator("#net")).to_have_text("-$1.00")


def test_an_automatic_cash_out_is_sent_and_never_drawn_beyond(page, game):
    fly_long(game)
    open_page(page, game)
    page.locator("#auto-cashout").fill("1.05")
    press(page)
    expect(page.locator("#stage-note")).to_have_text("auto cash-out at 1.05×")
    assert game.last("bet")["auto_cashout"] == 1.05
    expect(page.locator("#message")).to_contain_text("at 1.05×")
    expect(page.locator("#multiplier")).to_have_text("1.05×")
    assert game.count("cashout") == 0


def test_the_multiplier_is_never_ahead_of_the_crash(page, game):
    game.crash_at_least, game.crash_at_most = 104, 110
    game.choose_seed()
    open_page(page, game)
    page.evaluate(
        "() => { window.highest = 0; new MutationObserver(() => {"
        " if (document.querySelector('#stage').dataset.scene === 'flying')"
        " window.highest = Math.max(window.highest, parseFloat(document.querySelector('#multiplier').textContent));"
        "}).observe(document.querySelector('#multiplier'), {childList: true, characterData: true, subtree: true}); }"
    )
    press(page)
    on_stage(page, "lost")
    assert 1.01 <= page.evaluate("window.highest") <= game.history[0]["crash_point"]


def test_a_win_on_its_way_is_shown_until_it_arrives(page, game):
    fly_long(game)
    game.hold_wins = True
    open_page(page, game)
    page.locator("#auto-cashout").fill("1.02")
    press(page)
    expect(page.locator("#pending")).to_have_text("+$1.02 on its way")
    expect(page.locator("#balance")).to_have_text("$999.00")
    game.bet_answer = "wallet_pending"
    press(page)
    said(page, "error.wallet_pending", "bad")
    the_button(page, "bet", "BET", "$1.00")
    game.deliver_wins()
    said(page, "balance.delivered", "info")
    expect(page.locator("#pending")).to_be_hidden()
    expect(page.locator("#balance")).to_have_text("$1,000.02")


def test_a_refused_bet_says_why_and_gives_the_table_back(page, game):
    open_page(page, game)
    refusals = {
        "insufficient_funds": "does not cover this stake",
        "wallet_unavailable": "cannot be reached",
        "rate_limited": "Too many presses",
        "draining": "closing for maintenance",
        "round_in_progress": "already running",
        "something_new": "Something went wrong",
    }
    for code, words in refusals.items():
        game.bet_answer = code
        press(page)
        said(page, f"error.{code}", "bad")
        # A reason that the page does not know is told in the server's own words.
        expect(page.locator("#message")).to_contain_text("no" if code == "something_new" else words)
        the_button(page, "bet", "BET", "$1.00")


def test_a_void_round_is_said_once_and_kept(page, game):
    game.bet_answer = "void:bet_declined"
    open_page(page, game)
    press(page)
    said(page, "void.bet_declined", "bad")
    on_stage(page, "idle")
    expect(page.locator("#stage-note")).to_have_text("Round void")
    expect(page.locator("#history li")).to_have_count(1)
    expect(page.locator("#history li .chip")).to_have_text("Round void")
    expect(page.locator("#net")).to_have_text("$0.00")
    # The error that follows the round has been answered once a later frame is there.
    game.pending_minor = 5
    game.deliver_wins()
    expect(page.locator("#balance")).to_have_text("$1,000.05")
    said(page, "void.bet_declined", "bad")


def test_a_refunded_round_says_that_the_stake_comes_back(page, game):
    game.hold_wins = True
    fly(page, game, "5")
    game.refund_now("interrupted")
    said(page, "refunded.interrupted", "bad")
    expect(page.locator("#message")).to_contain_text("Your stake of $5.00 is on its way back.")
    on_stage(page, "idle")
    expect(page.locator("#stage-note")).to_have_text("Stake refunded")
    expect(page.locator("#pending")).to_have_text("+$5.00 on its way")
    expect(page.locator("#balance")).to_have_text("$995.00")
    the_button(page, "bet", "BET", "$5.00")
    game.deliver_wins()
    expect(page.locator("#balance")).to_have_text("$1,000.00")
    said(page, "refunded.interrupted", "bad")
    expect(page.locator("#message")).to_contain_text("interrupted the round. Your stake of $5.00 is back.")
    page.locator("#history button").first.click()
    expect(page.locator("#sheet-outcome")).to_have_text("Stake refunded")
    expect(page.locator("#sheet-replay")).to_be_hidden()


@pytest.mark.parametrize("key", ["Space", "Enter"])
def test_the_keyboard_plays_and_a_held_key_presses_once(page, game, key):
    fly_long(game)
    open_page(page, game)
    press_key(page, key)
    in_state(page, "flying")
    expect(page.locator("#action-sub")).to_have_text(re.compile(r"^\$"))
    page.locator("#action").focus()
    page.evaluate(UNTIL_A_PRESS_COUNTS)
    page.keyboard.down(key)
    page.keyboard.down(key)
    in_state(page, "bet")
    # Held on for longer than two presses are apart, it does not bet again.
    page.evaluate(UNTIL_A_PRESS_COUNTS)
    page.keyboard.down(key)
    page.keyboard.up(key)
    in_state(page, "bet")
    assert (game.count("bet"), game.count("cashout")) == (1, 1)
