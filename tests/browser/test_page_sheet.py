"""Finished rounds, their checks and replays, and the rules, in a real browser."""

import re

from playwright.sync_api import Page, expect

from tests.browser.fake_server import FakeGame
from tests.browser.steps import crash_soon, fly_long, in_state, on_stage, open_page, press, press_key


def played(game: FakeGame) -> list[dict]:
    """What the page has sent but for its pings."""
    return [frame for frame in game.received if frame["type"] != "ping"]


def test_history_pages_and_details_with_their_check(page, game):
    game.finish_rounds(45)
    open_page(page, game)
    items = page.locator("#history li")
    expect(items).to_have_count(20)
    page.locator("#load-more").click()
    expect(items).to_have_count(40)
    page.locator("#load-more").click()
    expect(items).to_have_count(45)
    expect(page.locator("#load-more")).to_be_hidden()
    entry = game.history[30]
    page.locator(f"[data-round-id='{entry['round_id']}'] button").click()
    expect(page.locator("[data-fact=server-seed]")).to_have_text(entry["server_seed"])
    expect(page.locator("[data-fact=server-seed-hash]")).to_have_text(entry["server_seed_hash"])
    expect(page.locator("[data-fact=client-seed]")).to_have_text(entry["client_seed"])
    expect(page.locator("[data-fact=nonce]")).to_have_text(str(entry["nonce"]))
    expect(page.locator("[data-fact=crash]")).to_have_text(f"{entry['crash_point']:.2f}×")
    expect(page.locator("#sheet-checks .bad")).to_have_count(0)
    expect(page.locator("#sheet-checks")).to_contain_text("The server seed matches its hash.")
    expect(page.locator("#sheet-checks")).to_contain_text(f"exactly this crash point: {entry['crash_point']:.2f}×")
    expect(page.locator("#sheet-checks")).to_contain_text("The payout is the stake times the multiplier")
    expect(page.locator("#sheet-checks")).to_contain_text("did not see the hash then")
    expect(page.locator("#sheet-shell")).to_contain_text("openssl dgst -sha256 -hmac")
    link = page.locator("#sheet-verify").get_attribute("href")
    assert link.startswith(f"http://127.0.0.1:{game.port}/verify#server_seed={entry['server_seed']}")
    page.keyboard.press("Escape")
    expect(page.locator("#sheet")).to_be_hidden()


def test_a_round_in_another_currency_is_told_in_it(page, game):
    game.finish_rounds(1)
    game.history[0]["currency"] = "JPY"
    open_page(page, game)
    page.locator("#history [data-round-id] button").click()
    expect(page.locator("#sheet-outcome")).to_contain_text("¥1,000")
    expect(page.locator("#sheet-facts")).to_contain_text("¥1,000")
    expect(page.locator("#sheet-facts")).not_to_contain_text("$")


def test_a_forged_round_fails_its_check(page, game):
    game.finish_rounds(3)
    first, second, third = game.history
    first["server_seed"] = "f" * 64
    second["crash_point"] += 0.5
    third["payout_minor"] += 1
    open_page(page, game)
    bad = page.locator("#sheet-checks .bad")
    verdicts = [
        (
            first,
            [
                "The server seed does NOT match its hash.",
                re.compile("another crash point"),
                re.compile("another building"),
            ],
        ),
        (second, [re.compile("give another crash point")]),
        (third, [re.compile("payout is NOT the stake times")]),
    ]
    for entry, words in verdicts:
        page.locator(f"[data-round-id='{entry['round_id']}'] button").click()
        expect(bad).to_have_text(words)
        page.locator("#sheet [data-close]").click()


def test_a_round_played_here_was_promised_before_and_all_its_checks_are_good(page, game):
    crash_soon(game)
    open_page(page, game)
    promised = page.locator("#commitment").inner_text()
    press(page)
    on_stage(page, "lost")
    page.locator("#history button").first.click()
    expect(page.locator("#sheet-checks .bad")).to_have_count(0)
    expect(page.locator("#sheet-checks")).to_contain_text("This page showed you the hash before you bet.")
    expect(page.locator("#sheet-checks li:not(.ok, .code)")).to_have_count(0)
    expect(page.locator("[data-fact=server-seed-hash]")).to_have_text(promised)
    expect(page.locator("#sheet-outcome")).to_have_text(re.compile(r"Caught at 1\.0\d× · -\$1\.00"))


def replaying(page: Page, *, is_on: bool) -> None:
    """A replay is labelled, and nothing of betting is there beside it."""
    expect(page.locator("#badge")).to_be_visible(visible=is_on)
    expect(page.locator("#replay-bar")).to_be_visible(visible=is_on)
    for name in ("#action", "#controls", "#stake", "#fair"):
        expect(page.locator(name)).to_be_visible(visible=not is_on)


def test_a_replay_is_labelled_stakes_nothing_and_ends(page, game):
    crash_soon(game)
    game.finish_rounds(1)
    entry = game.history[0]
    open_page(page, game)
    sent = played(game)
    page.locator("#history button").click()
    page.locator("#sheet-replay").click()
    replaying(page, is_on=True)
    expect(page.locator("#badge")).to_have_text("REPLAY A round of the past. Nothing is staked.")
    on_stage(page, "lost")
    expect(page.locator("#multiplier")).to_have_text(f"{entry['crash_point']:.2f}×")
    for key in ("Space", "Enter"):
        press_key(page, key)
    page.locator("#replay-again").click()
    on_stage(page, "flying")
    expect(page.locator("#stage-note")).to_be_empty()
    on_stage(page, "lost")
    page.locator("#replay-stop").click()
    replaying(page, is_on=False)
    on_stage(page, "idle")
    in_state(page, "bet")
    expect(page.locator("#balance")).to_have_text("$1,000.00")
    assert played(game) == sent


def test_a_round_that_begins_ends_the_replay_of_another(page, game):
    fly_long(game)
    game.finish_rounds(2)
    game.history[0] |= {"result": "cashout", "realized_multiplier": 3, "payout_minor": 3_000}
    open_page(page, game)
    page.locator("#history button").first.click()
    page.locator("#sheet-replay").click()
    replaying(page, is_on=True)
    on_stage(page, "flying")
    game.begin_round(1_000)
    replaying(page, is_on=False)
    in_state(page, "flying")
    expect(page.locator("#balance")).to_have_text("$990.00")
    # While a round flies another one's details can be read; its replay has to wait.
    page.locator("#history button").first.click()
    page.locator("#sheet-replay").click()
    expect(page.locator("#sheet")).to_be_hidden()
    replaying(page, is_on=False)
    in_state(page, "flying")


def test_the_rules_are_those_of_the_session(page, game):
    game.rtp_bps = 9725
    game.limits |= {"min_bet_minor": 20, "max_bet_minor": 12_340, "bet_step_minor": 20}
    game.limits |= {"max_payout_minor": 7_654_300, "max_win_multiplier": 1_234}
    game.choose_seed()
    open_page(page, game)
    page.locator("#open-rules").click()
    rules = page.locator("#rules-text")
    expect(page.get_by_role("dialog", name="Rules")).to_be_visible()
    facts = [
        "97.25 %",
        "from $0.20 to $123.40",
        "steps of $0.20",
        "multiplier is 1234.00×",
        "$76,543.00",
        "cash-out of 1.01×",
    ]
    for fact in facts:
        expect(rules).to_contain_text(fact)
    page.locator("#rules [data-close]").click()
    expect(page.locator("#rules")).to_be_hidden()
    # A session that goes on under other terms shows those.
    game.rtp_bps = 9600
    game.limits["max_bet_minor"] = 5_000
    game.welcome_again()
    expect(page.locator("[data-stake]").last).to_have_text("20")
    page.locator("#stake").fill("100")
    expect(page.locator("#hint")).to_contain_text("largest stake is $50.00")
    page.locator("#open-rules").click()
    expect(rules).to_contain_text("from $0.20 to $50.00")
    expect(rules).to_contain_text("Return to player: 96 %")
