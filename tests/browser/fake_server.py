"""A game server for looking at the page: it speaks the player protocol, obeys the test and keeps no money.

It runs in a thread of its own with its own trio loop. A test tells it how the next bet is answered and where the next
round crashes, and reads what the page has sent.
"""

import json
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from hashlib import sha256

import trio
from quart import websocket

from actors.rules.fairness import Outcome, commitment, outcome
from actors.rules.growth import GrowthCurve

TOKEN = "fake-session-token"
MAX_WIN = 2000


DRAWN = "A" * 16
"""The client seed that a page draws whose random numbers are all 0 (``NO_CHANCE``): the fake knows it beforehand."""
NO_CHANCE = "Crypto.prototype.getRandomValues = function (numbers) { return numbers.fill(0); };"


class FakeGame:
    """What the test may set, and what it may read. One session, one socket at a time."""

    def __init__(self) -> None:
        self.currency = "USD"
        self.balance_minor = 100_000
        self.pending_minor = 0
        self.limits = {
            "min_bet_minor": 10,
            "max_bet_minor": 100_000,
            "bet_step_minor": 10,
            "max_payout_minor": 5_000_000,
            "min_cashout": 1.01,
            "max_win_multiplier": MAX_WIN,
        }
        self.launch: dict = {}
        """What the launch said of the page: ``lang``, ``lobby_url``, ``reality_check_minutes``, ``frame_origins``."""
        self.rtp_bps = 9600
        self.rate = Decimal("0.00006")
        self.tick_ms = 100
        self.crash_at_least = 150
        self.crash_at_most = 10**9
        self.bet_answer = "ok"
        """``ok``; ``hold`` (bet_pending and no more); ``silence``; an error code; ``void:`` and a code."""
        self.cashout_answer = "ok"
        """``ok``, or ``hold`` (none at all)."""
        self.hello_answer = "welcome"
        """``welcome``; ``silence``; ``close`` (the socket, without a word); an error code."""
        self.hold_wins = False
        self.ticks_stop = False
        self.pong_delay_ms = 0
        self.started_at = now_ms()
        self.totals = {"rounds": 0, "staked_minor": 0, "paid_minor": 0}
        self.client_seed = "fakeplayer"
        """The server's own, which no bet of a page is on."""
        self.played_seed = DRAWN
        self.nonce = 1
        self.received: list[dict] = []
        self.history: list[dict] = []
        self.round: dict | None = None
        self._socket = None
        self._nursery: trio.Nursery | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self.port = 0
        self.choose_seed()

    # What a test calls, from its own thread.

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/play?session={TOKEN}"

    def send(self, frame_type: str, **fields: object) -> None:
        self._run(self._send, frame_type, fields)

    def drop(self) -> None:
        """End the socket without a word."""
        self._run(self._close)

    def start_held_round(self) -> None:
        """The wallet that was asked at last says yes."""
        self._run(self._fly)

    def void_held_round(self, code: str, owes_minor: int = 0) -> None:
        """The wallet gave no clear answer (then the stake is owed, in case it was taken), or was never asked."""
        self._run(self._void, code, None, owes_minor)

    def crash_now(self) -> None:
        self._run(self._end, "crash", 0)

    def end_now(self, result: str, hundredths: int) -> None:
        """The round ends here, whatever its seed says: ``cashout`` or ``max_win`` at these hundredths."""
        self._run(self._end, result, hundredths)

    def refund_now(self, reason: str) -> None:
        """The round is broken off; its stake is owed."""
        self._run(self._refund, reason)

    def begin_round(self, amount_minor: int) -> None:
        """A round flies from a bet that the page did not send."""
        self._run(self._begin_round, amount_minor)

    def play_round(self, amount_minor: int, hundredths: int) -> None:
        """The same to its end (0: lost)."""
        self._run(self._play_round, amount_minor, hundredths)

    def welcome_again(self) -> None:
        """Tell anew what is so: after something was changed that only ``welcome`` tells."""
        self._run(self._greet)

    def deliver_wins(self) -> None:
        self.balance_minor += self.pending_minor
        self.pending_minor = 0
        self._run(self._balance)

    def last(self, frame_type: str) -> dict:
        return [frame for frame in self.received if frame["type"] == frame_type][-1]

    def count(self, frame_type: str) -> int:
        return sum(frame["type"] == frame_type for frame in self.received)

    def finish_rounds(self, count: int) -> None:
        """Fill the history with crashed and won rounds, straight away."""
        for number in range(count):
            self.choose_seed()
            won = number % 3 == 1
            self.round = self._live(1_000, None, started_at=now_ms() - 60_000)
            crash = self.outcome.crash_hundredths
            self.history.insert(0, self._finished("settled", "cashout" if won else "crash", None, crash if won else 0))
            self.round = None
            self.nonce += 1
        self.choose_seed()

    # The server's side.

    def choose_seed(self) -> None:
        """A server seed whose crash point lies where the test wants it."""
        self.played_seed = DRAWN
        for number in range(100_000):
            seed = sha256(f"{self.nonce}/{number}".encode()).hexdigest()
            drawn = outcome(seed, DRAWN, self.nonce, self.rtp_bps, self.limits["max_win_multiplier"])
            if self.crash_at_least <= drawn.crash_hundredths <= self.crash_at_most:
                self.server_seed, self.outcome = seed, drawn
                return
        raise AssertionError("no seed crashes there")

    outcome: Outcome

    def _play_under(self, client_seed: str) -> None:
        """The promised server seed, and this client seed. A crash where the test wants it has only what is drawn."""
        self.played_seed = client_seed
        self.outcome = outcome(
            self.server_seed, client_seed, self.nonce, self.rtp_bps, self.limits["max_win_multiplier"]
        )

    def next_fields(self) -> dict:
        return {
            "server_seed_hash": commitment(self.server_seed),
            "client_seed": self.client_seed,
            "nonce": self.nonce,
        }

    def totals_fields(self) -> dict:
        return {"started_at": self.started_at, **self.totals}

    def welcome(self) -> dict:
        flying = self.round if self.round and self.round["status"] == "flying" else None
        return {
            "protocol": 1,
            "session_id": str(uuid.UUID(int=1)),
            "player": "player-42",
            "currency": self.currency,
            "balance_minor": self.balance_minor,
            "pending_minor": self.pending_minor,
            "limits": self.limits,
            "rtp_target": self.rtp_bps / 100,
            "growth": {"rate_per_ms": float(self.rate)},
            "tick_ms": self.tick_ms,
            "next": self.next_fields(),
            "round": flying,
            "history": self.history[:20],
            "totals": self.totals_fields(),
            "server_time": now_ms(),
            "expires_at": now_ms() + 3_600_000,
        }

    async def talk(self) -> None:
        await websocket.accept()
        socket = websocket._get_current_object()
        hello = json.loads(await socket.receive())
        self.received.append(hello)
        self._socket = socket
        if self.hello_answer == "welcome":
            await self._greet()
        elif self.hello_answer != "silence":
            if self.hello_answer != "close":
                await self._send("error", {"code": self.hello_answer, "message": "no"})
            await self._close()
            return
        while True:
            frame = json.loads(await socket.receive())
            self.received.append(frame)
            await self._answer(frame)

    async def _greet(self) -> None:
        await self._send("welcome", self.welcome())
        if self.round and self.round["status"] == "betting":
            asked = {name: self.round[name] for name in ("round_id", "amount_minor")}
            await self._send("bet_pending", asked)

    async def _answer(self, frame: dict) -> None:
        reply = frame.get("id")
        match frame["type"]:
            case "ping":
                self._nursery.start_soon(self._pong, frame["t"])
            case "bet":
                await self._bet(frame)
            case "cashout":
                await self._cashout(reply)
            case "history":
                ids = [entry["round_id"] for entry in self.history]
                start = ids.index(frame["before"]) + 1
                page = self.history[start : start + frame["limit"]]
                more = start + frame["limit"] < len(self.history)
                await self._send("history", {"id": reply, "rounds": page, "more": more})

    async def _pong(self, t: float) -> None:
        server_time = now_ms()
        await trio.sleep(self.pong_delay_ms / 1000)
        await self._send("pong", {"t": t, "server_time": server_time})

    async def _bet(self, frame: dict) -> None:
        if self.bet_answer == "silence":
            return
        if self.bet_answer not in ("ok", "hold") and not self.bet_answer.startswith("void:"):
            await self._send("error", {"code": self.bet_answer, "message": "no", "id": frame["id"]})
            return
        if "client_seed" in frame:
            self._play_under(frame["client_seed"])
        self.round = self._live(frame["amount_minor"], frame.get("auto_cashout"), started_at=None)
        pending = {"id": frame["id"], "round_id": self.round["round_id"], "amount_minor": frame["amount_minor"]}
        await self._send("bet_pending", pending)
        if self.bet_answer.startswith("void:"):
            await self._void(self.bet_answer.removeprefix("void:"), frame["id"])
        elif self.bet_answer == "ok":
            await self._fly(frame["id"])

    def _live(self, amount_minor: int, auto_cashout: float | None, *, started_at: int | None) -> dict:
        return {
            "round_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.nonce}")),
            "status": "betting" if started_at is None else "flying",
            "amount_minor": amount_minor,
            "auto_cashout": auto_cashout,
            "balance_minor": self.balance_minor,
            "started_at": started_at,
            **self.next_fields(),
            "client_seed": self.played_seed,
            "map_seed": self.outcome.map_seed,
            "loot_seed": self.outcome.loot_seed,
        }

    async def _fly(self, reply: str | None = None) -> None:
        assert self.round is not None and self._nursery is not None
        self.balance_minor -= self.round["amount_minor"]
        started_at = -(-now_ms() // self.tick_ms) * self.tick_ms
        self.round |= {"status": "flying", "started_at": started_at, "balance_minor": self.balance_minor}
        await self._send("round_started", self.round | ({"id": reply} if reply else {}))
        self._nursery.start_soon(self._fly_on, self.round)

    async def _fly_on(self, live: dict) -> None:
        curve = GrowthCurve(self.rate)
        started_at, auto = live["started_at"], round((live["auto_cashout"] or 0) * 100)
        crash_ms = curve.crashes_at_ms(self.outcome.crash_hundredths)
        pays = 0 < auto <= self.outcome.crash_hundredths
        end_ms = curve.reaches_at_ms(auto) if pays else crash_ms
        elapsed = 0
        while elapsed < end_ms:
            await trio.sleep(max(0, (started_at + elapsed - now_ms()) / 1000))
            if self.round is not live:
                return
            if not self.ticks_stop:
                await self._send("tick", {"e": elapsed, "x": curve.hundredths_at(elapsed) / 100})
            elapsed += self.tick_ms
        await trio.sleep(max(0, (started_at + end_ms - now_ms()) / 1000))
        if self.round is live:
            await self._end("cashout" if pays else "crash", auto if pays else 0)

    async def _cashout(self, reply: str) -> None:
        if self.cashout_answer == "hold":
            return
        if self.round is None:
            await self._send("error", {"code": "too_late", "message": "no", "id": reply})
            return
        shown = GrowthCurve(self.rate).hundredths_at(now_ms() - self.round["started_at"])
        if shown < 101:
            await self._send("error", {"code": "too_early", "message": "no", "id": reply})
        else:
            await self._end("cashout", shown, reply)

    async def _void(self, code: str, reply: str | None, owes_minor: int = 0) -> None:
        entry = self._finished("void", None, code, 0)
        await self._finish(entry, None, owes_minor)
        await self._send("error", {"code": code, "message": "no", **({"id": reply} if reply else {})})
        if owes_minor:
            await self._owe(owes_minor)

    async def _end(self, result: str, hundredths: int, reply: str | None = None) -> None:
        entry = self._finished("settled", result, None, hundredths)
        self.totals["rounds"] += 1
        self.totals["staked_minor"] += entry["amount_minor"]
        self.totals["paid_minor"] += entry["payout_minor"]
        await self._finish(entry, reply, entry["payout_minor"])
        await self._owe(entry["payout_minor"])

    async def _refund(self, reason: str) -> None:
        entry = self._finished("refunded", None, reason, 0)
        await self._finish(entry, None, entry["amount_minor"])
        await self._owe(entry["amount_minor"])

    async def _begin_round(self, amount_minor: int) -> None:
        self.round = self._live(amount_minor, None, started_at=None)
        await self._send("bet_pending", {"round_id": self.round["round_id"], "amount_minor": amount_minor})
        await self._fly()

    async def _play_round(self, amount_minor: int, hundredths: int) -> None:
        await self._begin_round(amount_minor)
        await self._end("cashout" if hundredths else "crash", hundredths)

    async def _owe(self, amount_minor: int) -> None:
        self.pending_minor += amount_minor
        if amount_minor:
            await self._balance()
        if not self.hold_wins:
            self.balance_minor += self.pending_minor
            self.pending_minor = 0
            await self._balance()

    def _finished(self, status: str, result: str | None, reason: str | None, hundredths: int) -> dict:
        assert self.round is not None
        live = self.round
        return {
            **{name: live[name] for name in ("round_id", "amount_minor", "auto_cashout", "started_at")},
            **{name: live[name] for name in ("server_seed_hash", "client_seed", "nonce", "map_seed", "loot_seed")},
            "status": status,
            "result": result,
            "reason": reason,
            "currency": self.currency,
            "realized_multiplier": hundredths / 100,
            "payout_minor": live["amount_minor"] * hundredths // 100,
            "crash_point": self.outcome.crash_hundredths / 100,
            "server_seed": self.server_seed,
            "rtp_target": self.rtp_bps / 100,
            "max_win_multiplier": self.limits["max_win_multiplier"],
            "guard_seed": self.outcome.guard_seed,
            "settled_at": now_ms(),
        }

    async def _finish(self, entry: dict, reply: str | None = None, owes_minor: int = 0) -> None:
        self.round = None
        self.history.insert(0, entry)
        self.nonce += 1
        self.choose_seed()
        now = {"balance_minor": self.balance_minor, "next": self.next_fields(), "totals": self.totals_fields()}
        now["pending_minor"] = self.pending_minor + owes_minor
        fields = entry | now | ({"id": reply} if reply else {})
        await self._send("round_ended", fields)

    async def _balance(self) -> None:
        await self._send("balance", {"balance_minor": self.balance_minor, "pending_minor": self.pending_minor})

    async def _send(self, frame_type: str, fields: dict) -> None:
        # A page that has gone is no business of the round's.
        with suppress(Exception):
            await self._socket.send(json.dumps({"type": frame_type, **fields}))

    async def _close(self) -> None:
        with suppress(Exception):
            await self._socket.close(1000)

    def _run(self, function: Callable, *args: object) -> None:
        trio.from_thread.run(function, *args, trio_token=self._token)


def now_ms() -> int:
    return time.time_ns() // 1_000_000
