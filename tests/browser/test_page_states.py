"""What the page shows and sends in every state, in a real browser against a server that obeys the test."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.fake_server import TOKEN
from tests.browser.steps import in_state, open_page, press


def money_in(text: str) -> int:
    return int(re.sub(r"[^0-9]", "", text))


def test_the_table_before_a_bet(page, game):
    open_page(page, game)
    expect(page.locator("#balance")).to_have_text("$1,000.00")
    expect(page.locator("#pending")).to_be_hidden()
    expect(page.locator("#commitment")).to_have_text(game.next_fields()["server_seed_hash"])
    expect(page.locator("#nonce")).to_have_text("1")
    expect(page.locator("#client-seed")).to_have_value("fakeplayer")
    expect(page.locator("#currency")).to_contain_text("USD")
    expect(page.locator("#left")).to_contain_text("left")
    expect(page.locator("#multiplier")).to_have_text("1.00×")
    assert game.received[0] == {"type": "hello", "session": TOKEN}
    assert page.url == game.url
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_a_cash_out_pays_at_least_what_the_button_said(page, game):
    game.crash_at_least = 900
    game.choose_seed()
    open_page(page, game)
    page.locator("#stake").fill("100")
    press(page)
    in_state(page, "flying")
    expect(page.locator("#balance")).to_have_text("$900.00")
    assert game.last("bet")["amount_minor"] == 10_000
    assert "auto_cashout" not in game.last("bet")
    expect(page.locator("#multiplier")).to_have_text(re.compile(r"1\.(0[6-9]|[1-9]\d)×"))
    shown = page.evaluate(
        "() => { const sub = document.querySelector('#action-sub').textContent;"
        " document.querySelector('#action').click(); return sub; }"
    )
    in_state(page, "bet")
    paid = game.history[0]["payout_minor"]
    assert money_in(shown) <= paid
    expect(page.locator("#message")).to_contain_text("Got away!")
    expect(page.locator("#stage")).to_have_attribute("data-scene", "won")
    expect(page.locator("#balance")).to_have_text(f"${game.balance_minor / 100:,.2f}")
    assert game.balance_minor == 100_000 - 10_000 + paid


def test_a_crash_is_told_with_its_point(page, game):
    game.crash_at_least, game.crash_at_most = 101, 104
    game.choose_seed()
    open_page(page, game)
    press(page)
    expect(page.locator("#stage")).to_have_attribute("data-scene", "lost")
    crash = f"{game.history[0]['crash_point']:.2f}×"
    expect(page.locator("#multiplier")).to_have_text(crash)
    expect(page.locator("#message")).to_contain_text(f"closed in at {crash}")
    expect(page.locator("#history li").first.locator(".chip")).to_have_text(crash)
    expect(page.locator("#nonce")).to_have_text("2")


def test_an_automatic_cash_out_is_sent_and_never_drawn_beyond(page, game):
    open_page(page, game)
    page.locator("#auto-cashout").fill("1.05")
    press(page)
    expect(page.locator("#stage-note")).to_have_text("auto cash-out at 1.05×")
    assert game.last("bet")["auto_cashout"] == 1.05
    expect(page.locator("#message")).to_contain_text("at 1.05×")
    expect(page.locator("#multiplier")).to_have_text("1.05×")


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
    expect(page.locator("#stage")).to_have_attribute("data-scene", "lost")
    assert 1.01 <= page.evaluate("window.highest") <= game.history[0]["crash_point"]


def test_the_multiplier_waits_for_ticks(page, game):
    game.ticks_stop = True
    game.crash_at_least = 900
    game.choose_seed()
    open_page(page, game)
    press(page)
    in_state(page, "flying")
    expect(page.locator("#connection")).to_contain_text("No news from the server")
    assert page.locator("#multiplier").inner_text() == "1.00×"


def test_a_bet_waits_for_the_wallet(page, game):
    game.bet_answer = "hold"
    open_page(page, game)
    press(page)
    in_state(page, "pending")
    expect(page.locator("#message")).to_contain_text("Asking your casino's wallet")
    expect(page.locator("#stake")).to_be_disabled()
    game.start_held_round()
    in_state(page, "flying")


def test_a_win_on_its_way_is_shown_until_it_arrives(page, game):
    game.hold_wins = True
    open_page(page, game)
    page.locator("#auto-cashout").fill("1.02")
    press(page)
    expect(page.locator("#pending")).to_have_text("+$1.02 on its way")
    expect(page.locator("#balance")).to_have_text("$999.00")
    game.deliver_wins()
    expect(page.locator("#pending")).to_be_hidden()
    expect(page.locator("#balance")).to_have_text("$1,000.02")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("insufficient_funds", "does not cover this stake"),
        ("wallet_pending", "still on its way"),
        ("wallet_unavailable", "cannot be reached"),
        ("rate_limited", "Too many clicks"),
        ("draining", "closing for maintenance"),
        ("round_in_progress", "already running"),
    ],
)
def test_a_refused_bet_says_why(page, game, answer, words):
    game.bet_answer = answer
    open_page(page, game)
    press(page)
    expect(page.locator("#message")).to_contain_text(words)
    in_state(page, "bet")


def test_a_void_round_is_said_once_and_kept(page, game):
    game.bet_answer = "void:bet_declined"
    open_page(page, game)
    press(page)
    expect(page.locator("#message")).to_have_attribute("data-key", "void.bet_declined")
    expect(page.locator("#history li")).to_have_count(1)
    expect(page.locator("#history li .chip")).to_have_text("Round void")
    page.wait_for_timeout(100)
    expect(page.locator("#message")).to_have_attribute("data-key", "void.bet_declined")


def test_a_round_flies_on_through_a_lost_connection(page, game):
    game.crash_at_least = 900
    game.choose_seed()
    open_page(page, game)
    press(page)
    in_state(page, "flying")
    game.drop()
    in_state(page, "waiting")
    expect(page.locator("#connection")).to_contain_text("Connection lost")
    in_state(page, "flying")
    expect(page.locator("#message")).to_contain_text("Your round goes on")
    press(page)
    expect(page.locator("#message")).to_contain_text("Got away!")


def test_a_bet_that_never_arrived_is_resolved_by_the_welcome(page, game):
    game.bet_answer = "silence"
    open_page(page, game)
    press(page)
    in_state(page, "pending")
    game.drop()
    expect(page.locator("#message")).to_contain_text("No round has started")
    in_state(page, "bet")


def test_a_wallet_that_is_still_asked_after_the_welcome(page, game):
    game.bet_answer = "hold"
    open_page(page, game)
    press(page)
    in_state(page, "pending")
    game.drop()
    expect(page.locator("#game")).to_have_attribute("data-status", "lost")
    expect(page.locator("#game")).to_have_attribute("data-status", "open")
    in_state(page, "pending")
    game.void_held_round("wallet_unavailable")
    in_state(page, "bet")
    page.wait_for_timeout(100)
    expect(page.locator("#message")).to_have_attribute("data-key", "void.wallet_unavailable")


def test_an_end_that_was_missed_is_told_after_the_welcome(page, game):
    game.crash_at_least = 900
    game.choose_seed()
    open_page(page, game)
    press(page)
    in_state(page, "flying")
    game.drop()
    game.crash_now()
    expect(page.locator("#message")).to_contain_text("Caught!")
    expect(page.locator("#stage")).to_have_attribute("data-scene", "lost")


@pytest.mark.parametrize(
    ("reason", "words", "can_continue"),
    [
        ("expired", "has expired", False),
        ("replaced", "opened in another window", True),
        ("operator_suspended", "paused this game", False),
    ],
)
def test_the_end_of_the_session_says_why(page, game, reason, words, can_continue):
    open_page(page, game)
    game.send("session_ended", reason=reason)
    game.drop()
    expect(page.locator("#game")).to_have_attribute("data-status", "closed")
    expect(page.locator("#connection")).to_contain_text(words)
    expect(page.locator("#resume")).to_be_visible(visible=can_continue)
    in_state(page, "disabled")
    if can_continue:
        page.locator("#resume").click()
        in_state(page, "bet")


def test_a_shutdown_is_followed_by_another_try(page, game):
    open_page(page, game)
    game.send("session_ended", reason="shutdown")
    game.drop()
    expect(page.locator("#connection")).to_contain_text("restarting")
    page.locator("#resume").click()
    in_state(page, "bet")


def test_a_wrong_link_says_so(page, game):
    game.hello_answer = "unauthorized"
    page.goto(game.url)
    expect(page.locator("#connection")).to_contain_text("not valid")
    in_state(page, "disabled")


def test_no_session_in_the_address(page, game):
    page.goto(f"http://127.0.0.1:{game.port}/play")
    expect(page.locator("#connection")).to_contain_text("no game session")
    expect(page.locator("#message")).to_contain_text("no game session")
    assert game.received == []
