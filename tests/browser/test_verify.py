"""The verifier in a real browser: what it reads, what it says, and that it tells nobody."""

import json
import re
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from actors.rules.growth import GrowthCurve
from tests.browser.verify_site import VerifySite, serving
from tests.helpers.programs import needed
from tests.helpers.vectors import VECTORS

ROUND = VECTORS["rounds"][0]
OTHER = VECTORS["rounds"][1]
CRASH_TEXT = f"{ROUND['crash_hundredths'] / 100:.2f}×"
OK = f"The seeds give exactly this crash point: {CRASH_TEXT}."


@pytest.fixture
def site(page: Page) -> Iterator[VerifySite]:
    with serving() as site:
        yield site
        # Before the server: a file that was still under way would be a complaint.
        page.goto("about:blank")


def entry(**changes: object) -> dict:
    """The round as the history has it: lost at its crash point, unless it is changed."""
    seeds = ("server_seed", "server_seed_hash", "client_seed", "nonce", "max_win_multiplier")
    return {
        **{name: ROUND[name] for name in (*seeds, "map_seed", "loot_seed", "guard_seed")},
        "round_id": "72d12010-1848-407d-94b8-2c6d1645bd19",
        "status": "settled",
        "result": "crash",
        "amount_minor": 1_000,
        "payout_minor": 0,
        "currency": "USD",
        "realized_multiplier": 0,
        "crash_point": ROUND["crash_hundredths"] / 100,
        "rtp_target": ROUND["rtp_bps"] / 100,
        "started_at": 1_782_864_000_000,
        "settled_at": 1_782_864_001_000,
    } | changes


def fragment(**changes: object) -> str:
    fields = {name: ROUND[name] for name in ("server_seed", "server_seed_hash", "client_seed", "nonce", "rtp_bps")}
    fields |= {"crash_hundredths": ROUND["crash_hundredths"], "max_win_multiplier": ROUND["max_win_multiplier"]}
    return urlencode(fields | changes)


def open_verifier(page: Page, site: VerifySite, tail: str = "") -> None:
    page.goto(f"{site.origin}/verify{tail}")
    expect(page.locator("h1")).not_to_be_empty()
    expect(page.locator("#value-rtp")).to_have_attribute("placeholder", "96")


def paste(page: Page, text: str) -> None:
    page.locator("#round-text").fill(text)


def verdict(page: Page, result: str, text: str | re.Pattern) -> None:
    expect(page.locator("#verdict")).to_have_text(text)
    expect(page.locator(".verifier-page")).to_have_attribute("data-result", result)


def fact(page: Page, name: str):
    return page.locator(f'#round-facts [data-fact="{name}"]')


def test_a_pasted_round_is_checked_at_once(page, site):
    open_verifier(page, site)
    expect(page.locator("#findings")).to_be_hidden()
    paste(page, json.dumps(entry(), indent=2))
    verdict(page, "ok", OK)
    expect(page.locator("#checks .ok")).to_have_count(3)
    expect(page.locator("#checks .bad")).to_have_count(0)
    expect(fact(page, "details.stake")).to_have_text("$10.00")
    expect(fact(page, "details.crash")).to_have_text(CRASH_TEXT)
    expect(fact(page, "verify.guardSeed")).to_have_text(ROUND["guard_seed"])
    expect(fact(page, "details.outcome")).to_have_text(f"Caught at {CRASH_TEXT}")
    expect(page.locator("#value-server-seed")).to_have_value(ROUND["server_seed"])
    expect(page.locator("#value-rtp")).to_have_value("96")
    expect(page.locator("#value-crash")).to_have_value(CRASH_TEXT.rstrip("×"))


def test_a_link_is_checked_on_opening_and_its_round_goes_nowhere(page, site):
    open_verifier(page, site, f"#{fragment()}")
    verdict(page, "ok", OK)
    link = page.locator("#round-link").input_value()
    assert link == f"{site.origin}/verify#" + link.partition("#")[2]
    page.goto("about:blank")
    page.goto(link)
    verdict(page, "ok", OK)
    paste(page, json.dumps(entry()))
    expect(fact(page, "details.stake")).to_be_visible()
    page.locator("#round-form button[type=submit]").click()
    verdict(page, "ok", OK)
    assert all(re.fullmatch(r"GET /(verify|static/[\w/.-]+)", request) for request in site.requests), site.requests
    assert page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0


def test_another_fragment_is_another_round(page, site):
    open_verifier(page, site, f"#{fragment()}")
    verdict(page, "ok", OK)
    page.evaluate(
        "hash => { location.hash = hash; }", fragment(server_seed=OTHER["server_seed"], server_seed_hash="0" * 64)
    )
    verdict(page, "bad", "The server seed does NOT match its hash.")


def test_a_wrong_seed_is_found_and_not_replayed(page, site):
    open_verifier(page, site)
    paste(page, json.dumps(entry()))
    verdict(page, "ok", OK)
    expect(page.locator("#replay")).to_be_visible()
    page.locator("#value-server-seed").fill(OTHER["server_seed"])
    page.locator("#value-server-seed").press("Enter")
    verdict(page, "bad", "The server seed does NOT match its hash.")
    expect(page.locator("#checks .bad")).not_to_have_count(0)
    expect(page.locator("#replay")).to_be_hidden()


def test_what_else_a_pasted_round_said_is_not_held_against_another(page, site):
    open_verifier(page, site)
    paste(page, json.dumps(entry()))
    verdict(page, "ok", OK)
    expect(fact(page, "details.stake")).to_have_count(1)
    for name, value in (("nonce", str(ROUND["nonce"] + 1)), ("server-seed-hash", ""), ("crash", "")):
        page.locator(f"#value-{name}").fill(value)
    page.locator("#round-form button[type=submit]").click()
    expect(fact(page, "details.nonce")).to_have_text(str(ROUND["nonce"] + 1))
    expect(fact(page, "details.stake")).to_have_count(0)
    expect(page.locator("#checks .bad")).to_have_count(0)
    expect(page.locator(".verifier-page")).to_have_attribute("data-result", "none")


SLOW_FIRST_DIGEST = """
if (location.hash.includes("0".repeat(64))) { // the page stays for the tests that follow, and the script with it
  const digest = SubtleCrypto.prototype.digest;
  const isAsked = new Promise((asked) => {
    SubtleCrypto.prototype.digest = function (...given) {
      SubtleCrypto.prototype.digest = digest;
      return new Promise((answer) => asked(() => answer(digest.apply(this, given))));
    };
  });
  globalThis.isAsked = () => isAsked.then(() => true);
  globalThis.answerLate = () => isAsked.then((answer) => answer());
}
"""


def test_a_check_that_is_overtaken_by_another_shows_nothing(page, site):
    page.add_init_script(SLOW_FIRST_DIGEST)
    open_verifier(page, site, f"#{fragment(server_seed_hash='0' * 64)}")
    assert page.evaluate("isAsked()")
    paste(page, json.dumps(entry()))
    verdict(page, "ok", OK)
    page.evaluate("answerLate()")
    page.evaluate("new Promise((done) => setTimeout(done, 100))")
    verdict(page, "ok", OK)
    expect(fact(page, "details.stake")).to_have_text("$10.00")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"crash_point": 9.99}, re.compile(re.escape(f"another crash point: {CRASH_TEXT}"))),
        ({"client_seed": "somebody"}, re.compile("another crash point")),
        ({"payout_minor": 1}, re.compile("NOT the stake times the multiplier")),
    ],
)
def test_what_was_changed_is_the_verdict(page, site, changes, said):
    open_verifier(page, site)
    paste(page, json.dumps(entry(**changes)))
    verdict(page, "bad", said)


def test_values_by_hand_with_the_keyboard_alone(page, site):
    open_verifier(page, site)
    page.locator("#round-text").focus()
    for text in [ROUND["server_seed"], "", ROUND["client_seed"], "0", "", "96", "2000"]:
        page.keyboard.press("Tab")
        page.keyboard.type(text)
    page.keyboard.press("Tab")
    expect(page.locator("#round-form button[type=submit]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_have_text("Nonce is not valid.")
    expect(page.locator("#value-nonce")).to_be_focused()
    expect(page.locator("#value-nonce")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#findings")).to_be_hidden()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(str(ROUND["nonce"]))
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_be_empty()
    verdict(page, "none", OK)
    expect(page.locator("#checks")).to_contain_text("No hash was given")
    expect(fact(page, "details.crash")).to_have_text(CRASH_TEXT)


def test_what_is_no_round_is_said_and_clears_the_verdict(page, site):
    open_verifier(page, site)
    paste(page, json.dumps(entry()))
    verdict(page, "ok", OK)
    for text, said in [
        ("hello", "This is neither a link nor the JSON of a round."),
        (json.dumps(entry(nonce="<img src=x>")), "Nonce is not valid."),
        (json.dumps(entry(round_id="<b>x</b>")), "round_id is not valid."),
    ]:
        paste(page, text)
        expect(page.locator("#problem")).to_have_text(said)
        expect(page.locator("#verdict")).to_be_empty()
        expect(page.locator("#findings")).to_be_hidden()
    paste(page, "")
    expect(page.locator("#problem")).to_be_empty()


def test_the_lines_that_are_shown_run_as_they_are(page, site):
    programs = [needed(name) for name in ("bash", "openssl", "bc")]
    open_verifier(page, site, f"#{fragment()}")
    expect(page.locator("#shell")).to_contain_text("openssl")
    lines = page.locator("#shell").inner_text()
    printed = subprocess.run([programs[0]], input=lines + "\n", capture_output=True, check=True, text=True, timeout=10)
    hashed, _, crash = printed.stdout.split()
    assert (hashed, crash) == (ROUND["server_seed_hash"], str(ROUND["crash_hundredths"]))


def test_link_and_lines_are_copied(page, site):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.origin)
    open_verifier(page, site, f"#{fragment()}")
    for source, read in [("round-link", "el => el.value"), ("shell", "el => el.textContent")]:
        page.locator(f'[data-copies="{source}"]').click()
        expect(page.locator("#copy-note")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == page.locator(f"#{source}").evaluate(read)


def test_a_crash_is_replayed_to_its_end(page, site):
    # Slow enough for a slow machine to see it fly: 1.07x after 3.4 seconds.
    open_verifier(page, site, f"#{fragment(**link_claims(), rate_per_ms='0.00002')}")
    stage = page.locator("#replay")
    expect(stage).to_have_attribute("data-scene", "lost")
    expect(stage).to_contain_text("REPLAY")
    expect(page.locator("#replay-multiplier")).to_have_text(CRASH_TEXT)
    page.locator("#replay-play").click()
    expect(stage).to_have_attribute("data-scene", "flying")
    expect(page.locator("#replay-play")).to_have_text("End replay")
    expect(page.locator("#replay-multiplier")).to_have_text(re.compile(r"1\.0[2-6]×"))
    expect(stage).to_have_attribute("data-scene", "lost")
    expect(page.locator("#replay-multiplier")).to_have_text(CRASH_TEXT)
    expect(page.locator("#replay-play")).to_have_text("Play again")
    expect(stage).to_have_attribute("data-playing", "false")
    shades = "el => new Set(el.getContext('2d').getImageData(0, 0, el.width, el.height).data).size"
    assert page.locator("#replay-scene").evaluate(shades) > 20


def test_a_long_flight_is_sped_up_and_can_be_ended(page, site):
    long = max(VECTORS["rounds"], key=lambda vector: vector["crash_hundredths"])
    assert GrowthCurve(Decimal("0.00006")).crashes_at_ms(long["crash_hundredths"]) > 30_000
    open_verifier(page, site)
    seeds = {name: long[name] for name in ("server_seed", "client_seed", "nonce", "max_win_multiplier")}
    paste(page, json.dumps(seeds | {"rtp_target": long["rtp_bps"] / 100}))
    page.locator("#replay-play").click()
    expect(page.locator("#replay")).to_have_attribute("data-playing", "true")
    expect(page.locator("#replay-text")).not_to_be_empty()
    page.locator("#replay-play").click()
    expect(page.locator("#replay")).to_have_attribute("data-playing", "false")
    expect(page.locator("#replay-multiplier")).to_have_text(f"{long['crash_hundredths'] / 100:.2f}×")


def test_a_void_round_is_checked_and_has_no_replay(page, site):
    open_verifier(page, site)
    paste(page, json.dumps(entry(status="void", result=None, payout_minor=0, started_at=None)))
    verdict(page, "ok", OK)
    expect(page.locator("#replay")).to_be_hidden()
    expect(fact(page, "details.outcome")).to_have_text("Void: no bet was placed")


@pytest.mark.parametrize("language", ["en", "de", "ar"])
@pytest.mark.parametrize("width", [320, 360, 768, 1280, 3840])
def test_nothing_scrolls_sideways(page, site, width, language):
    page.set_viewport_size({"width": width, "height": 640})
    open_verifier(page, site, f"?lang={language}#{fragment(**link_claims())}")
    expect(page.locator("#verdict")).not_to_be_empty()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.dir") == ("rtl" if language == "ar" else "ltr")
    assert page.evaluate("document.documentElement.lang") == language
    box = page.locator("#verdict").bounding_box()
    assert box is not None and box["y"] >= 0 and box["y"] + box["height"] <= 640
    too_wide = "els => els.filter(el => el.scrollWidth > el.clientWidth + 1 && el.tagName !== 'INPUT').map(el => el.id)"
    assert page.locator(".verifier-page :is(p, dd, li, pre, label, button, h2, legend)").evaluate_all(too_wide) == []


def link_claims() -> dict:
    return {"status": "settled", "result": "crash", "realized_hundredths": 0, "amount_minor": 1_000, "payout_minor": 0}


def test_every_control_has_a_name_and_the_verdict_is_announced(page, site):
    open_verifier(page, site, f"#{fragment()}")
    expect(page.locator("#findings")).to_be_visible()
    for control in page.locator("input, textarea, button").all():
        assert control.is_hidden() or control.evaluate("el => (el.labels?.[0] ?? el).textContent.trim()") != ""
    expect(page.get_by_role("status").filter(has_text=OK)).to_be_visible()
    assert page.locator("[data-word]").evaluate_all("els => els.filter(el => el.textContent === '').length") == 0
