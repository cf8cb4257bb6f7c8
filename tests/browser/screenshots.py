"""Pictures of the page for the documentation: ``python -m tests.browser.screenshots [folder]``, usually docs/images.

The real server and the demo operator play real rounds at the usual growth. The players' client seeds are chosen so
that the rounds end where they should; only the building is another one each time.
"""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.conftest import CHROMIUM_ARGUMENTS
from tests.browser.real_house import RealHouse, Seat, lobby_seat, open_real_house, opened, visiting
from tests.browser.small_png import small_png
from tests.helpers.postgres import postgres_server
from tests.helpers.programs import needed

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"360": (360, 640), "768": (768, 1024), "1920": (1920, 1080)}
WIDE = (1280, 800)
USUAL_RATE_PER_MS = "0.00006"
PICTURE_BYTES_MAX = 300_000
END_MS = 2_500  # until the end of a round moves no more
# Rounds of the past as (crash point, automatic cash-out), hundredths: what the lists of rounds show.
PAST = ((104, 150), (160, 112), (100, 150), (240, 108))
CAUGHT = 134
WON = 240
SHOWN_IN_FLIGHT = 200


class Album:
    """Pictures on their way to a folder: made small in the end, because a flight does not wait for that."""

    def __init__(self) -> None:
        self.pictures: dict[str, bytes] = {}

    def take(self, page: Page, name: str) -> None:
        self.pictures[name] = page.screenshot(scale="css")

    def write(self, folder: Path, desk: Page) -> None:
        """``desk`` is a blank page to work on."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in self.pictures.items():
            path = folder / f"{name}.png"
            path.write_bytes(small_png(picture, desk))
            size = path.stat().st_size
            print(f"{path}  {size / 1000:.0f} kB")
            assert size <= PICTURE_BYTES_MAX, f"{path} is larger than {PICTURE_BYTES_MAX} bytes"


def begin(seats: list[Seat], crash: int, auto: int, *, stake: str = "10.00") -> None:
    """All bet, on rounds that crash exactly there."""
    for seat in seats:
        is_open = seat.at("#fair").evaluate("details => details.open")
        seat.choose(crash, crash)
        seat.at("#fair").evaluate("(details, isOpen) => { details.open = isOpen; }", is_open)
        seat.bet(stake=stake, auto=f"{auto / 100:.2f}")


def finish(seats: list[Seat], result: str) -> None:
    for seat in seats:
        seat.says(result)
        seat.in_state("bet")
        expect(seat.at("#pending")).to_be_hidden()


def play(seats: list[Seat], crash: int, auto: int) -> None:
    begin(seats, crash, auto)
    finish(seats, "result.cashout" if auto <= crash else "result.crash")


def take_rounds(album: Album, seats: dict[str, Seat]) -> None:
    """A round that is lost, one that flies and is won."""
    everybody = list(seats.values())
    for crash, auto in PAST:
        play(everybody, crash, auto)
    play(everybody, CAUGHT, 1_000)
    everybody[0].page.wait_for_timeout(END_MS)
    for name, seat in seats.items():
        album.take(seat.page, f"lost-{name}")
    begin(everybody, 317, WON)
    for name, seat in seats.items():
        seat.passes(SHOWN_IN_FLIGHT)
        album.take(seat.page, f"flight-{name}")
    finish(everybody, "result.cashout")
    everybody[0].page.wait_for_timeout(END_MS)
    for name, seat in seats.items():
        album.take(seat.page, f"won-{name}")


def take_dialogs(album: Album, seats: dict[str, Seat]) -> None:
    for name, seat in seats.items():
        seat.at("#history button").first.click()
        expect(seat.at("#sheet-checks .code")).to_have_count(1)
        album.take(seat.page, f"fairness-{name}")
        seat.page.keyboard.press("Escape")
        seat.at("#open-rules").click()
        expect(seat.at("#rules-text")).to_be_visible()
        album.take(seat.page, f"rules-{name}")
        seat.page.keyboard.press("Escape")


def take_verifier(album: Album, seat: Seat, page: Page) -> None:
    page.goto(seat.at("#sheet-verify").get_attribute("href") or "")
    page.wait_for_timeout(1_000)
    album.take(page, "verify")


def take_wide(album: Album, lobby: Seat, alone: Seat) -> None:
    """The lobby, and the page by itself for the README, in flight."""
    seats = [lobby, alone]
    for crash, auto in PAST:
        play(seats, crash, auto)
    begin(seats, 317, WON)
    for seat in seats:
        seat.passes(SHOWN_IN_FLIGHT)
    album.take(lobby.page, "lobby")
    album.take(alone.page, "flight")
    finish(seats, "result.cashout")


def take_all(house: RealHouse, browser: Browser, album: Album) -> None:
    with ExitStack() as stack:

        def page_of(size: tuple[int, int]) -> Page:
            page = stack.enter_context(visiting(browser)).new_page()
            page.set_viewport_size({"width": size[0], "height": size[1]})
            return page

        seats = {name: opened(house, f"player-{name}", page_of(size)) for name, size in SIZES.items()}
        take_rounds(album, seats)
        take_dialogs(album, seats)
        take_verifier(album, seats["1920"], page_of(WIDE))
        for seat in seats.values():
            seat.page.close()
        take_wide(album, lobby_seat(house, "ada", page_of(WIDE)), opened(house, "bob", page_of(WIDE)))


def main(folder: Path) -> None:
    path = needed("chromium", "chromium-browser")
    with tempfile.TemporaryDirectory() as kept, postgres_server() as postgres:
        growth = {"GETAWAY_GAME_GROWTH_RATE_PER_MS": USUAL_RATE_PER_MS}
        with open_real_house(postgres, Path(kept), **growth) as house, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
            album = Album()
            take_all(house, browser, album)
            album.write(folder, browser.new_page())
            browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
