"""Simulated operators: each keeps its own books, as a careful integrator would, on the other side of a bad network."""

import json
from dataclasses import dataclass

import trio

from actors.ports import Unclear, WalletAnswer
from actors.records import CallKind, Operator, WalletCall
from server.wallet_verdict import classify_body, classify_status
from tests.simulation.faults import FAILURES, ODD_STATUSES, REFUSALS

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


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction id that an operator has seen: its bytes, the answer, what it moved (a debit is negative)."""

    kind: CallKind
    round_id: str
    player: str
    body: bytes
    status: int
    moved_minor: int


class OperatorBook:
    """Balances and transactions of one operator's players."""

    def __init__(self, world, record: Operator) -> None:
        self._world = world
        self.record = record
        self.down_until = 0.0
        self.balances: dict[str, int] = {}
        self.answered: dict[str, set[int]] = {}
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
        entry = Entry(kind, round_id, player, body, status, moved)
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


class Slot:
    """Where the answer to one request appears, if it ever does."""

    def __init__(self) -> None:
        self.answer: WalletAnswer | None = None
        self.event = trio.Event()

    def put(self, answer: WalletAnswer) -> None:
        if self.answer is None:
            self.answer = answer
            self.event.set()


class Network:
    """Carries requests to the operators. What is under way arrives whatever becomes of its sender."""

    def __init__(self, world, books: list[OperatorBook]) -> None:
        self._world = world
        self._rng = world.network_rng
        self.books = {book.record.operator_id: book for book in books}
        self.under_way = 0

    def post(self, call: WalletCall) -> Slot:
        slot = Slot()
        self.under_way += 1
        self._world.nursery.start_soon(self._carry, call, slot)
        return slot

    async def _carry(self, call: WalletCall, slot: Slot) -> None:
        try:
            await self._exchange(self.books[call.operator_id], call, slot, self._world.faults.of_wallet())
        finally:
            self.under_way -= 1

    async def _exchange(self, book: OperatorBook, call: WalletCall, slot: Slot, fault: str | None) -> None:
        rng, note = self._rng, self._world.trace.note
        if fault is not None:
            note(f"fault: {fault}: {call.operator_tx_id}")
        await trio.sleep(rng.uniform(2, 30) if fault == "late request" else rng.uniform(0.005, 0.15))
        if book.down_until > trio.current_time():
            slot.put(Unclear("connection refused"))
            return
        if fault == "request lost":
            slot.put(Unclear("connection lost"))
            return
        if fault == "refused 4xx":
            slot.put(classify_status(rng.choice(REFUSALS)))
            return
        if fault in {"failed 5xx", "odd status"} and rng.random() < 0.5:
            slot.put(classify_status(rng.choice(FAILURES if fault == "failed 5xx" else ODD_STATUSES)))
            return
        status, body = book.receive(call.kind, call.body)
        if fault == "delivered twice":
            await trio.sleep(rng.choice((0.0, 0.2, 8.0)))
            status, body = book.receive(call.kind, call.body)
        await trio.sleep(_way_back_s(fault, rng))
        slot.put(_answer(call.kind, fault, status, body, rng))


def _way_back_s(fault: str | None, rng) -> float:
    if fault == "late reply":
        return rng.uniform(4, 40)
    return rng.uniform(0.5, 4.5) if fault == "slow wallet" else rng.choice((0.0, 0.0, 0.1))


def _answer(kind: CallKind, fault: str | None, status: int, body: bytes, rng) -> WalletAnswer:
    """What the sender reads, judged by the gateway's own rules."""
    match fault:
        case "reply lost":
            return Unclear("connection lost")
        case "failed 5xx":
            return classify_status(rng.choice(FAILURES))
        case "odd status":
            return classify_status(rng.choice(ODD_STATUSES))
        case "garbage body":
            return classify_body(kind, rng.choice(GARBAGE))
        case "truncated body":
            return classify_body(kind, body[: rng.randrange(len(body))])
        case _:
            return classify_status(status) if status != 200 else classify_body(kind, body)
