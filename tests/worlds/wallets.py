"""Simulated operators: each keeps its own books, and some are rude about it, on the other side of a bad network."""

import json
from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

import httpx
import trio

from actors.facts.records import CallKind, Operator
from server.wallet.connection import UnansweredError
from tests.worlds.faults import FAILURES, ODD_STATUSES, REFUSALS

GARBAGE = (
    b"",
    b"null",
    b"[]",
    b"<html>busy</html>",
    b'{"ok":"true","balance_minor":1}',
    b'{"ok":true}',
    b'{"ok":true,"balance_minor":1.5}',
    b'{"ok":true,"balance_minor":-1}',
    b'{"ok":true,"balance_minor":1,"balance_minor":2}',
    b'{"ok":true,"balance_minor":NaN}',
    b'{"ok":true,"balance_minor":true}',
    b'{"ok":true,"balance_minor":10000000000000000}',
    b'{"ok":1,"balance_minor":1}',
    b"\xff\xfe",
)
BETS_REFUSED_SHARE = 0.03
KEPT_SHARE = 0.9
"""Of the connections that have carried an answer."""
BOOKED_ALREADY = b'{"ok":false,"error":{"code":"already_booked"}}'
REPEATED = (
    (409, b""),
    (409, BOOKED_ALREADY),
    (200, b'{"ok":false,"error":"already_booked"}'),
    (400, b'{"ok":false,"error":"duplicate"}'),
    (404, b"<html>no such thing</html>"),
    (402, b'{"ok":false}'),
)
"""What rude wallets answer to an id that they have booked."""
UNTOLD_BALANCES = (b'{"ok":true}', b'{"ok":true,"balance_minor":-5}', b'{"ok":true,"balance_minor":NaN}')


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction id that an operator has seen: its bytes, the answer, what it moved (a debit is negative)."""

    kind: CallKind
    round_id: str
    player: str
    session_id: str
    amount_minor: int
    body: bytes
    status: int
    moved_minor: int
    booked_at_s: float


class OperatorBook:
    """Balances and transactions of one operator's players."""

    def __init__(self, world, record: Operator) -> None:
        self._world = world
        self.record = record
        self.down_until = 0.0
        self.balances: dict[str, int] = {}
        self.answered: dict[str, set[int]] = {}
        self.refuses_next: set[str] = set()
        """Transactions that are booked, and will be refused when they come again."""
        self.entries: dict[str, Entry] = {}
        self._by_round: dict[str, dict[CallKind, Entry]] = {}

    def open_account(self, player: str, balance_minor: int) -> None:
        self.balances[player] = balance_minor
        self.answered[player] = {balance_minor}

    def of_round(self, round_id: str) -> dict[CallKind, Entry]:
        return self._by_round.get(round_id, {})

    def receive(self, kind: CallKind, body: bytes) -> tuple[int, bytes]:
        """Book one request, or recognize it; the answer's status and body."""
        request = json.loads(body)
        tx_id, player = request["operator_tx_id"], request["operator_player_id"]
        known = self.entries.get(tx_id)
        if known is not None and tx_id in self.refuses_next:
            self.refuses_next.discard(tx_id)
            return self._world.network_rng.choice(REPEATED)
        if known is None:
            known = self._book(kind, request, body)
            self._world.trace.note(f"{self.record.name} books {tx_id}: {known.status} {known.moved_minor}")
        elif known.body != body:
            self._world.broken("same id, same bytes", f"{tx_id} came to its operator with other bytes")
        if known.status != 200:
            return known.status, b'{"ok":false}'
        self.answered[player].add(self.balances[player])
        return 200, json.dumps({"ok": True, "balance_minor": self.balances[player]}).encode()

    def _book(self, kind: CallKind, request: dict, body: bytes) -> Entry:
        player, round_id, amount = request["operator_player_id"], request["round_id"], request["amount_minor"]
        status, moved = self._judge(kind, request, self.of_round(round_id), amount)
        self.balances[player] += moved
        entry = Entry(kind, round_id, player, request["session_id"], amount, body, status, moved, trio.current_time())
        self.entries[request["operator_tx_id"]] = entry
        of_round = self._by_round.setdefault(round_id, {})
        if kind in of_round:
            self._world.broken("one id a call", f"a second {kind} of round {round_id} has another id")
        of_round[kind] = entry
        return entry

    def _judge(self, kind: CallKind, request: dict, seen: dict[CallKind, Entry], amount: int) -> tuple[int, int]:
        bet = seen.get(CallKind.BET)
        taken = bet is not None and bet.status == 200
        if kind is CallKind.BET:
            if CallKind.REFUND in seen:
                return 409, 0
            refuses = self._world.network_rng.random() < BETS_REFUSED_SHARE
            return (402, 0) if refuses or amount > self.balances[request["operator_player_id"]] else (200, -amount)
        if kind is CallKind.WIN:
            if not taken or CallKind.REFUND in seen:
                self._world.broken("a win belongs to a taken bet", f"round {request['round_id']} got a win: {seen}")
            return 200, amount
        if CallKind.WIN in seen:
            self._world.broken("never win and refund", f"round {request['round_id']} was paid and is refunded")
        return 200, amount if taken else 0


class Loss(Enum):
    """Why a request was not answered."""

    NOT_CONNECTED = auto()
    STALE = auto()
    BROKEN = auto()


class Slot:
    """Where what becomes of one request appears, if it ever does."""

    def __init__(self) -> None:
        self.outcome: httpx.Response | Loss | None = None
        self.event = trio.Event()

    def put(self, outcome: httpx.Response | Loss) -> None:
        if self.outcome is None:
            self.outcome = outcome
            self.event.set()


class Network:
    """Carries requests to the operators. What is under way arrives whatever becomes of its sender."""

    def __init__(self, world, books: list[OperatorBook]) -> None:
        self._world = world
        self.rng = world.network_rng
        self.books = {book.record.operator_id: book for book in books}
        self.under_way = 0

    def post(self, operator_id: UUID, request: httpx.Request, *, is_kept: bool) -> Slot:
        slot = Slot()
        self.under_way += 1
        self._world.nursery.start_soon(self._carry, operator_id, request, slot, is_kept)
        return slot

    async def _carry(self, operator_id: UUID, request: httpx.Request, slot: Slot, is_kept: bool) -> None:
        kind = CallKind(request.url.path.rpartition("/")[2])
        way = Way(self._world, self.books[operator_id], kind, request.content, is_kept)
        try:
            await way.travel(slot)
        finally:
            self.under_way -= 1


class Way:
    """One request's way to its wallet and back. A kept connection (``is_kept``) ends without a byte where a new one is
    refused, or breaks."""

    def __init__(self, world, book: OperatorBook, kind: CallKind, body: bytes, is_kept: bool) -> None:
        self._book = book
        self._kind = kind
        self._body = body
        self._is_kept = is_kept
        self._rng = world.network_rng
        self._fault = world.faults.of_wallet()
        self.tx_id = json.loads(body)["operator_tx_id"]
        if self._fault is not None:
            world.trace.note(f"fault: {self._fault}: {self.tx_id}")

    def _lost(self) -> Loss:
        return Loss.STALE if self._is_kept else Loss.BROKEN

    async def travel(self, slot: Slot) -> None:
        rng, fault = self._rng, self._fault
        await trio.sleep(rng.uniform(2, 30) if fault == "late request" else rng.uniform(0.005, 0.15))
        if self._book.down_until > trio.current_time() or fault == "no connection":
            slot.put(self._lost() if self._is_kept else Loss.NOT_CONNECTED)
        elif fault == "request lost":
            slot.put(self._lost())
        elif fault == "refused 4xx":
            slot.put(httpx.Response(rng.choice(REFUSALS), headers=self._headers()))
        elif fault in {"failed 5xx", "odd status"} and rng.random() < 0.5:
            slot.put(
                httpx.Response(rng.choice(FAILURES if fault == "failed 5xx" else ODD_STATUSES), headers=self._headers())
            )
        else:
            await self._be_answered(slot)

    async def _be_answered(self, slot: Slot) -> None:
        rng, fault, book = self._rng, self._fault, self._book
        status, body = book.receive(self._kind, self._body)
        if fault == "delivered twice":
            await trio.sleep(rng.choice((0.0, 0.2, 8.0)))
            status, body = book.receive(self._kind, self._body)
        if fault in {"hangs up, then refuses", "answers twice differently"} and status == 200:
            book.refuses_next.add(self.tx_id)
        await trio.sleep(_way_back_s(fault, rng))
        if fault in {"reply lost", "hangs up", "hangs up, then refuses"}:
            slot.put(self._lost())
        elif fault == "answers twice differently":
            slot.put(httpx.Response(rng.choice(FAILURES), headers=self._headers()))
        else:
            slot.put(self._answer(status, body))

    def _headers(self) -> list[tuple[bytes, bytes]]:
        if self._fault != "retry after" and self._rng.random() < 0.8:
            return []
        return [(b"retry-after", self._rng.choice((b"1", b"2", b"5", b"soon", b"Wed, 01 Jul 2026 00:00:30 GMT")))]

    def _answer(self, status: int, body: bytes) -> httpx.Response:
        rng = self._rng
        match self._fault:
            case "failed 5xx" | "retry after":
                return httpx.Response(rng.choice(FAILURES), headers=self._headers())
            case "odd status":
                return httpx.Response(rng.choice(ODD_STATUSES), headers=self._headers())
            case "garbage body":
                return httpx.Response(200, content=rng.choice(GARBAGE))
            case "untold balance" if status == 200:
                return httpx.Response(200, content=rng.choice(UNTOLD_BALANCES))
            case "truncated body":
                return httpx.Response(200, content=body[: rng.randrange(len(body))]) if body else httpx.Response(status)
            case _:
                return httpx.Response(status, content=body)


def _way_back_s(fault: str | None, rng) -> float:
    if fault == "late reply":
        return rng.uniform(4, 40)
    return rng.uniform(0.5, 4.5) if fault == "slow wallet" else rng.choice((0.0, 0.0, 0.1))


class Wire(httpx.AsyncBaseTransport):
    """A life's connections to the wallets, below the real gateway: the transport that it sends through."""

    def __init__(self, life) -> None:
        self._life = life
        self._kept: Counter[UUID] = Counter()
        self.due: dict[str, float] = {}
        """Until when each call that is under way may last, by transaction id."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        life, world = self._life, self._life.world
        sending, operator_id = request.extensions["sending"], UUID(request.headers["X-Operator-Id"])
        give_up_at = trio.current_effective_deadline()
        await life.gate()
        tx_id = json.loads(request.content)["operator_tx_id"]
        if give_up_at > self.due[tx_id] + 1e-6:
            world.broken("a call ends in its time", f"{tx_id} may last until {give_up_at}, due {self.due[tx_id]}")
        is_kept = sending.may_reuse and self._kept[operator_id] > 0
        self._kept[operator_id] -= is_kept
        if not sending.may_reuse:
            world.faults.count("sent again at once")
            world.trace.note(f"{life.label} sends {tx_id} again")
        slot = world.network.post(operator_id, request, is_kept=is_kept)
        sending.has_left = True
        life.note_crossing("send", ())
        await slot.event.wait()
        if isinstance(slot.outcome, Loss):
            sending.has_left = slot.outcome is not Loss.NOT_CONNECTED
            sending.is_stale = slot.outcome is Loss.STALE
            raise UnansweredError(slot.outcome.name)
        self._kept[operator_id] += world.network_rng.random() < KEPT_SHARE
        return slot.outcome
