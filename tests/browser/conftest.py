"""A headless Chromium for the page's tests, and the game server that obeys them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect, sync_playwright

from tests.browser.fake_server import NO_CHANCE, FakeGame
from tests.browser.fake_site import running
from tests.helpers.programs import needed

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE_MS = 20_000
"""Nothing takes so long, but on a machine that has much else to do."""
VIEWPORT = {"width": 1280, "height": 800}
BLANK = "about:blank"


@pytest.fixture(scope="session")
def node() -> str:
    return needed("node")


# Not for the whole run: Playwright keeps an event loop in this thread for as long as the browser lives.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = needed("chromium", "chromium-browser")
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """For all tests of a module, one after the other: each new one takes more than a second of the processor."""
    context = browser.new_context(viewport=VIEWPORT, locale="en-US")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    context.close()


@pytest.fixture
def page(tab: Page) -> Iterator[Page]:
    """A page as if it were new; whatever it complains about (an error, a breach of the policy) fails the test.

    What a test stores is stored for its server's origin, whose port no other test has.
    """
    complaints: list[str] = []

    def note_error(error: Error) -> None:
        complaints.append(str(error))

    def note_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    tab.on("pageerror", note_error)
    tab.on("console", note_console)
    yield tab
    tab.goto(BLANK)
    tab.remove_listener("pageerror", note_error)
    tab.remove_listener("console", note_console)
    tab.unroute_all()
    tab.emulate_media(reduced_motion="null")
    tab.set_viewport_size(VIEWPORT)
    tab.mouse.move(0, 0)
    tab.context.clear_cookies()
    tab.context.clear_permissions()
    assert complaints == []


@pytest.fixture
def game(page: Page) -> Iterator[FakeGame]:
    page.context.add_init_script(NO_CHANCE)
    with running(FakeGame()) as game:
        yield game
        # Before the server: a file that was still under way would be a complaint.
        page.goto(BLANK)
