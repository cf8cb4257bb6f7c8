"""The real server on a real PostgreSQL, the demo operator with its lobby beside it, and a player at the page.

Nothing is left to chance: a test opens the promised server seed with the master key and has the player choose a client
seed with which the next round crashes where the test wants it. What follows is the game as it always is.
"""

import asyncio
import itertools
import re
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from playwright.sync_api import Browser, BrowserContext, Frame, Locator, Page, expect

from actors.rules import fairness
from server.db.stores.rows import seed_context
from server.sandbox.getaway_client import GetawayClient, LaunchedSession
from server.sandbox.operator import OperatorServer
from server.sandbox.signatures import Credentials
from server.sandbox.site import OperatorSite
from server.sandbox.wallet_book import WalletBook
from server.secrets.row_macs import SESSION
from server.secrets.vault import Vault
from tests.browser.steps import has
from tests.helpers.postgres import PostgresServer
from tests.helpers.server_process import ServerProcess

RATE_PER_MS = "0.0002"
"""1.05x after a quarter of a second, 2.00x after 3.5 s."""
LONG_HUNDREDTHS = 50_000
"""A flight that is to outlast its test: more than 30 s at this rate."""
RTP_BPS = 9_600
MAX_WIN_MULTIPLIER = 2_000
PATIENCE_S = 20
PATIENCE_MS = 1_000 * PATIENCE_S
PRESS_GAP_MS = 450
"""Presses closer together than a double click are taken as one."""
BROKEN_SOCKET = r"WebSocket connection to .* failed|net::ERR_"
"""What the browser says of a line that is cut; it is no complaint about the page."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def in_thread(function: Callable[..., Any], *arguments: object) -> Any:
    """Call it elsewhere: Playwright keeps an event loop in the tests' thread, beside which asyncio runs no other."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


def wait_until(condition: Callable[[], object], what: str, within_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.02)


class RealHouse:
    """What a test may do to the house, and read in its books. Players are named by the tests, one for each."""

    def __init__(self, database_url: str, server: ServerProcess, book: WalletBook, lobby_url: str) -> None:
        self.server = server
        self.book = book
        self.lobby_url = lobby_url
        self._database_url = database_url
        self._vault = Vault(b64decode(server.environ["GETAWAY_MASTER_KEY"]))
        self._launches = itertools.count(1)
        self.credentials: Credentials
        self.client: GetawayClient

    @property
    def lobby_origin(self) -> str:
        return self.lobby_url.rstrip("/")

    @property
    def game_origin(self) -> str:
        return self.client.origin

    def launch(self, player: str, *, ttl_s: int = 3_600, **page: Any) -> LaunchedSession:
        """A session, with the launch's options for the page. Each is another one: a repeated request would not be."""
        balance_minor = self.book.open_account(player, "USD", now_ms())
        return self.client.launch(player, "USD", balance_minor, ttl_s + next(self._launches), **page)

    # The books

    def fetch(self, query: str, *arguments: object) -> list[Any]:
        """Rows of the server's database."""

        async def run() -> list[Any]:
            connection = await asyncpg.connect(self._database_url)
            try:
                return await connection.fetch(query, *arguments)
            finally:
                await connection.close()

        return in_thread(asyncio.run, run())

    def edit_session(self, player: str, **values: object) -> None:
        """Change columns of the player's newest session, and sign it again, as if it had been launched so.

        Before anybody opens it: who has it open knows it by heart.
        """
        session = self.session_of(player)
        self._update_session(session["session_id"], values)
        mac = self._vault.macs.of_row(SESSION, self.session_of(player))
        self._update_session(session["session_id"], {"mac": mac})

    def _update_session(self, session_id: UUID, values: dict[str, object]) -> None:
        changes = ", ".join(f"{column} = ${number}" for number, column in enumerate(values, 2))
        self.fetch(f"UPDATE sessions SET {changes} WHERE session_id = $1", session_id, *values.values())

    def session_of(self, player: str) -> Any:
        """The player's newest session."""
        query = "SELECT * FROM sessions WHERE operator_player_id = $1 ORDER BY created_at_ms DESC LIMIT 1"
        return self.fetch(query, player)[0]

    def rounds(self, player: str) -> list[Any]:
        return self.fetch("SELECT * FROM rounds WHERE operator_player_id = $1 ORDER BY created_at_ms", player)

    def balance_minor(self, player: str) -> int | None:
        return self.book.balance(player, "USD")

    def moves(self, player: str) -> list[tuple[str, int]]:
        """The wallet's lines, the oldest first: kind and amount, without the money of the opening."""
        entries = [entry for entry in self.book.entries(player, 1_000) if entry.round_id is not None]
        return [(entry.kind, entry.amount_minor) for entry in reversed(entries)]

    def at_rest(self, player: str, *kinds: str) -> list[tuple[str, int]]:
        """Wait until no call is owed any more; the wallet's lines, which must be of these kinds and no others."""
        query = """SELECT 1 FROM rounds r JOIN transactions t USING (operator_id, round_id)
                   WHERE operator_player_id = $1 AND (t.status = 'pending' OR r.status IN ('betting', 'flying'))"""
        wait_until(lambda: self.fetch(query, player) == [], "the player's rounds and calls come to rest")
        moves = self.moves(player)
        assert [kind for kind, _ in moves] == list(kinds)
        return moves

    def client_seed(self, player: str, least: int, most: int) -> str:
        """A client seed with which the next round of the player's session crashes there, in hundredths."""
        session = self.session_of(player)
        context = seed_context(UUID(bytes=session["session_id"].bytes), session["nonce"])
        server_seed = self._vault.open(session["server_seed_sealed"], context).decode()
        for number in range(1_000_000):
            seed = f"chosen-{session['nonce']}-{number}"
            drawn = fairness.digest(server_seed, seed, session["nonce"], "crash")
            if least <= fairness.crash_hundredths(drawn, RTP_BPS, MAX_WIN_MULTIPLIER) <= most:
                return seed
        raise AssertionError("no client seed crashes there")


class Seat:
    """A player at the page: ``game`` is its frame, the whole page or the one in a lobby."""

    def __init__(self, house: RealHouse, player: str, page: Page, game: Frame | None = None) -> None:
        self.house = house
        self.player = player
        self.page = page
        self.game = game or page.main_frame

    def at(self, selector: str) -> Locator:
        return self.game.locator(selector)

    def in_state(self, *states: str) -> None:
        has(self.game, "#action", "data-state", *states)

    def says(self, *keys: str) -> None:
        """The message is one of these."""
        has(self.game, "#message", "data-key", *keys)

    def ended(self, title: str) -> None:
        """The game is over here, under this title."""
        expect(self.at("#ending-title")).to_have_text(title, timeout=PATIENCE_MS)
        expect(self.at("#ending")).to_be_visible()

    def minor(self, selector: str) -> int:
        """The amount that is written there, in cents, with its sign."""
        text = self.at(selector).inner_text()
        amount = int(re.sub("[^0-9]", "", text))
        return -amount if re.search("[-−]", text) else amount

    def shows_minor(self, selector: str, amount_minor: int) -> None:
        wait_until(lambda: self.minor(selector) == amount_minor, f"{selector} shows {amount_minor}")

    def hundredths(self) -> int:
        return self.minor("#multiplier")

    def choose(self, least: int, most: int) -> None:
        """Choose the client seed with which the next round crashes there."""
        self.in_state("bet")
        self.at("#fair").evaluate("details => { details.open = true; }")
        self.at("#client-seed").fill(self.house.client_seed(self.player, least, most))
        self.at("#client-seed").press("Enter")
        self.says("seed.saved")

    def press(self) -> None:
        self.page.wait_for_timeout(PRESS_GAP_MS)
        self.at("#action").click()

    def bet(self, stake: str = "1.00", auto: str = "") -> None:
        self.in_state("bet")
        self.at("#stake").fill(stake)
        self.at("#auto-cashout").fill(auto)
        self.press()

    def fly(self, least: int = LONG_HUNDREDTHS, most: int = 100 * MAX_WIN_MULTIPLIER, **bet: str) -> None:
        """Take off for a flight that crashes there, and be where a cash-out is taken."""
        self.choose(least, most)
        self.bet(**bet)
        self.passes(102)

    def win(self, auto: str = "1.05", stake: str = "1.00") -> None:
        """A round that an automatic cash-out ends."""
        self.choose(LONG_HUNDREDTHS, 100 * MAX_WIN_MULTIPLIER)
        self.bet(stake, auto)
        self.says("result.cashout")
        self.in_state("bet")

    def passes(self, hundredths: int) -> None:
        """The flight is live and shows at least so much."""
        self.in_state("flying")
        wait_until(lambda: self.hundredths() >= hundredths, f"the flight passes {hundredths}")

    def cash_out(self) -> int:
        """Leave; the payout as the wallet has it, which is never less than the button said."""
        self.page.wait_for_timeout(PRESS_GAP_MS)
        promised_minor = self.at("#action").evaluate(
            "action => { action.click(); return Number(action.textContent.replace(/[^0-9]/g, '')); }"
        )
        self.in_state("bet")
        self.says("result.cashout")
        wait_until(lambda: self.house.moves(self.player)[-1][0] == "win", "the win is delivered")
        paid_minor = self.house.moves(self.player)[-1][1]
        assert paid_minor >= promised_minor > 0
        return paid_minor


def lobby_seat(house: RealHouse, player: str, page: Page, query: str = "") -> Seat:
    """Open the demo lobby as this player and wait for the game in it."""
    page.goto(f"{house.lobby_url}?player={player}&currency=USD{query}")
    frame = page.locator("iframe[src]")
    frame.wait_for(state="visible", timeout=PATIENCE_MS)
    game = frame.element_handle().content_frame()
    assert game is not None
    seat = Seat(house, player, page, game)
    seat.in_state("bet")
    return seat


def opened(house: RealHouse, player: str, page: Page, **launch: Any) -> Seat:
    """Launch a session and open its page by itself."""
    page.goto(house.launch(player, **launch).launch_url)
    seat = Seat(house, player, page)
    seat.in_state("bet")
    return seat


@contextmanager
def visiting(
    browser: Browser, *, expected: str = "(?!)", width: int = 1280, height: int = 800
) -> Iterator[BrowserContext]:
    """A context whose pages must not complain, but for what matches ``expected``."""
    context = browser.new_context(viewport={"width": width, "height": height}, locale="en-US")
    context.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    yield context
    context.close()
    unexpected = [complaint for complaint in complaints if not re.search(expected, complaint)]
    assert unexpected == [], unexpected


@contextmanager
def _database(postgres: PostgresServer) -> Iterator[str]:
    database = postgres.database()
    url = in_thread(database.__enter__)
    try:
        yield url
    finally:
        in_thread(database.__exit__, None, None, None)


@contextmanager
def _lobby(folder: Path) -> Iterator[tuple[OperatorServer, WalletBook]]:
    """The demo operator's port, without a site yet, and its wallet."""
    book = WalletBook(folder / "wallet.sqlite")
    server = OperatorServer(("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="demo-operator")
    thread.start()
    try:
        yield server, book
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        book.close()


@contextmanager
def open_real_house(postgres: PostgresServer, folder: Path, **variables: str) -> Iterator[RealHouse]:
    """A house for a module of tests. ``variables`` are the server's. In the end its log must hold no error."""
    variables = {"GETAWAY_GAME_GROWTH_RATE_PER_MS": RATE_PER_MS, **variables}
    with _database(postgres) as database_url, _lobby(folder) as (operator, book):
        server = ServerProcess(database_url, folder, **variables)
        lobby_origin = f"http://127.0.0.1:{operator.server_port}"
        house = RealHouse(database_url, server, book, f"{lobby_origin}/")
        try:
            # Before the server, which would come to know it only later.
            created = server.create_operator(f"{lobby_origin}/wallet", "--frame-origin", lobby_origin)
            server.start()
            names = ("operator_id", "api_key", "hmac_secret")
            house.credentials = Credentials(**{name: created[name] for name in names})
            public_url = variables.get("GETAWAY_SERVER_PUBLIC_URL", server.url)
            house.client = GetawayClient(public_url, house.credentials)
            operator.site = OperatorSite(
                book, house.client, house.credentials, origins=[lobby_origin], say=lambda line: None
            )
            yield house
            assert server.errors() == [], server.errors()
        finally:
            server.kill()
