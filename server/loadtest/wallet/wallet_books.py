"""The stand-in wallet's books: accounts, and every call that it answered. Kept in memory, in full. Pure.

The rules are those that the operators' guide asks of a wallet: a call is known by its ``operator_tx_id``, the same
call again moves nothing and gets the same answer, a bet whose refund came first is refused, and so is a win whose bet
was never accepted, or a refund of another amount than its bet.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from actors.rules.money import MINOR_MAX
from server.loadtest.plan.plan import NAME_PREFIX

KINDS: Final = ("bet", "win", "refund")


@dataclass(frozen=True, slots=True)
class Booking:
    """A call that was answered. ``moved_minor`` is what it did to the balance: below 0 for a bet, 0 if refused."""

    kind: str
    player: str
    round_id: str
    amount_minor: int
    moved_minor: int
    body_digest: bytes
    status: int
    answer: bytes


@dataclass(frozen=True, slots=True)
class _Call:
    kind: str
    operator_tx_id: str
    bet_tx_id: str
    player: str
    round_id: str
    currency: str
    amount_minor: int


class WalletBooks:
    """Accounts of these players only, all in one currency, each with the same opening balance."""

    def __init__(self, names: Iterable[str], currency: str, opening_minor: int) -> None:
        self.balances = dict.fromkeys(names, opening_minor)
        self.bookings: dict[str, Booking] = {}
        self.strangers = 0
        """Wins and refunds of earlier runs of this tool, whose bets these books don't have: nothing was moved."""
        self.refused: list[str] = []
        """Why calls were refused, one entry for each."""
        self._currency = currency

    def answer(self, kind: str, raw_body: bytes) -> tuple[int, bytes]:
        """Carry out an authentic call, or repeat its answer: status and body."""
        call = _read_call(kind, raw_body)
        if call is None:
            return self._refuse(400, "malformed")
        digest = hashlib.sha256(raw_body).digest()
        booked = self.bookings.get(call.operator_tx_id)
        if booked is not None:
            if booked.body_digest != digest:
                return self._refuse(409, "idempotency_conflict")
            return booked.status, booked.answer
        if call.player not in self.balances or call.currency != self._currency:
            return self._answer_stranger(call)
        code, moved_minor = self._movement(call)
        if code is not None and kind != "bet":
            return self._refuse(409, code)  # judged anew when it comes again
        self.balances[call.player] += moved_minor
        status, body = self._refuse(402, code) if code is not None else (200, self._good(call.player))
        self.bookings[call.operator_tx_id] = Booking(
            kind, call.player, call.round_id, call.amount_minor, moved_minor, digest, status, body
        )
        return status, body

    def _movement(self, call: _Call) -> tuple[str | None, int]:
        """What the call does to the balance, or why it can't be."""
        bet = self.bookings.get(call.bet_tx_id)
        if call.kind == "bet":
            if f"refund-{call.round_id}" in self.bookings:
                return "bet_cancelled", 0
            return (None, -call.amount_minor) if self.balances[call.player] >= call.amount_minor else ("no_funds", 0)
        if bet is not None and (bet.player, bet.round_id) != (call.player, call.round_id):
            return "bet_mismatch", 0
        if call.kind == "win":
            is_open = bet is not None and bet.moved_minor < 0 and f"refund-{call.round_id}" not in self.bookings
            if bet is None:
                return "unknown_bet", 0
            return (None, call.amount_minor) if is_open else ("no_open_bet", 0)
        if f"win-{call.round_id}" in self.bookings:
            return "bet_is_won", 0
        if bet is not None and bet.amount_minor != call.amount_minor:
            return "amount_mismatch", 0
        return None, -bet.moved_minor if bet is not None else 0

    def _answer_stranger(self, call: _Call) -> tuple[int, bytes]:
        # A run that was killed may have left wins and refunds, which come for 76 hours: no failure of this one.
        if call.kind != "bet" and call.player.startswith(NAME_PREFIX):
            self.strangers += 1
            if call.kind == "win":
                return 404, json.dumps({"ok": False, "error": "unknown_bet"}).encode()
            return 200, json.dumps({"ok": True, "balance_minor": 0}).encode()
        return self._refuse(404, "unknown_player")

    def _refuse(self, status: int, code: str) -> tuple[int, bytes]:
        self.refused.append(code)
        return status, json.dumps({"ok": False, "error": code}).encode()

    def _good(self, player: str) -> bytes:
        return json.dumps({"ok": True, "balance_minor": self.balances[player]}).encode()


def _read_call(kind: str, raw_body: bytes) -> _Call | None:
    try:
        document = json.loads(raw_body)
        names = ("operator_tx_id", "operator_player_id", "round_id", "currency")
        texts = {name: document[name] for name in names}
        bet_tx_id = document["operator_tx_id"] if kind == "bet" else document["bet_tx_id"]
        amount_minor = document["amount_minor"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_amount = type(amount_minor) is int and 0 < amount_minor <= MINOR_MAX
    if not is_amount or not all(isinstance(text, str) and text for text in (*texts.values(), bet_tx_id)):
        return None
    return _Call(
        kind=kind,
        operator_tx_id=texts["operator_tx_id"],
        bet_tx_id=bet_tx_id,
        player=texts["operator_player_id"],
        round_id=texts["round_id"],
        currency=texts["currency"],
        amount_minor=amount_minor,
    )
