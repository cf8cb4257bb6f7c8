"""Sixty rounds on one page, in a real browser: what it takes does not grow."""

from decimal import Decimal

from playwright.sync_api import CDPSession, Page, expect

from tests.browser.fake_server import FakeGame
from tests.browser.steps import LOOK_MS, crash_soon, in_state, open_page, press

ROUNDS_FIRST = 10
ROUNDS_THEN = 50
HISTORY_KEPT = 100
# Compiled code and the promises that are remembered settle within 200 rounds, at some 20 KB for each of these fifty.
HEAP_GROWTH_MAX = 1_000_000
NODES_GROWTH_MAX = 20


def measures(tools: CDPSession) -> dict[str, float]:
    """Bytes of the heap, nodes and listeners, without what is only waiting to be collected."""
    tools.send("HeapProfiler.collectGarbage")
    metrics = {metric["name"]: metric["value"] for metric in tools.send("Performance.getMetrics")["metrics"]}
    heap = tools.send("Runtime.getHeapUsage")["usedSize"]
    return {"heap": heap, "nodes": metrics["Nodes"], "listeners": metrics["JSEventListeners"]}


def play(page: Page, game: FakeGame, rounds: int) -> None:
    """Every fifth round is the player's own; the server plays the others, since presses that count take their time."""
    for number in range(rounds):
        nonce = game.nonce
        if number % 5 == 0:
            press(page)
            in_state(page, "bet")
        else:
            game.play_round(1_000, 150 if number % 2 else 0)
        shown = "(nonce) => document.querySelector('#nonce').textContent === nonce"
        page.wait_for_function(shown, arg=str(nonce + 1), polling=LOOK_MS)


def test_fifty_more_rounds_take_no_more_room(page, game):
    # Short ones: 1.04 is over in 65 ms.
    game.rate, game.tick_ms = Decimal("0.0006"), 20
    game.finish_rounds(HISTORY_KEPT)
    crash_soon(game)
    open_page(page, game)
    for loaded in range(40, HISTORY_KEPT + 1, 20):
        page.locator("#load-more").click()
        expect(page.locator("#history li")).to_have_count(loaded)
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable")
    play(page, game, ROUNDS_FIRST)
    before = measures(tools)
    play(page, game, ROUNDS_THEN)
    after = measures(tools)
    expect(page.locator("#history li")).to_have_count(HISTORY_KEPT)
    assert after["listeners"] == before["listeners"]
    assert after["nodes"] - before["nodes"] <= NODES_GROWTH_MAX
    assert after["heap"] - before["heap"] <= HEAP_GROWTH_MAX, (before, after)
