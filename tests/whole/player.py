"""A player's client: protocol 1 over ``/stream``. It checks what every frame must keep to."""

import json
import time
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import trio
from trio_websocket import ConnectionClosed, wrap_client_stream

from tests.whole.casino import parse_json
from tests.whole.fairness import curve_hundredths, hundredths_of

FRAME_S_MAX = 30
SLACK_MS = 50
BET_AGAIN_S = 0.1
CLOSE_S_MAX = 2


def now_ms():
    return time.time_ns() // 1_000_000


class Player:
    """One socket. Frames are taken one by one; ticks are checked and kept, balances kept."""

    def __init__(self, socket, session, rate_per_ms, tick_texts=None):
        self.socket = socket
        self.tick_texts = {} if tick_texts is None else tick_texts
        self.session = session
        self.rate_per_ms = rate_per_ms
        self.welcome = None
        self.next = None
        self.round = None
        self.ticks = []  # (e, hundredths, the frame's text) of the round under way
        self.balances = []
        self.seen = []  # every frame but ticks

    async def send_text(self, text):
        await self.socket.send_message(text)

    async def send(self, type_, **fields):
        await self.send_text(json.dumps({"type": type_, **fields}))

    async def receive(self):
        """The next frame that is no tick. Raises ConnectionClosed when the server has closed."""
        while True:
            with trio.fail_after(FRAME_S_MAX):
                text = await self.socket.get_message()
            frame = parse_json(text)
            if frame["type"] == "tick":
                self.take_tick(frame, text)
                continue
            self.seen.append(frame)
            self.take(frame)
            return frame

    async def receive_tick(self):
        """Wait for one tick more of the round under way; None if another frame comes first."""
        with trio.fail_after(FRAME_S_MAX):
            text = await self.socket.get_message()
        frame = parse_json(text)
        if frame["type"] == "tick":
            self.take_tick(frame, text)
            return frame
        self.seen.append(frame)
        self.take(frame)
        return None

    def take_tick(self, frame, text):
        assert set(frame) == {"type", "e", "x"}, frame
        assert self.round is not None, "a tick outside a round"
        shown = hundredths_of(frame["x"])
        assert shown == curve_hundredths(frame["e"], self.rate_per_ms), frame
        if self.ticks:
            before, shown_before, _ = self.ticks[-1]
            assert frame["e"] > before, "ticks must go forward"
            assert shown >= shown_before
        assert frame["e"] % self.welcome["tick_ms"] == 0, frame
        assert self.tick_texts.setdefault(frame["e"], text) == text, "every round's n-th tick is the same bytes"
        self.ticks.append((frame["e"], shown, text))

    def take(self, frame):
        kind = frame["type"]
        if kind == "welcome":
            self.welcome, self.next, self.round = frame, frame["next"], frame["round"]
        elif kind == "round_started":
            self.round, self.ticks = frame, []
        elif kind == "round_ended":
            self.round, self.next = None, frame["next"]
        elif kind == "client_seed":
            self.next = frame["next"]
        if "balance_minor" in frame:
            self.balances.append(frame["balance_minor"])

    async def until(self, *kinds):
        """The next frame of one of these types, through balances and ticks; any other is a failure."""
        while True:
            frame = await self.receive()
            if frame["type"] in kinds:
                return frame
            assert frame["type"] == "balance", f"{frame} came while waiting for {kinds}"

    async def ask(self, type_, *kinds, **fields):
        await self.send(type_, **fields)
        return await self.until(*kinds)

    async def error_of(self, type_, **fields):
        """The code of the error that answers this frame, whose id must come back."""
        frame = await self.ask(type_, "error", id="asked", **fields)
        assert frame["id"] == "asked", frame
        assert frame["message"]
        return frame["code"]

    async def bet(self, amount_minor, **fields):
        """Bet until the wallet has answered: ``round_started``, or else ``round_ended`` or ``error``.

        While the wallet still owes an answer about an earlier round, try again: the server may refuse until then. Also
        when the start came too late to be flown: that is for the machine's load to decide.
        """
        answer = await self._bet_once(amount_minor, fields)
        while answer.get("reason") == "late_start":
            answer = await self._bet_once(amount_minor, fields)
        return answer

    async def _bet_once(self, amount_minor, fields):
        pending = await self.ask("bet", "bet_pending", "error", amount_minor=amount_minor, **fields)
        deadline = trio.current_time() + FRAME_S_MAX
        while pending.get("code") == "wallet_pending" and trio.current_time() < deadline:
            await trio.sleep(BET_AGAIN_S)
            pending = await self.ask("bet", "bet_pending", "error", amount_minor=amount_minor, **fields)
        if pending["type"] == "error":
            return pending
        assert pending["amount_minor"] == amount_minor
        return await self.until("round_started", "round_ended", "error")

    async def play(self, amount_minor, **fields):
        """A round to its end without a hand: the frame ``round_ended``."""
        started = await self.bet(amount_minor, **fields)
        assert started["type"] == "round_started", started
        return await self.until("round_ended")

    async def bet_in_vain(self, amount_minor, **fields):
        """A bet that the wallet lets down: the frame ``round_ended``, and the codes of the errors that came with it."""
        await self.send("bet", amount_minor=amount_minor, **fields)
        frames = []
        while not frames or frames[-1]["type"] != "round_ended":
            frames.append(await self.receive())
            assert frames[-1]["type"] in ("bet_pending", "balance", "error", "round_ended"), frames
        ended = frames[-1]
        frames += await self.fence()
        return ended, [frame["code"] for frame in frames if frame["type"] == "error"]

    async def fence(self):
        """Everything that the server had to say before it read this: the frames before the answer to a ping."""
        mark = time.monotonic_ns() % 1_000_000_000
        await self.send("ping", t=mark)
        frames = []
        while True:
            frame = await self.receive()
            if frame["type"] == "pong" and frame["t"] == mark:
                return frames
            frames.append(frame)

    async def wait_for_multiplier(self, hundredths):
        """Until the shown multiplier is at least that: True; False if the round ends before."""
        while self.round is not None:
            if self.ticks and self.ticks[-1][1] >= hundredths:
                return True
            await self.receive_tick()
        return False

    async def settled_balance(self, balance_minor):
        """Until the server has told this balance, with nothing pending."""
        while self.balances[-1] != balance_minor:
            frame = await self.receive()
            assert frame["type"] == "balance", frame
        last = next(frame for frame in reversed(self.seen) if "balance_minor" in frame)
        assert last.get("pending_minor", 0) == 0

    async def closed(self):
        """Read until the server closes; the frames that came before."""
        frames = []
        try:
            while True:
                frames.append(await self.receive())
        except ConnectionClosed:
            return frames


@asynccontextmanager
async def connected(url):
    """A socket on which nothing has been said."""
    split = urlsplit(url)
    async with await trio.open_tcp_stream(split.hostname, split.port) as stream, trio.open_nursery() as nursery:
        socket = await wrap_client_stream(nursery, stream, split.netloc, "/stream")
        yield socket
        with trio.move_on_after(CLOSE_S_MAX):
            await socket.aclose()
        nursery.cancel_scope.cancel()
