"""What the page shows while the connection comes, goes, is slow or says nothing, in a real browser."""

import re

from playwright.sync_api import expect

from actors.rules.fairness import commitment
from tests.browser.steps import crash_soon, fly_long, in_state, on_stage, open_page, press


def test_until_the_welcome_the_page_connects(page, game):
    game.hello_answer = "silence"
    page.goto(game.url)
    expect(page.locator("#connection")).to_have_text("Connecting…")
    expect(page.locator("#game")).to_have_attribute("data-status", "connecting")
    expect(page.locator("#action-main")).to_have_text("CONNECTING…")
    in_state(page, "disabled")
    expect(page.locator("#balance")).to_have_text("–")
    expect(page.locator("#stake")).to_be_disabled()
    page.keyboard.press("Space")
    page.locator("#open-rules").click()
    expect(page.locator("#rules")).to_be_hidden()
    game.welcome_again()
    in_state(page, "bet")
    expect(page.locator("#connection")).to_be_hidden()
    assert game.count("bet") == 0


def test_a_lost_connection_says_when_it_is_tried_again(page, game):
    game.finish_rounds(1)
    open_page(page, game)
    game.hello_answer = "close"
    game.drop()
    expect(page.locator("#connection")).to_have_text(re.compile(r"^Connection lost\. Trying again in \d+ s…$"))
    expect(page.locator("#connection")).to_have_attribute("data-tone", "lost")
    expect(page.locator("#action-main")).to_have_text("CONNECTING…")
    in_state(page, "disabled")
    # What the page knows already it still shows.
    expect(page.locator("#balance")).to_have_text("$1,000.00")
    page.locator("#history button").click()
    expect(page.locator("#sheet-checks .ok").first).to_be_visible()
    page.keyboard.press("Escape")
    game.hello_answer = "welcome"
    # The network is back: that does not wait for the next try.
    page.evaluate("dispatchEvent(new Event('online'))")
    in_state(page, "bet")
    expect(page.locator("#message")).to_have_text("You are connected again.")
    assert game.count("bet") == 0


def test_a_promise_that_is_discarded_must_have_been_one(page, game):
    open_page(page, game)
    seed = "ab" * 32
    for seed_hash, is_told in ((commitment(seed), False), ("0" * 64, True)):
        discarded = {"server_seed": seed, "server_seed_hash": seed_hash, "nonce": 1}
        game.send("welcome", **game.welcome(), discarded=discarded)
        page.wait_for_timeout(100)
        told = expect(page.locator("#message"))
        (told.to_contain_text if is_told else told.not_to_contain_text)("does NOT match its hash")


def test_a_round_flies_on_through_a_lost_connection(page, game):
    fly_long(game)
    open_page(page, game)
    press(page)
    in_state(page, "flying")
    game.drop()
    in_state(page, "waiting")
    expect(page.locator("#action-main")).to_have_text("RECONNECTING…")
    # It may fly on, have ended, or be refunded: nobody here knows.
    expect(page.locator("#action-sub")).to_have_text("your round is with the server")
    expect(page.locator("#connection")).to_contain_text("Connection lost")
    on_stage(page, "flying")
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


def test_a_bet_that_never_reached_the_wallet_is_told_from_an_unclear_one(page, game):
    game.bet_answer = "void:wallet_unavailable"
    open_page(page, game)
    press(page)
    expect(page.locator("#message")).to_have_attribute("data-key", "void.not_sent")
    in_state(page, "bet")
    said = "Your bet did not reach your casino's wallet, so the round is void. Nothing was staked."
    expect(page.locator("#message")).to_have_text(said)


def test_a_wallet_that_is_still_asked_after_the_welcome(page, game):
    game.bet_answer = "hold"
    open_page(page, game)
    press(page)
    in_state(page, "pending")
    game.drop()
    expect(page.locator("#game")).to_have_attribute("data-status", "lost")
    expect(page.locator("#game")).to_have_attribute("data-status", "open")
    in_state(page, "pending")
    game.hold_wins = True
    game.void_held_round("wallet_unavailable", 100)
    in_state(page, "bet")
    expect(page.locator("#message")).to_have_attribute("data-key", "void.wallet_unavailable")
    expect(page.locator("#message")).to_contain_text("If your stake was taken, it is on its way back.")
    game.deliver_wins()
    expect(page.locator("#message")).to_contain_text(
        "no clear answer, so the round is void. If your stake was taken, it is back."
    )


def test_an_end_that_was_missed_is_told_after_the_welcome(page, game):
    fly_long(game)
    open_page(page, game)
    press(page)
    in_state(page, "flying")
    crash_soon(game)
    game.drop()
    game.crash_now()
    expect(page.locator("#message")).to_contain_text("Caught.")
    on_stage(page, "lost")


def test_a_flight_without_news_waits_and_says_so(page, game):
    game.ticks_stop = True
    fly_long(game)
    open_page(page, game)
    press(page)
    in_state(page, "flying")
    expect(page.locator("#connection")).to_contain_text("No news from the server")
    expect(page.locator("#connection")).to_have_attribute("data-tone", "lost")
    assert page.locator("#multiplier").inner_text() == "1.00×"
    game.ticks_stop = False
    expect(page.locator("#connection")).to_be_hidden()
    expect(page.locator("#multiplier")).not_to_have_text("1.00×")


def test_a_slow_connection_shows_its_round_trip_and_plays(page, game):
    game.pong_delay_ms = 350
    fly_long(game)
    open_page(page, game)
    slow = re.compile(r"Slow connection: (3[5-9]\d|[4-9]\d\d|\d{4}) ms there and back")
    expect(page.locator("#connection")).to_have_text(slow)
    expect(page.locator("#connection")).to_have_attribute("data-tone", "slow")
    in_state(page, "bet")
    page.locator("#open-rules").click()
    expect(page.locator("#rules-text")).to_contain_text(re.compile(r"Your connection takes [3-9]\d\d+ ms"))
    page.keyboard.press("Escape")
    game.pong_delay_ms = 0
    press(page)
    in_state(page, "flying")
    expect(page.locator("#connection")).to_be_hidden(timeout=10_000)
