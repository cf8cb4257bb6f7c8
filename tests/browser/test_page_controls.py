"""The page's controls, its history and how it fits its frame, in a real browser."""

import pytest
from playwright.sync_api import expect

from tests.browser.steps import in_state, open_page, press


def test_chips_keep_stakes_within_limits_and_steps(page, game):
    open_page(page, game)
    stake = page.locator("#stake")
    expect(stake).to_have_value("1.00")
    page.locator("[data-chip=double]").click()
    expect(stake).to_have_value("2.00")
    page.locator("[data-chip=max]").click()
    expect(stake).to_have_value("1000.00")
    page.locator("[data-chip=double]").click()
    expect(stake).to_have_value("1000.00")
    page.locator("[data-chip=min]").click()
    expect(stake).to_have_value("0.10")
    page.locator("[data-chip=half]").click()
    expect(stake).to_have_value("0.10")
    stake.fill("0.15")
    in_state(page, "disabled")
    expect(page.locator("#hint")).to_contain_text("multiple of $0.10")
    stake.fill("lots")
    expect(page.locator("#hint")).to_contain_text("not an amount")
    stake.fill("5,000")
    expect(page.locator("#hint")).to_contain_text("largest stake is $1,000.00")
    stake.fill("3")
    stake.press("Enter")
    expect(stake).to_have_value("3.00")
    expect(page.locator("#action-sub")).to_have_text("$3.00")
    assert game.count("bet") == 0


@pytest.mark.parametrize(
    ("currency", "balance", "stake"),
    [("JPY", "¥100,000", "100"), ("KWD", "KWD 100.000", "0.100"), ("HUF", "HUF 1,000.00", "1.00")],
)
def test_currencies_of_other_exponents(page, game, currency, balance, stake):
    game.currency = currency
    open_page(page, game)
    assert page.locator("#balance").inner_text().replace("\u00a0", " ") == balance
    expect(page.locator("#stake")).to_have_value(stake)
    press(page)
    in_state(page, "flying")
    assert game.last("bet")["amount_minor"] == 100


def test_space_and_enter_press_the_button_but_not_while_typing(page, game):
    game.crash_at_least = 900
    game.choose_seed()
    open_page(page, game)
    page.locator("#stake").fill("2")
    page.locator("#stake").press("Space")
    assert game.count("bet") == 0
    page.locator("#stake").press("Enter")
    assert game.count("bet") == 0
    page.locator("[data-chip=double]").click()
    page.wait_for_timeout(450)
    page.keyboard.press("Space")
    in_state(page, "flying")
    assert game.last("bet")["amount_minor"] == 400
    expect(page.locator("#commitment-label")).to_have_text("This round's seed hash")
    page.wait_for_timeout(450)
    page.locator("#action").focus()
    page.keyboard.down("Space")
    page.keyboard.down("Space")
    page.keyboard.up("Space")
    in_state(page, "bet")
    page.wait_for_timeout(450)
    assert (game.count("bet"), game.count("cashout")) == (1, 1)


def test_a_double_click_bets_once_and_stays_in(page, game):
    game.crash_at_least = 900
    game.choose_seed()
    open_page(page, game)
    page.wait_for_timeout(450)
    page.locator("#action").dblclick()
    in_state(page, "flying")
    page.wait_for_timeout(100)
    assert (game.count("bet"), game.count("cashout")) == (1, 0)


def test_the_client_seed_can_be_chosen(page, game):
    open_page(page, game)
    seed = page.locator("#client-seed")
    seed.fill("my-own_seed")
    seed.press("Enter")
    expect(page.locator("#message")).to_contain_text("client seed is set")
    assert game.last("client_seed")["value"] == "my-own_seed"
    expect(page.locator("#commitment")).to_have_text(game.next_fields()["server_seed_hash"])
    seed.fill("not good")
    seed.press("Enter")
    expect(page.locator("#message")).to_contain_text("1 to 64 letters")
    expect(seed).to_have_value("my-own_seed")
    page.locator("#randomize").click()
    expect(seed).not_to_have_value("my-own_seed")
    expect(page.locator("#message")).to_contain_text("client seed is set")
    assert game.client_seed == seed.input_value()


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
    expect(page.locator("#sheet-checks .ok")).to_have_count(2)
    expect(page.locator("#sheet-shell")).to_contain_text("openssl dgst -sha256 -hmac")
    page.keyboard.press("Escape")
    expect(page.locator("#sheet")).to_be_hidden()


def test_a_forged_round_fails_its_check(page, game):
    game.finish_rounds(1)
    game.history[0]["crash_point"] += 0.5
    game.history[0]["server_seed_hash"] = "0" * 64
    open_page(page, game)
    page.locator("#history button").click()
    expect(page.locator("#sheet-checks .bad")).to_have_count(2)


def test_a_round_played_here_was_committed_to_before(page, game):
    game.crash_at_least, game.crash_at_most = 101, 104
    game.choose_seed()
    open_page(page, game)
    press(page)
    expect(page.locator("#stage")).to_have_attribute("data-scene", "lost")
    page.locator("#history button").first.click()
    expect(page.locator("#sheet-checks .ok")).to_have_count(3)


SIZES = [(320, 480), (360, 640), (640, 360), (768, 1024), (1280, 800), (1920, 1080)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_fits_its_frame(page, game, width, height):
    game.finish_rounds(25)
    page.set_viewport_size({"width": width, "height": height})
    open_page(page, game)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for name in ("#balance", "#multiplier", "#stake", "#action"):
        box = page.locator(name).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, name
        assert box["y"] >= 0 and box["y"] + box["height"] <= height, name
    assert page.locator("#action").bounding_box()["height"] >= 44


def test_the_largest_amounts_fit_the_smallest_frame(page, game):
    game.balance_minor = 10**15
    game.limits |= {"min_bet_minor": 10**13, "max_bet_minor": 10**14, "max_payout_minor": 10**15}
    page.set_viewport_size({"width": 320, "height": 480})
    open_page(page, game)
    expect(page.locator("#balance")).to_have_text("$10,000,000,000,000.00")
    expect(page.locator("#action-sub")).to_have_text("$1,000,000,000,000.00")
    for name in ("#balance", "#action-sub"):
        box = page.locator(name).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 320, name


def test_every_control_has_a_name(page, game):
    open_page(page, game)
    for role in ("button", "textbox"):
        for control in page.get_by_role(role).all():
            assert control.evaluate("e => (e.ariaLabel || e.textContent || e.labels?.[0]?.textContent || '').trim()")
    expect(page.locator("#message")).to_have_attribute("aria-live", "polite")
    expect(page.locator("#multiplier")).to_have_attribute("aria-live", "off")
