"""Players who bet over real websockets, come back after every loss of their server, and remember what they were told.

What a player was told is durable: no later frame, and no book, may say anything else.
"""

import json
import random
from collections import deque
from http.client import HTTPException
from urllib.parse import urlsplit

import trio
from trio_websocket import ConnectionClosed, HandshakeError, wrap_client_stream

from tests.chaos.rudeness import BET_RUDENESS, DELIVERY_RUDENESS
from tests.helpers.promises import Promises, Sheet
from tests.whole.casino import LAUNCH, parse_json

LOOK_S = 0.05
PAUSE_S = 0.1
LAST_MAX = 12
SHOWN = {"id", "code", "message", "round_id", "status", "reason", "balance_minor", "pending_minor"}
CONNECT_S_MAX = 2
BALANCE_MINOR = 100_000_000
RUDE_SHARE = 0.25
AUTO_CASHOUTS = (1.01, 1.2, 1.5, 2, 5)
ENDED_FIELDS = ("status", "result", "realized_multiplier", "payout_minor", "server_seed", "server_seed_hash")
LOST = (
    *(OSError, trio.BrokenResourceError, trio.ClosedResourceError, ConnectionClosed, HandshakeError),
    trio.TooSlowError,  # a server that dies amid the handshake leaves the library waiting
)


class Table:
    """All gamblers of a run, and what they may do now.

    ``betting``: they bet. ``mistreating``: they have the wallet treat some of their calls badly, ``rude_share`` of each
    kind. ``is_remembered``: the database has not gone back, or all is well again.
    """

    def __init__(self, house, seed):
        self.house = house
        self.url = self.second_url = house.url
        self.seed = seed
        self.betting = False
        self.mistreating = True
        self.rude_share = RUDE_SHARE
        self.by_hand = True
        self.launching = False
        self.is_remembered = True
        self.auto_cashouts = AUTO_CASHOUTS
        self.launched = {}
        self.gamblers = []

    async def seat(self, nursery, count):
        for _ in range(count):
            session = await trio.to_thread.run_sync(lambda: self.house.operator.session(balance_minor=BALANCE_MINOR))
            self.join(nursery, session)

    def join(self, nursery, session):
        gambler = Gambler(self, session, random.Random(f"{self.seed}:{len(self.gamblers)}"))
        self.gamblers.append(gambler)
        nursery.start_soon(gambler.live)

    def turn_to(self, url, second_url=None):
        """Everybody gives up the server they play on, which may be silent, and goes to this one.

        Who is told there that the session is not free yet tries ``second_url``, and so on in turn.
        """
        self.url, self.second_url = url, second_url or url
        for gambler in self.gamblers:
            gambler.leave()

    @property
    def is_seated(self):
        return all(gambler.is_seated for gambler in self.gamblers)

    @property
    def is_quiet(self):
        """Whether everybody is seated and nobody waits for anything."""
        return all(gambler.is_idle for gambler in self.gamblers)

    def hear_of_restore(self):
        """What was lost may have been the newest client seeds, and promises."""
        self.is_remembered = False
        for gambler in self.gamblers:
            gambler.promises.was_cut = True

    def trust_again(self):
        """From here on nothing is forgotten any more."""
        self.is_remembered = True
        for gambler in self.gamblers:
            gambler.client_seeds = None

    def ended_counts(self):
        return [len(gambler.ended) for gambler in self.gamblers]


def _no(invariant, detail):
    raise AssertionError(f"{invariant}: {detail}")


class Gambler:
    def __init__(self, table, session, dice):
        self.session = session
        self.started = {}
        self.ended = {}
        self.pending = {}
        self.promises = Promises(_no)
        self._sheet = Sheet(self.promises)
        self.client_seeds = None
        """Those that the server may have stored as this player's; ``None``: unknown."""
        self._table = table
        self._dice = dice
        self._socket = None
        self._waits = False
        self._flies = None
        self._asked = 0
        self._acts_at = 0
        self._tries_second = False
        self.last = deque(maxlen=LAST_MAX)
        self._stay = trio.CancelScope()

    def leave(self):
        self._stay.cancel()

    def remembered(self):
        """The rounds that this player was told of."""
        return {*self.pending, *self.started, *self.ended}

    def __repr__(self):
        """For the report of a run that got stuck."""
        state = {"waits": self._waits, "flies": self._flies, "in": self._socket is not None, "ended": len(self.ended)}
        return f"{self.session.player_id} {self.session.session_id} {state} {list(self.last)}"

    @property
    def is_seated(self):
        return self._socket is not None

    @property
    def is_waiting(self):
        return self._waits or self._flies is not None

    @property
    def is_idle(self):
        return self.is_seated and not self.is_waiting

    async def live(self):
        """Play for ever, through every loss of the server."""
        while True:
            self._stay = trio.CancelScope()
            try:
                with self._stay:
                    await self._visit()
            except* LOST:
                pass
            if self._socket is None:
                self._tries_second = not self._tries_second
            self._socket, self._waits, self._flies = None, False, None
            self._sheet = Sheet(self.promises)
            await trio.sleep(LOOK_S)

    async def _visit(self):
        split = urlsplit(self._table.second_url if self._tries_second else self._table.url)
        async with trio.open_nursery() as nursery:
            with trio.fail_after(CONNECT_S_MAX):
                stream = await trio.open_tcp_stream(split.hostname, split.port)
            try:
                with trio.fail_after(CONNECT_S_MAX):
                    socket = await wrap_client_stream(nursery, stream, split.netloc, "/stream")
                await self._send(socket, "hello", session=self.session.token)
                await self._play(socket, nursery)
            finally:
                stream.socket.close()
                nursery.cancel_scope.cancel()

    async def _send(self, socket, kind, **fields):
        self.last.append(("sent", kind, fields))
        await socket.send_message(json.dumps({"type": kind, **fields}))

    async def _play(self, socket, nursery):
        while True:
            text = None
            with trio.move_on_after(LOOK_S):
                text = await socket.get_message()
            if text is not None:
                frame = parse_json(text)
                if frame["type"] == "session_ended":
                    return
                self._take(frame, socket)
                if frame["type"] == "round_started":
                    nursery.start_soon(self._cash_out, socket, frame["round_id"])
            if self.is_idle and self._table.betting and trio.current_time() >= self._acts_at:
                await self._act(socket)

    async def _cash_out(self, socket, round_id):
        if self._table.by_hand and self._dice.random() < 0.4:
            await trio.sleep(self._dice.uniform(0.01, 0.1))
            # By its own name, so that its refusal is not taken for that of the next bet.
            await self._send(socket, "cashout", id="cashout", round_id=round_id)

    async def _act(self, socket):
        self._waits = True
        self._asked += 1
        if self._dice.random() < 0.2:
            seed = f"seed-{self._dice.randrange(10**9)}"
            if self.client_seeds is not None:
                self.client_seeds.add(seed)
            await self._send(socket, "client_seed", id=str(self._asked), value=seed)
            return
        if self._table.mistreating:
            self._mistreat()
        fields = {"amount_minor": self._dice.randrange(10, 3000)}
        if self._dice.random() < 0.6:
            fields["auto_cashout"] = self._dice.choice(self._table.auto_cashouts)
        self._sheet.says_bet(str(self._asked), None)
        await self._send(socket, "bet", id=str(self._asked), **fields)

    def _mistreat(self):
        wallet, player = self._table.house.wallet, self.session.player_id
        wallet.forget_faults(player)
        for kind, ways in (("bet", BET_RUDENESS), ("win", DELIVERY_RUDENESS), ("refund", DELIVERY_RUDENESS)):
            if self._dice.random() < self._table.rude_share:
                wallet.mistreat(player, kind, *self._dice.choice(ways))

    def _take(self, frame, socket):
        kind = frame["type"]
        self._sheet.sees(frame)
        if kind not in ("tick", "welcome"):
            self.last.append(("got", kind, {name: frame[name] for name in SHOWN & set(frame)}))
        if kind == "welcome":
            self._take_welcome(frame, socket)
        elif kind == "bet_pending":
            self._waits = True
            self.pending[frame["round_id"]] = frame["amount_minor"]
        elif kind == "round_started":
            self._take_started(frame)
        elif kind == "round_ended":
            self._waits, self._flies = False, None
            self._take_ended(frame)
        elif kind == "client_seed":
            self._waits = False
            if frame["id"] == str(self._asked):
                self.client_seeds = {frame["next"]["client_seed"]}
        elif kind == "error" and frame.get("id") in (None, str(self._asked)):  # a limit is told before an id is read
            self._waits = False
            self._acts_at = trio.current_time() + PAUSE_S

    def _take_welcome(self, frame, socket):
        self._socket, self._waits = socket, False
        seed = frame["next"]["client_seed"]
        known = self.client_seeds if self._table.is_remembered else None
        assert known is None or seed in known, f"the client seed {seed} was never chosen"
        self.client_seeds = {seed}
        for ended in frame["history"]:
            self._take_ended(ended)
        if frame["round"] is not None:
            self._take_started(frame["round"])

    def _take_started(self, frame):
        self._flies = frame["round_id"]
        self._keep(self.started, frame["round_id"], (frame["amount_minor"], frame["nonce"], frame["started_at"]))

    def _take_ended(self, frame):
        self._keep(self.ended, frame["round_id"], tuple(str(frame[name]) for name in ENDED_FIELDS))

    @staticmethod
    def _keep(told, key, value):
        assert told.setdefault(key, value) == value, f"{key}: first {told[key]}, then {value}"


async def keep_launching(table, seconds=0.2):
    """While ``table.launching``, launch sessions one after another; an unanswered request is repeated as it was."""
    operator, count = table.house.operator, 0
    while True:
        await trio.sleep(seconds)
        if not table.launching:
            continue
        count += 1
        player = f"launched-{count}"
        body = operator.launch_body(player, balance_minor=BALANCE_MINOR)
        operator.wallet.open_account(player, "USD", BALANCE_MINOR)
        headers = operator.signed("POST", LAUNCH, body)
        answer = await _answered(operator, headers, body)
        session = operator.session_of(answer, player)
        table.launched[player] = session.session_id


async def _answered(operator, headers, body):
    while True:
        try:
            answer = await trio.to_thread.run_sync(lambda: operator.send("POST", LAUNCH, headers, body))
        except (OSError, HTTPException):
            answer = None
        if answer is not None and answer.status == 200:
            return answer
        await trio.sleep(LOOK_S)
