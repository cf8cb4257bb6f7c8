"""The page for those who do not see it, do not use a pointer or want no motion, in a real browser."""

import re
from importlib.resources import files

import pytest
from playwright.sync_api import Page, expect

from tests.browser.fake_server import FakeGame, now_ms
from tests.browser.steps import crash_soon, fly_long, in_state, on_stage, open_page, press, press_key

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]
RUN_AXE = """
async (standards) => {
  const { violations } = await axe.run(document, { runOnly: standards, resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`));
}
"""
FOCUSED = """
() => {
  const at = document.activeElement;
  if (at === document.body) return "";
  return at.id || at.dataset.chip || (at.closest("#history") ? "round" : at.localName);
}
"""
HAS_RING = """
() => {
  const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
  return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
}
"""


class Checked:
    """Runs axe on the page as it is, and keeps what it complains of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []

    def look(self, where: str) -> None:
        # Not a script of the page, which its policy would refuse: the browser's own tool.
        if self.page.evaluate("typeof globalThis.axe") == "undefined":
            self.page.evaluate(AXE)
        self.complaints += [f"{where}: {complaint}" for complaint in self.page.evaluate(RUN_AXE, STANDARDS)]

    def close(self) -> None:
        assert self.complaints == [], "\n".join(self.complaints)


def remind_at_once(game: FakeGame) -> None:
    game.launch["reality_check_minutes"] = 1
    game.started_at = now_ms() - 60_000


@pytest.mark.parametrize(("width", "height", "lang"), [(1280, 800, "en"), (360, 640, "en"), (360, 640, "ar")])
def test_axe_finds_nothing_in_any_state(page, game, width, height, lang):
    page.set_viewport_size({"width": width, "height": height})
    game.launch = {"lang": lang, "lobby_url": "/lobby"}
    game.finish_rounds(3)
    fly_long(game)
    open_page(page, game)
    checked = Checked(page)
    checked.look("ready")
    press(page)
    in_state(page, "flying")
    checked.look("flying")
    crash_soon(game)
    game.end_now("cashout", 250)
    on_stage(page, "won")
    checked.look("won")
    press(page)
    on_stage(page, "lost")
    checked.look("lost")
    page.locator("#history button").first.click()
    expect(page.locator("#sheet-checks .ok").first).to_be_visible()
    checked.look("details")
    page.locator("#sheet-replay").click()
    expect(page.locator("#badge")).to_be_visible()
    checked.look("replay")
    page.locator("#replay-stop").click()
    page.locator("#open-rules").click()
    checked.look("rules")
    page.keyboard.press("Escape")
    page.locator("#fair").evaluate("e => { e.open = true; }")
    page.locator("#stake").fill("x")
    in_state(page, "disabled")
    checked.look("a wrong stake and the seeds")
    game.send("session_ended", reason="replaced")
    expect(page.locator("#ending")).to_be_visible()
    checked.look("ending")
    checked.close()


def test_axe_finds_nothing_in_the_reminder(page, game):
    remind_at_once(game)
    page.goto(game.url)
    expect(page.locator("#reality")).to_be_visible()
    checked = Checked(page)
    checked.look("reminder")
    checked.close()


def test_axe_finds_what_is_wrong(page, game):
    open_page(page, game)
    page.evaluate("document.querySelector('#stake-label').remove()")
    checked = Checked(page)
    checked.look("without a label")
    assert any(complaint.startswith("without a label: label:") for complaint in checked.complaints)


def test_results_are_announced_and_the_multiplier_is_not(page, game):
    fly_long(game)
    open_page(page, game)
    live = "[aria-live]:not([aria-live=off]), [role=status], [role=alert], [role=log], output"
    assert page.locator("#multiplier").evaluate(f"e => e.closest('{live}') === null")
    assert page.locator("#action").evaluate(f"e => e.closest('{live}') === null")
    for row in ("#balance", "#net", "#played", "#loot"):
        assert page.locator(row).evaluate(f"e => e.closest('{live}') === null")
    message = page.locator("#message[role=status][aria-live=polite]")
    # What is said is said once: a flight must not write into it over and over.
    page.evaluate(
        "() => { globalThis.saidTimes = 0; new MutationObserver(() => { saidTimes += 1; })"
        ".observe(document.querySelector('#message'), { childList: true, characterData: true, subtree: true }); }"
    )
    press(page)
    in_state(page, "flying")
    expect(page.locator("#multiplier")).to_have_text(re.compile(r"1\.0[3-9]"))
    # The bet is on its way, the wallet is asked, the round flies: what comes within one frame is said as one.
    assert 1 <= page.evaluate("saidTimes") <= 3
    game.end_now("cashout", 150)
    expect(message).to_contain_text("Got away! $1.50 at 1.50×.")
    game.send("session_ended", reason="expired")
    expect(page.get_by_role("alert")).to_contain_text("has expired")


def tabbed(page: Page) -> str:
    """What has the focus after Tab; nothing behind the last."""
    page.keyboard.press("Tab")
    return page.evaluate(FOCUSED)


def test_a_round_by_keyboard_alone(page, game):
    fly_long(game)
    game.finish_rounds(1)
    game.launch = {"lobby_url": "/lobby"}
    open_page(page, game)
    order = []
    while (name := tabbed(page)) != "" and len(order) < 60:
        order.append(name)
        assert page.evaluate(HAS_RING), f"{name} shows no focus"
    wanted = [
        "open-rules",
        "sound",
        "lobby",
        "round",
        "stake",
        "half",
        "auto-cashout",
        "action",
        "summary",
        "client-seed",
    ]
    assert [name for name in order if name in wanted] == wanted
    while page.evaluate(FOCUSED) != "action":
        page.keyboard.press("Shift+Tab")
    press_key(page, "Enter")
    in_state(page, "flying")
    expect(page.locator("#action")).to_be_focused()
    expect(page.locator("#action-sub")).to_have_text(re.compile(r"^\$"))
    press_key(page, "Space")
    on_stage(page, "won")
    expect(page.locator("#action")).to_be_focused()
    round_button = page.locator("#history button").first
    round_button.focus()
    press_key(page, "Enter")
    expect(page.locator("#sheet")).to_be_visible()
    assert page.evaluate("document.activeElement.closest('#sheet') !== null")
    page.keyboard.press("Escape")
    expect(page.locator("#sheet")).to_be_hidden()
    expect(round_button).to_be_focused()
    page.locator("#open-rules").focus()
    press_key(page, "Enter")
    expect(page.locator("#rules")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#open-rules")).to_be_focused()
    assert (game.count("bet"), game.count("cashout")) == (1, 1)


def test_with_reduced_motion_the_picture_rests_and_the_game_plays(page, game):
    fly_long(game)
    open_page(page, game)
    picture = "() => document.querySelector('#scene').toDataURL()"
    before = page.evaluate(picture)
    page.wait_for_function(f"(before) => ({picture})() !== before", arg=before)
    page.emulate_media(reduced_motion="reduce")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    before = page.evaluate(picture)
    # Longer than the time played takes to change: the page draws again, and the same.
    expect(page.locator("#played")).not_to_have_text(page.locator("#played").inner_text())
    assert page.evaluate(picture) == before
    press(page)
    in_state(page, "flying")
    expect(page.locator("#multiplier")).to_have_text(re.compile(r"1\.0[2-9]"))
    press(page)
    on_stage(page, "won")
    # A player who changes the mind need not load the page again.
    crash_soon(game)
    page.emulate_media(reduced_motion="no-preference")
    press(page)
    on_stage(page, "lost")


def test_every_control_has_a_name(page, game):
    open_page(page, game)
    for role in ("button", "textbox"):
        for control in page.get_by_role(role).all():
            assert control.evaluate("e => (e.ariaLabel || e.textContent || e.labels?.[0]?.textContent || '').trim()")
