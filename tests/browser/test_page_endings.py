"""How the game ends on a page and what a player can do then, and the reminders of a launch, in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.fake_server import FakeGame, now_ms
from tests.browser.steps import fly_long, in_state, on_stage, open_page, press, press_key

MINUTE_MS = 60_000


def ended(page: Page, title: str, words: str, *, can_resume: str | None = None) -> None:
    """The ending covers the table: what happened, and what to do."""
    ending = page.locator("#ending")
    expect(ending).to_be_visible()
    expect(ending.locator("h2")).to_have_text(title)
    expect(ending.get_by_role("alert")).to_contain_text(words)
    expect(page.locator("#resume")).to_be_visible(visible=can_resume is not None)
    if can_resume is not None:
        expect(page.locator("#resume")).to_have_text(can_resume)
    expect(page.locator("#action-main")).to_have_text("CLOSED")
    in_state(page, "disabled")
    assert page.evaluate("['#panel', '#stage'].every((name) => document.querySelector(name).inert)")


@pytest.mark.parametrize(
    ("reason", "title", "words"),
    [
        ("expired", "Session over", "has expired"),
        ("operator_suspended", "Game paused", "paused this game"),
        ("from_a_later_server", "Session over", "open the game again"),
    ],
)
def test_the_end_of_the_session_says_why(page, game, reason, title, words):
    game.launch = {"lobby_url": "/lobby"}
    open_page(page, game)
    game.send("session_ended", reason=reason)
    ended(page, title, words)
    expect(page.locator("#ending-lobby")).to_be_visible()
    expect(page.locator("#balance")).to_be_visible()
    game.drop()
    if reason != "from_a_later_server":
        expect(page.locator("#game")).to_have_attribute("data-status", "closed")
        ended(page, title, words)


def test_a_session_that_is_opened_elsewhere_can_be_continued_here(page, game):
    open_page(page, game)
    game.send("session_ended", reason="replaced")
    game.drop()
    ended(page, "Playing elsewhere", "another window", can_resume="Continue here")
    expect(page.locator("#ending-lobby")).to_be_hidden()
    page.locator("#resume").click()
    in_state(page, "bet")
    expect(page.locator("#ending")).to_be_hidden()
    assert game.count("hello") == 2


def test_a_restart_is_said_and_the_game_comes_back_by_itself(page, game):
    # The pause after a shutdown is long for a test: a page that is woken asks at once, as after a sleep.
    open_page(page, game)
    game.send("session_ended", reason="shutdown")
    game.drop()
    ended(page, "Back in a moment", "restarting", can_resume="Reconnect now")
    expect(page.locator("#game")).to_have_attribute("data-status", "lost")
    page.evaluate("dispatchEvent(new Event('online'))")
    in_state(page, "bet")
    expect(page.locator("#ending")).to_be_hidden()
    expect(page.locator("#message")).to_have_text("You are connected again.")


def test_a_restart_is_over_when_the_player_asks(page, game):
    open_page(page, game)
    game.hello_answer = "draining"
    game.send("session_ended", reason="shutdown")
    game.drop()
    page.locator("#resume").click()
    expect(page.locator("#game")).to_have_attribute("data-status", "lost")
    ended(page, "Back in a moment", "restarting", can_resume="Reconnect now")
    game.hello_answer = "welcome"
    page.locator("#resume").click()
    in_state(page, "bet")


def test_a_wrong_link_says_so(page, game):
    game.hello_answer = "unauthorized"
    page.goto(game.url)
    ended(page, "Unknown session", "not valid", can_resume="Reconnect now")
    expect(page.locator("#game")).to_have_attribute("data-status", "closed")


def test_no_session_in_the_address(page, game):
    page.goto(f"http://127.0.0.1:{game.port}/play")
    ended(page, "No session", "no game session")
    assert game.received == []


def test_the_way_back_to_the_lobby(page, game):
    open_page(page, game)
    expect(page.locator("#lobby")).to_be_hidden()
    lobby_url = f"http://127.0.0.1:{game.port}/lobby?from=game&x=<1>"
    game.launch = {"lobby_url": lobby_url, "frame_origins": ["https://casino.example"]}
    open_page(page, game)
    lobby = page.get_by_role("link", name="Back to the casino")
    expect(lobby).to_have_attribute("href", lobby_url)
    expect(lobby).to_have_attribute("target", "_top")
    expect(lobby).to_have_attribute("rel", re.compile("noreferrer"))


def remind_soon(game: FakeGame, seconds: int) -> None:
    """A reminder every two minutes, the next one in so many seconds."""
    game.launch = {"reality_check_minutes": 2}
    game.started_at = now_ms() - 2 * MINUTE_MS + seconds * 1_000


def test_a_reminder_waits_for_the_end_of_a_round(page, game):
    remind_soon(game, 3)
    game.totals = {"rounds": 7, "staked_minor": 5_000, "paid_minor": 3_500}
    fly_long(game)
    open_page(page, game)
    reality = page.locator("#reality")
    expect(reality).to_be_hidden()
    press(page)
    in_state(page, "flying")
    expect(page.locator("#played")).to_have_text(re.compile("02:0[12]"))
    on_stage(page, "flying")
    expect(reality).to_be_hidden()
    game.end_now("cashout", 150)
    expect(reality).to_be_visible()
    # 15.00 lost before, half a stake of 1.00 won now.
    text = page.locator("#reality-text")
    expect(text).to_have_text(re.compile(r"playing for 02:0\d\. The result of this session is -\$14\.50\."))
    # A key that was meant for the round neither bets nor answers the reminder unread.
    for key in ("Space", "Enter"):
        press_key(page, key)
    expect(reality).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator("#reality-continue")).to_be_focused()
    page.keyboard.press("Enter")
    expect(reality).to_be_hidden()
    in_state(page, "bet")
    assert game.count("bet") == 1
    press(page)
    in_state(page, "flying")
    game.crash_now()
    on_stage(page, "lost")
    expect(reality).to_be_hidden()


def test_a_player_who_leaves_at_a_reminder_goes_to_the_lobby(page, game):
    remind_soon(game, 0)
    game.launch["lobby_url"] = f"http://127.0.0.1:{game.port}/lobby"
    page.goto(game.url)
    page.locator("#reality-leave").click()
    page.wait_for_url("**/lobby")


def test_a_player_who_leaves_without_a_lobby_closes_the_game(page, game):
    remind_soon(game, 0)
    page.goto(game.url)
    page.locator("#reality-leave").click()
    ended(page, "Game closed", "closed")
    expect(page.locator("#game")).to_have_attribute("data-status", "closed")
    assert game.count("bet") == 0


def test_without_a_reminder_in_the_launch_there_is_none(page, game):
    game.started_at = now_ms() - 600 * MINUTE_MS
    open_page(page, game)
    expect(page.locator("#played")).to_have_text(re.compile(r"10:00:0\d"))
    expect(page.locator("#reality")).to_be_hidden()
