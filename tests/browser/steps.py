"""What a player does on the page, for tests."""

import re

from playwright.sync_api import Frame, Page, TimeoutError, expect

from tests.browser.fake_server import FakeGame

# Presses closer together than a double click are taken as one: wait until another one counts.
UNTIL_A_PRESS_COUNTS = """
() => new Promise((done) => {
  if (globalThis.pressedAtMs === undefined) {
    globalThis.pressedAtMs = -Infinity;
    const press = () => { globalThis.pressedAtMs = performance.now(); };
    for (const type of ["click", "keydown"]) addEventListener(type, press, { capture: true });
  }
  const isCalm = () => document.querySelector("#action").dataset.state === "calm";
  const wait = () => (performance.now() > pressedAtMs + 420 && !isCalm() ? done() : setTimeout(wait, 20));
  wait();
})
"""
IS_SO = """
([selector, name, pattern]) => {
  const value = document.querySelector(selector)?.getAttribute(name);
  return value !== undefined && value !== null && new RegExp(pattern).test(value);
}
"""
LOOK_MS = 20


def open_page(page: Page, game: FakeGame, state: str = "bet") -> None:
    page.goto(game.url)
    in_state(page, state)


def press(page: Page) -> None:
    page.evaluate(UNTIL_A_PRESS_COUNTS)
    page.locator("#action").click()


def press_key(page: Page, key: str) -> None:
    page.evaluate(UNTIL_A_PRESS_COUNTS)
    page.keyboard.press(key)


def has(where: Page | Frame, selector: str, name: str, *values: str) -> None:
    """The attribute has one of these values, soon. ``expect`` looks ever more seldom, in the end once a second."""
    pattern = "|".join(f"^{re.escape(value)}$" for value in values)
    try:
        where.wait_for_function(IS_SO, arg=[selector, name, pattern], polling=LOOK_MS)
    except TimeoutError:
        # It also says what the value is instead.
        expect(where.locator(selector)).to_have_attribute(name, re.compile(pattern), timeout=LOOK_MS)


def in_state(page: Page, state: str) -> None:
    """The big button is in this state."""
    has(page, "#action", "data-state", state)


def on_stage(page: Page, scene: str) -> None:
    has(page, "#stage", "data-scene", scene)


def fly_long(game: FakeGame) -> None:
    """The next rounds do not crash within a test."""
    game.crash_at_least, game.crash_at_most = 900, 10**9
    game.choose_seed()


def crash_soon(game: FakeGame) -> None:
    game.crash_at_least, game.crash_at_most = 101, 104
    game.choose_seed()
