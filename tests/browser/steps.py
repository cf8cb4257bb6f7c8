"""What a player does on the page, for tests."""

from playwright.sync_api import Page, expect

from tests.browser.fake_server import FakeGame


def open_page(page: Page, game: FakeGame, state: str = "bet") -> None:
    page.goto(game.url)
    expect(page.locator("#action")).to_have_attribute("data-state", state)


def press(page: Page) -> None:
    # Presses closer together than a double click are taken as one.
    page.wait_for_timeout(450)
    page.locator("#action").click()


def in_state(page: Page, state: str) -> None:
    expect(page.locator("#action")).to_have_attribute("data-state", state)
