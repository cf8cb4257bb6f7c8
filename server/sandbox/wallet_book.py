"""The operator's wallet: accounts, bets and a ledger in one SQLite file.

The rules that any operator's wallet must keep:

* A call is known by its ``operator_tx_id``. The same call again gets the same answer and moves nothing; the same id
  with another body is refused.
* A refund of a bet that never arrived is accepted, and that bet is refused if it arrives later.
* A win or refund moves money only if its bet was accepted, by this player and for this round: a good signature says who
  calls, and not that the call makes sense. A refund is exactly the stake.
* A bet never overdraws. A bet ends once: with a win, with a refund, or (a loss) with nothing.
* What was answered has been stored: one transaction, one ``fsync``, then the answer.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

AMOUNT_MINOR_MAX: Final = 10**12
OPENING_MINOR: Final = {"USD": 500_000, "EUR": 500_000, "JPY": 500_000}
KINDS: Final = ("bet", "win", "refund")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    player TEXT NOT NULL, currency TEXT NOT NULL, balance_minor INTEGER NOT NULL CHECK (balance_minor >= 0),
    PRIMARY KEY (player, currency)
) STRICT;
CREATE TABLE IF NOT EXISTS bets (
    operator_tx_id TEXT PRIMARY KEY, round_id TEXT NOT NULL, player TEXT NOT NULL, currency TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    state TEXT NOT NULL CHECK (state IN ('accepted', 'refused', 'cancelled', 'won', 'refunded'))
) STRICT;
CREATE TABLE IF NOT EXISTS answers (
    operator_tx_id TEXT PRIMARY KEY, body_sha256 TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS entries (
    entry INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, player TEXT NOT NULL, currency TEXT NOT NULL,
    kind TEXT NOT NULL, round_id TEXT, amount_minor INTEGER NOT NULL, balance_minor INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS entries_of_player ON entries (player, entry);
"""


@dataclass(frozen=True)
class Call:
    """A wallet call's fields, checked."""

    kind: str
    operator_tx_id: str
    bet_tx_id: str
    player: str
    round_id: str
    currency: str
    amount_minor: int


@dataclass(frozen=True)
class BookAnswer:
    """What to answer, and for the operator's own eyes what happened: ``accepted``, ``repeated`` or a reason."""

    status: int
    body: bytes
    outcome: str
    call: Call | None
    balance_minor: int | None


@dataclass(frozen=True)
class Entry:
    """A line of the ledger, numbered upwards: ``amount_minor`` is negative for a bet."""

    entry: int
    at_ms: int
    currency: str
    kind: str
    round_id: str | None
    amount_minor: int
    balance_minor: int


class RefusedError(Exception):
    """The wallet's answer is no: an HTTP status and a short code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class WalletBook:
    """Safe to use from many threads. Money is in integer minor units."""

    def __init__(self, path: Path) -> None:
        """Open or create the file; every commit reaches the disk before a method returns."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def open_account(self, player: str, currency: str, now_ms: int) -> int:
        """The balance; a player who is new in this currency is given some play money first."""
        with self._transaction():
            balance_minor = self._balance(player, currency)
            if balance_minor is not None:
                return balance_minor
            self._database.execute("INSERT INTO accounts VALUES (?, ?, 0)", (player, currency))
            return self._move(player, currency, OPENING_MINOR[currency], kind="opening", round_id=None, now_ms=now_ms)

    def balance(self, player: str, currency: str) -> int | None:
        """The balance; ``None`` if there is no such account."""
        with self._lock:
            return self._balance(player, currency)

    def deposit(self, player: str, currency: str, amount_minor: int, now_ms: int) -> int:
        """Add play money; the balance afterwards. Raises ``RefusedError``."""
        if not 0 < amount_minor <= AMOUNT_MINOR_MAX:
            raise RefusedError(400, "amount_minor_out_of_range")
        with self._transaction():
            balance_minor = self._balance(player, currency)
            if balance_minor is None:
                raise RefusedError(404, "unknown_player")
            if balance_minor + amount_minor > AMOUNT_MINOR_MAX:
                raise RefusedError(400, "rich_enough")
            return self._move(player, currency, amount_minor, kind="deposit", round_id=None, now_ms=now_ms)

    def entries(self, player: str, limit: int) -> list[Entry]:
        """The player's newest ledger lines, newest first."""
        with self._lock:
            rows = self._database.execute(
                "SELECT entry, at_ms, currency, kind, round_id, amount_minor, balance_minor FROM entries"
                " WHERE player = ? ORDER BY entry DESC LIMIT ?",
                (player, limit),
            ).fetchall()
        return [Entry(*row) for row in rows]

    def answer(self, kind: str, raw_body: bytes, now_ms: int) -> BookAnswer:
        """Carry out one authentic wallet call, or repeat its answer."""
        try:
            call = read_call(kind, raw_body)
        except RefusedError as refused:
            return BookAnswer(refused.status, _refusal_body(refused.code), refused.code, None, None)
        digest = hashlib.sha256(raw_body).hexdigest()
        with self._transaction():
            stored = self._database.execute(
                "SELECT body_sha256, status, body FROM answers WHERE operator_tx_id = ?", (call.operator_tx_id,)
            ).fetchone()
            if stored is not None:
                return self._repeat(call, digest, *stored)
            status, body, outcome = self._carry_out(call, now_ms)
            # A refused win or refund moved nothing and will be sent again: it is judged anew then.
            if status == 200 or kind == "bet":
                self._database.execute(
                    "INSERT INTO answers VALUES (?, ?, ?, ?)", (call.operator_tx_id, digest, status, body.decode())
                )
            return BookAnswer(status, body, outcome, call, self._balance(call.player, call.currency))

    def _repeat(self, call: Call, digest: str, stored_digest: str, status: int, body: str) -> BookAnswer:
        balance_minor = self._balance(call.player, call.currency)
        if digest != stored_digest:
            return BookAnswer(409, _refusal_body("idempotency_conflict"), "idempotency_conflict", call, balance_minor)
        return BookAnswer(status, body.encode(), "repeated", call, balance_minor)

    def _carry_out(self, call: Call, now_ms: int) -> tuple[int, bytes, str]:
        try:
            match call.kind:
                case "bet":
                    balance_minor = self._bet(call, now_ms)
                case "win":
                    balance_minor = self._win(call, now_ms)
                case _:
                    balance_minor = self._refund(call, now_ms)
        except RefusedError as refused:
            return refused.status, _refusal_body(refused.code), refused.code
        return 200, json.dumps({"ok": True, "balance_minor": balance_minor}).encode(), "accepted"

    def _bet(self, call: Call, now_ms: int) -> int:
        if self._bet_state(call) is not None:
            raise RefusedError(409, "bet_cancelled")
        balance_minor = self._balance(call.player, call.currency)
        if balance_minor is None:
            raise RefusedError(404, "unknown_player")
        if balance_minor < call.amount_minor:
            self._insert_bet(call, "refused")
            raise RefusedError(402, "insufficient_funds")
        self._insert_bet(call, "accepted")
        return self._move(
            call.player, call.currency, -call.amount_minor, kind="bet", round_id=call.round_id, now_ms=now_ms
        )

    def _win(self, call: Call, now_ms: int) -> int:
        state = self._bet_state(call)
        if state is None:
            raise RefusedError(404, "unknown_bet")
        if state != "accepted":
            raise RefusedError(409, f"bet_is_{state}")
        self._set_state(call.bet_tx_id, "won")
        return self._move(
            call.player, call.currency, call.amount_minor, kind="win", round_id=call.round_id, now_ms=now_ms
        )

    def _refund(self, call: Call, now_ms: int) -> int:
        state = self._bet_state(call)
        if state == "won":
            raise RefusedError(409, "bet_is_won")
        if state == "accepted":
            self._set_state(call.bet_tx_id, "refunded")
            return self._move(
                call.player, call.currency, call.amount_minor, kind="refund", round_id=call.round_id, now_ms=now_ms
            )
        if state is None:
            self._insert_bet(call, "cancelled")
        return self._balance(call.player, call.currency) or 0

    def _bet_state(self, call: Call) -> str | None:
        """The state of the call's bet; ``None`` if it never came. Raises ``RefusedError`` if it differs."""
        row = self._database.execute(
            "SELECT round_id, player, currency, amount_minor, state FROM bets WHERE operator_tx_id = ?",
            (call.bet_tx_id,),
        ).fetchone()
        if row is None:
            return None
        round_id, player, currency, amount_minor, state = row
        if (round_id, player, currency) != (call.round_id, call.player, call.currency):
            raise RefusedError(409, "bet_mismatch")
        if call.kind == "refund" and amount_minor != call.amount_minor:
            raise RefusedError(409, "amount_mismatch")
        return str(state)

    def _insert_bet(self, call: Call, state: str) -> None:
        self._database.execute(
            "INSERT INTO bets VALUES (?, ?, ?, ?, ?, ?)",
            (call.bet_tx_id, call.round_id, call.player, call.currency, call.amount_minor, state),
        )

    def _set_state(self, bet_tx_id: str, state: str) -> None:
        self._database.execute("UPDATE bets SET state = ? WHERE operator_tx_id = ?", (state, bet_tx_id))

    def _balance(self, player: str, currency: str) -> int | None:
        row = self._database.execute(
            "SELECT balance_minor FROM accounts WHERE player = ? AND currency = ?", (player, currency)
        ).fetchone()
        return None if row is None else int(row[0])

    def _move(
        self, player: str, currency: str, amount_minor: int, *, kind: str, round_id: str | None, now_ms: int
    ) -> int:
        (balance_minor,) = self._database.execute(
            "UPDATE accounts SET balance_minor = balance_minor + ? WHERE player = ? AND currency = ?"
            " RETURNING balance_minor",
            (amount_minor, player, currency),
        ).fetchone()
        self._database.execute(
            "INSERT INTO entries (at_ms, player, currency, kind, round_id, amount_minor, balance_minor)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (now_ms, player, currency, kind, round_id, amount_minor, balance_minor),
        )
        return int(balance_minor)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One at a time, also among processes: the write lock is taken before anything is read."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")


def read_call(kind: str, raw_body: bytes) -> Call:
    """The fields of a wallet call's body. Unknown fields are ignored. Raises ``RefusedError``."""
    try:
        document = json.loads(raw_body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise RefusedError(400, "bad_json") from None
    if not isinstance(document, dict):
        raise RefusedError(400, "bad_json")

    def text(name: str) -> str:
        value = document.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= 128 or not value.isprintable():
            raise RefusedError(400, f"bad_{name}")
        return value

    amount_minor = document.get("amount_minor")
    if type(amount_minor) is not int or not 0 < amount_minor <= 10**15:
        raise RefusedError(400, "bad_amount_minor")
    operator_tx_id = text("operator_tx_id")
    return Call(
        kind=kind,
        operator_tx_id=operator_tx_id,
        bet_tx_id=operator_tx_id if kind == "bet" else text("bet_tx_id"),
        player=text("operator_player_id"),
        round_id=text("round_id"),
        currency=text("currency"),
        amount_minor=amount_minor,
    )


def _refusal_body(code: str) -> bytes:
    return json.dumps({"ok": False, "error": code}).encode()
