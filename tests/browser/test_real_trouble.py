"""Lines that are cut and servers that end amid a flight: the page comes back by itself, shows the truth, acts once."""

import re
import socket
import struct
import threading
import time
from contextlib import ExitStack, suppress

import pytest
from playwright.sync_api import expect

from server.sandbox.getaway_client import GetawayError
from tests.browser.real_house import BROKEN_SOCKET, Seat, now_ms, open_real_house, opened, visiting, wait_until
from tests.browser.steps import has

RESET = struct.pack("ii", 1, 0)  # lingering for no time: closing sends a reset
SLACK_MS = 2_500  # how late a busy machine may be
TAKEOFF_MS_MAX = 10_000  # for a page to load and a player to bet; the flight is three times as long


class Line:
    """What lies between a player and the server: a TCP proxy that can be cut, and lose what the server says."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends = set()
        self._lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.target_port = None
        self.is_cut = False
        self.is_deaf = False
        self.attempts = []
        """When somebody knocked while it was cut: monotonic milliseconds."""
        self._thread = threading.Thread(target=self._serve, name="line")
        self._thread.start()

    def cut(self):
        """Reset every connection, and each that comes."""
        self.attempts.clear()
        with self._lock:
            self.is_cut = True
            for end in list(self._ends):
                reset(end)

    def mend(self):
        self.is_cut = self.is_deaf = False

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self.cut()

    def _serve(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client):
        with ExitStack() as stack:
            stack.enter_context(client)
            if self.is_cut:
                self.attempts.append(time.monotonic_ns() // 1_000_000)
                return reset(client)
            try:
                target = stack.enter_context(socket.create_connection(("127.0.0.1", self.target_port)))
            except OSError:
                return None
            with self._lock:
                self._ends |= {client, target}
            there = threading.Thread(target=self._pump, args=(client, target), daemon=True)
            there.start()
            self._pump(target, client)
            there.join()
            with self._lock:
                self._ends -= {client, target}
            return None

    def _pump(self, source, sink):
        with suppress(OSError):
            while data := source.recv(65_536):
                is_lost = self.is_deaf and source.getpeername()[1] == self.target_port
                if not is_lost:
                    sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def reset(end):
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        end.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def line():
    line = Line()
    yield line
    line.close()


@pytest.fixture(scope="module")
def house(postgres, line, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trouble")
    with open_real_house(postgres, folder, GETAWAY_SERVER_PUBLIC_URL=line.url) as house:
        yield house


@pytest.fixture
def context(house, line, browser):
    line.target_port = house.server.port
    with visiting(browser, expected=f"{BROKEN_SOCKET}|status of 410") as context:
        yield context
        line.mend()


def has_status(seat, status):
    has(seat.game, "#game", "data-status", status)


def stop_timers(seat):
    """Whatever the page meant to do by itself after some time, it won't: what happens then, it was told to do."""
    seat.game.evaluate("() => { for (let timer = setTimeout(() => 0); timer > 0; timer -= 1) clearTimeout(timer); }")


def back_online(seat, line):
    """The network is back, and the browser tells the page so."""
    seat.page.context.set_offline(True)
    line.mend()
    seat.page.context.set_offline(False)


def test_a_line_that_is_cut_amid_a_flight(house, line, context):
    seat = opened(house, "ada", context.new_page())
    seat.fly()
    seen = seat.hundredths()
    line.cut()
    has_status(seat, "lost")
    expect(seat.at("#connection")).to_have_text(re.compile(r"^Connection lost\. Trying again in \d+ s…$"))
    expect(seat.at("#action-main")).to_have_text("RECONNECTING…")
    wait_until(lambda: len(line.attempts) >= 3, "the page tries again")
    gaps = [later - sooner for sooner, later in zip(line.attempts, line.attempts[1:], strict=False)]
    # Half to all of a second, then of two: the wait doubles, with jitter.
    for gap_ms, ceiling_ms in zip(gaps[:2], (1_000, 2_000), strict=True):
        assert ceiling_ms / 2 - 50 <= gap_ms <= ceiling_ms + SLACK_MS, gaps
    has_status(seat, "lost")
    stop_timers(seat)
    back_online(seat, line)
    seat.says("connection.resumed")
    seat.passes(seen + 1)
    expect(seat.at("#connection")).to_be_hidden()
    paid_minor = seat.cash_out()
    assert house.at_rest("ada", "bet", "win") == [("bet", -100), ("win", paid_minor)]


def test_a_round_that_ends_while_nobody_can_be_told(house, line, context):
    seat = opened(house, "bob", context.new_page())
    seat.choose(140, 160)
    seat.bet(stake="2.00")
    seat.passes(102)
    line.cut()
    has_status(seat, "lost")
    wait_until(lambda: house.rounds("bob")[0]["status"] == "settled", "the guards close in")
    has_status(seat, "lost")
    stop_timers(seat)
    back_online(seat, line)
    seat.says("result.crash")
    seat.in_state("bet")
    assert seat.hundredths() == house.rounds("bob")[0]["crash_hundredths"]
    expect(seat.at("#stage")).to_have_attribute("data-scene", "lost")
    seat.shows_minor("#balance", 499_800)
    seat.shows_minor("#net", -200)
    house.at_rest("bob", "bet")


def test_an_answer_that_is_lost_is_not_asked_for_again(house, line, context):
    seat = opened(house, "cleo", context.new_page())
    seat.choose(50_000, 200_000)
    line.is_deaf = True
    seat.bet()
    wait_until(lambda: [one["status"] for one in house.rounds("cleo")] == ["flying"], "the bet arrives")
    seat.in_state("pending")
    line.cut()
    has_status(seat, "lost")
    back_online(seat, line)
    seat.says("connection.resumed")
    seat.passes(102)
    line.is_deaf = True
    seat.press()
    seat.in_state("waiting")
    wait_until(lambda: house.rounds("cleo")[0]["status"] == "settled", "the cash-out arrives")
    line.cut()
    has_status(seat, "lost")
    back_online(seat, line)
    seat.says("result.cashout")
    seat.in_state("bet")
    moves = house.at_rest("cleo", "bet", "win")
    seat.shows_minor("#balance", 500_000 + sum(amount for _, amount in moves))


def test_a_line_that_has_gone_silent(house, line, context):
    seat = opened(house, "dan", context.new_page())
    seat.fly()
    line.is_deaf = True
    expect(seat.at("#connection")).to_have_text(
        "No news from the server. As soon as it answers you see how your round stands."
    )
    stood_at = seat.hundredths()
    seat.page.wait_for_timeout(300)
    assert seat.hundredths() == stood_at
    # Nothing tells the browser that such a line is dead; the page asks when it has reason to, and gives it 2.5 s.
    back_online(seat, line)
    line.is_deaf = True
    has_status(seat, "lost")
    line.mend()
    seat.says("connection.resumed")
    seat.passes(stood_at + 1)
    paid_minor = seat.cash_out()
    assert house.at_rest("dan", "bet", "win") == [("bet", -100), ("win", paid_minor)]


def test_a_server_that_is_killed_amid_a_flight(house, context):
    seat = opened(house, "eve", context.new_page())
    seat.fly(stake="4.00")
    house.server.kill()
    has_status(seat, "lost")
    expect(seat.at("#action-sub")).to_have_text("your round is with the server")
    house.server.start()
    seat.says("refunded.interrupted")
    seat.in_state("bet")
    # The refund may be there before the page: then it is not on its way.
    assert house.at_rest("eve", "bet", "refund") == [("bet", -400), ("refund", 400)]
    seat.shows_minor("#balance", 500_000)
    expect(seat.at("#message")).to_contain_text("interrupted the round. Your stake of $4.00 is back.")
    expect(seat.at("#history li")).to_have_count(1)
    expect(seat.at("#stage-note")).to_have_text("Stake refunded")
    seat.win()
    house.at_rest("eve", "bet", "refund", "bet", "win")


def test_a_server_that_is_told_to_stop_amid_a_flight(house, context):
    flyer, idle = (opened(house, player, context.new_page()) for player in ("fay", "gus"))
    flyer.fly()
    house.server.tell_to_stop()
    idle.ended("Back in a moment")
    expect(idle.at("#ending-text")).to_contain_text("The game comes back by itself.")
    flyer.in_state("flying")
    flyer.press()
    flyer.says("result.cashout", "ended.shutdown")
    flyer.ended("Back in a moment")
    assert house.server.wait() == 0
    house.server.start()
    for seat in (flyer, idle):
        seat.in_state("bet")
        expect(seat.at("#ending")).to_be_hidden()
    (_, (_, paid_minor)) = house.at_rest("fay", "bet", "win")
    flyer.shows_minor("#balance", 500_000 - 100 + paid_minor)
    expect(flyer.at("#history [data-round-id]")).to_have_count(1)


def flying_past_its_session(house, player, page):
    """A seat whose session has expired while its round flies."""
    launched = house.launch(player)
    expires_at_ms = now_ms() + TAKEOFF_MS_MAX
    house.edit_session(player, expires_at_ms=expires_at_ms)
    page.goto(launched.launch_url)
    seat = Seat(house, player, page)
    seat.fly()
    wait_until(lambda: now_ms() > expires_at_ms + 100, "the session expires")
    return seat


def test_a_session_that_expires_amid_a_flight(house, context):
    seat = flying_past_its_session(house, "hal", context.new_page())
    seat.in_state("flying")
    seat.press()
    seat.ended("Session over")
    moves = house.at_rest("hal", "bet", "win")
    seat.shows_minor("#balance", 500_000 + sum(amount for _, amount in moves))
    expect(seat.at("#action")).to_have_attribute("aria-disabled", "true")
    assert seat.page.reload().status == 410
    seat.ended("Session over")


def test_a_flight_outlives_its_session_and_a_reload(house, context):
    seat = flying_past_its_session(house, "kim", context.new_page())
    assert seat.page.reload().status == 410
    seat.in_state("flying")
    seat.press()
    seat.ended("Session over")
    house.at_rest("kim", "bet", "win")


def test_an_operator_that_is_suspended(house, context):
    flyer, idle = (opened(house, player, context.new_page()) for player in ("ida", "joe"))
    flyer.fly(auto="2.00")
    operator_id = house.credentials.operator_id
    assert house.server.getaway("operator", "suspend", operator_id).returncode == 0
    idle.ended("Game paused")
    expect(idle.at("#ending-text")).to_contain_text("Your casino has paused this game.")
    flyer.ended("Game paused")
    assert house.at_rest("ida", "bet", "win") == [("bet", -100), ("win", 200)]
    flyer.shows_minor("#balance", 500_100)
    assert house.server.getaway("operator", "resume", operator_id).returncode == 0
    wait_until(lambda: may_launch(house), "the operator is known to be back")
    idle.page.reload()
    idle.in_state("bet")


def may_launch(house):
    try:
        return house.launch("kim")
    except GetawayError:
        return False
