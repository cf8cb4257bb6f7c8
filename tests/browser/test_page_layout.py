"""The page in every size and language, with the longest amounts: nothing cut off, nothing on top of anything else."""

from pathlib import Path

import pytest
from playwright.sync_api import Frame, Page, expect

from tests.browser.fake_server import FakeGame
from tests.browser.steps import crash_soon, fly_long, in_state, on_stage, open_page, press

SIZES = [(320, 480), (360, 640), (640, 360), (768, 1024), (1280, 800), (1920, 1080), (3840, 2160)]
FRAMES = [(320, 568), (500, 300)]
TIGHT = [(320, 480), (500, 300), (640, 360), (1280, 800)]
"""One of each arrangement, as small as it gets."""

LANGUAGES = sorted(path.stem for path in (Path(__file__).parents[2] / "static" / "messages").glob("*.json"))
LONGEST_MINOR = 999_999_999_999
PROBE = Path(__file__).with_name("layout_probe.js").read_text("utf-8")
SETTLED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def long_amounts(game: FakeGame) -> None:
    """Balances of twelve digits, a win that the operator has not got yet, and the longest stakes."""
    game.balance_minor = LONGEST_MINOR
    game.pending_minor = LONGEST_MINOR
    game.hold_wins = True
    game.totals = {"rounds": 9, "staked_minor": LONGEST_MINOR, "paid_minor": 0}
    game.started_at -= 12 * 3_600_000
    game.limits |= {"min_bet_minor": 1, "max_bet_minor": 99_999_999_999, "bet_step_minor": 1}
    game.limits["max_payout_minor"] = LONGEST_MINOR
    fly_long(game)
    game.finish_rounds(25)


def complaints_in(frame: Frame | Page, where: str) -> list[str]:
    frame.evaluate(SETTLED)
    return [f"{where}: {complaint}" for complaint in frame.evaluate(PROBE)]


def complaints_at(sizes: list[tuple[int, int]], page: Page, where: str) -> list[str]:
    complaints = []
    for width, height in sizes:
        page.set_viewport_size({"width": width, "height": height})
        complaints += complaints_in(page, f"{where} {width}x{height}")
    return complaints


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_state_fits_every_size(page, game, lang):
    long_amounts(game)
    game.launch = {"lang": lang, "lobby_url": "/lobby"}
    game.currency = "EUR"
    open_page(page, game)
    assert page.evaluate("[document.documentElement.lang, document.documentElement.dir]") == [
        lang,
        "rtl" if lang == "ar" else "ltr",
    ]
    page.locator("[data-chip=max]").click()
    complaints = complaints_at([*SIZES, *FRAMES], page, f"{lang} ready")
    game.ticks_stop = True
    press(page)
    in_state(page, "flying")
    expect(page.locator("#connection")).to_be_visible()
    complaints += complaints_at(TIGHT, page, f"{lang} flying")
    game.end_now("max_win", 1_000)
    on_stage(page, "won")
    game.currency = "KRW"
    game.welcome_again()
    expect(page.locator("#stake-label")).to_contain_text("KRW")
    page.locator("[data-chip=max]").click()
    complaints += complaints_at(TIGHT, page, f"{lang} won")
    assert complaints == [], "\n".join(complaints)


def test_the_game_in_a_frame_is_as_large_as_the_frame(page, game):
    long_amounts(game)
    page.goto(f"http://127.0.0.1:{game.port}/lobby")
    expect(page.frame_locator("iframe").locator("#action")).to_have_attribute("data-state", "bet")
    [frame] = page.main_frame.child_frames
    complaints = []
    for width, height in FRAMES:
        page.evaluate(
            "([width, height]) => Object.assign(document.querySelector('iframe'), { width, height })", [width, height]
        )
        frame.wait_for_function(
            "([width, height]) => innerWidth === width && innerHeight === height", arg=[width, height]
        )
        complaints += complaints_in(frame, f"{width}x{height}")
    assert complaints == [], "\n".join(complaints)


def test_a_replay_and_a_lost_connection_are_both_told_on_the_smallest_stage(page, game):
    crash_soon(game)
    game.finish_rounds(1)
    page.set_viewport_size({"width": 320, "height": 480})
    open_page(page, game)
    page.locator("#history button").click()
    page.locator("#sheet-replay").click()
    on_stage(page, "lost")
    game.hello_answer = "close"
    game.drop()
    expect(page.locator("#connection")).to_be_visible()
    complaints = [complaint for complaint in complaints_in(page, "replay") if "button is" not in complaint]
    assert complaints == [], "\n".join(complaints)
