"""A headless Chromium for the page's tests, and the game server that obeys them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.fake_server import FakeGame
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


@pytest.fixture(scope="session")
def node() -> str:
    return needed("node")


# Not for the whole run: Playwright keeps an event loop in this thread for as long as the browser lives.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = needed("chromium", "chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a context of its own; whatever it complains about (an error, a breach of the policy) fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-US")
    page = context.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def game(page: Page) -> Iterator[FakeGame]:
    with running(FakeGame()) as game:
        yield game
        # Before the server: a file that was still under way would be a complaint.
        page.close()
