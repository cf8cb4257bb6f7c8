"""A casino's wallet: it trusts nothing that it is sent, and writes down everything that breaks the specification."""

import hmac
import json
import sys
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.whole.casino import parse_json, signature
from tests.whole.fairness import hundredths_of

FRESH_S_MAX = 30
HELD_S_MAX = 60
BET_FIELDS = {"operator_tx_id", "operator_player_id", "session_id", "round_id", "currency", "amount_minor"}
FIELDS = {
    "bet": BET_FIELDS,
    "win": BET_FIELDS | {"multiplier", "bet_tx_id"},
    "refund": BET_FIELDS | {"bet_tx_id"},
}


@dataclass
class Fault:
    """How to mistreat one call.

    ``takes_effect``: the money moves all the same. ``pause``: the wallet does nothing before this event, which comes
    in time. ``hold``: no answer before this event, which comes too late. ``late``: a held call takes its effect then.
    ``drop``: the connection is closed in place of an answer. ``body``: sent in place of ours. ``headers``: sent too.
    ``trailing``: bytes that follow the answer. ``says_done``: whatever its status, the body says that a win or refund
    is booked; it tells no balance. ``name``: for those who count what was met.
    """

    status: int = 0
    takes_effect: bool = False
    drop: bool = False
    pause: threading.Event | None = None
    hold: threading.Event | None = None
    late: bool = False
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    trailing: bytes = b""
    says_done: bool = False
    name: str = ""

    def is_lost(self):
        return self.drop or self.hold is not None


@dataclass
class Call:
    """One attempt that reached the wallet."""

    operator_id: str
    kind: str
    tx_id: str
    body: dict
    raw: bytes
    status: int = 0
    acknowledged: bool = False


@dataclass
class Entry:
    """One movement of money in the journal."""

    kind: str
    tx_id: str
    round_id: str
    account: tuple
    delta_minor: int
    balance_minor: int


@dataclass
class SessionBooks:
    """What the wallet expects next of one session."""

    busy: bool = False
    owed: set = field(default_factory=set)  # transactions that must be acknowledged before the next bet


class Wallet:
    """``/wallet/bet``, ``/wallet/win`` and ``/wallet/refund`` on a port of the loopback, one thread per connection."""

    def __init__(self):
        self.lock = threading.Condition()
        self.operators = {}
        self.balances = {}
        self.journal = []
        self.calls = []
        self.violations = []
        self._first_bytes = {}
        self._answers = {}
        self._cancelled = set()
        self._faults = defaultdict(deque)
        self._sessions = defaultdict(SessionBooks)
        wallet = self

        class Handler(_Handler):
            pass

        Handler.wallet = wallet
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.wallet = wallet
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/wallet"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    # what a test says to it

    def trust(self, operator):
        self.operators[operator.operator_id] = operator
        operator.wallet = self

    def open_account(self, player_id, currency, balance_minor):
        with self.lock:
            self.balances.setdefault((player_id, currency), balance_minor)

    def mistreat(self, player_id, kind, *faults):
        """The player's next calls of this kind meet these faults, one each."""
        with self.lock:
            self._faults[player_id, kind].extend(faults)

    def forget_faults(self, player_id):
        """Faults that no call has met are off."""
        with self.lock:
            for (owner, _), faults in self._faults.items():
                if owner == player_id:
                    faults.clear()

    def wait_for_call(self, tx_id, seconds=30):
        """Block until a call with this transaction has come."""
        with self.lock:
            came = self.lock.wait_for(lambda: any(call.tx_id == tx_id for call in self.calls), seconds)
            assert came, f"{tx_id} did not come"

    def calls_of(self, tx_id):
        with self.lock:
            return [call for call in self.calls if call.tx_id == tx_id]

    def entries_of(self, round_id):
        with self.lock:
            return [entry for entry in self.journal if entry.round_id == round_id]

    # what the game server says to it

    def violation(self, text):
        self.violations.append(text)

    def check_headers(self, headers, target, raw):
        """The operator who is spoken for, or None; everything wrong is noted."""
        values = {}
        for name in ("X-Operator-Id", "X-Operator-Key", "X-Timestamp", "X-Signature"):
            found = headers.get_all(name) or []
            if len(found) != 1:
                self.violation(f"{target}: {name} came {len(found)} times")
                return None
            values[name] = found[0]
        operator = self.operators.get(values["X-Operator-Id"])
        if operator is None or not hmac.compare_digest(operator.api_key, values["X-Operator-Key"]):
            self.violation(f"{target}: wrong id or key")
            return None
        timestamp = values["X-Timestamp"]
        if not (len(timestamp) == 10 and timestamp.isascii() and timestamp.isdigit()):
            self.violation(f"{target}: malformed timestamp {timestamp!r}")
            return None
        if abs(time.time() - int(timestamp)) > FRESH_S_MAX:
            self.violation(f"{target}: the timestamp is not fresh: {timestamp}")
        expected = signature(operator.hmac_secret, timestamp, "POST", target, raw)
        if not hmac.compare_digest(expected, values["X-Signature"]):
            self.violation(f"{target}: wrong signature")
            return None
        if operator.hmac_secret in str(headers) or operator.hmac_secret.encode() in raw:
            self.violation(f"{target}: the secret was sent")
        if headers.get_content_type() != "application/json":
            self.violation(f"{target}: Content-Type {headers.get('Content-Type')!r}")
        return operator

    def check_body(self, kind, raw):
        """The parsed body, or None."""
        try:
            body = parse_json(raw)
        except ValueError:
            self.violation(f"{kind}: not JSON: {raw!r}")
            return None
        if set(body) != FIELDS[kind]:
            self.violation(f"{kind}: fields {sorted(body)}")
            return None
        amount, round_id = body["amount_minor"], body["round_id"]
        if type(amount) is not int or amount < (0 if kind == "win" else 1):
            self.violation(f"{kind}: amount {amount!r}")
            return None
        if body["operator_tx_id"] != f"{kind}-{round_id}":
            self.violation(f"{kind}: tx id {body['operator_tx_id']!r} of round {round_id!r}")
        if kind != "bet" and body["bet_tx_id"] != f"bet-{round_id}":
            self.violation(f"{kind}: bet_tx_id {body['bet_tx_id']!r}")
        return body

    def begin(self, operator, kind, body, raw):
        """Note the attempt; give the fault that it is to meet, if any."""
        tx_id, session = body["operator_tx_id"], self._sessions[body["session_id"]]
        call = Call(operator.operator_id, kind, tx_id, body, raw)
        self.calls.append(call)
        if self._first_bytes.setdefault(tx_id, raw) != raw:
            self.violation(f"{tx_id}: came again with other bytes")
        if session.busy:
            self.violation(f"{tx_id}: came while another call of its session was under way")
        owed = session.owed - {f"refund-{body['round_id']}"}  # the same bet may come again, on a new connection
        if kind == "bet" and owed:
            self.violation(f"{tx_id}: came while {sorted(owed)} was not acknowledged")
        faults = self._faults[body["operator_player_id"], kind]
        fault = faults.popleft() if faults else None
        if fault is not None and fault.hold is not None:
            self._owe(call)
        else:
            session.busy = True
        return call, fault or Fault(takes_effect=True)

    def _owe(self, call):
        tx_id = f"refund-{call.body['round_id']}" if call.kind == "bet" else call.tx_id
        self._sessions[call.body["session_id"]].owed.add(tx_id)

    def finish(self, call, fault, status, answer):
        """Note how an attempt that was not held ended."""
        session = self._sessions[call.body["session_id"]]
        session.busy = False
        call.status = 0 if fault.is_lost() else status
        is_readable = not fault.is_lost() and fault.body is None
        is_told = fault.says_done and not fault.is_lost() and call.kind != "bet" and self.has_booked(call.tx_id)
        call.acknowledged = is_told or (is_readable and status == 200 and answer["ok"])
        is_refusal = is_readable and (status == 200 or (400 <= status < 500 and status not in (408, 425, 429)))
        if call.acknowledged:
            session.owed -= {call.tx_id, f"refund-{call.body['round_id']}"}
        elif call.kind != "bet" or not is_refusal:
            self._owe(call)

    def has_booked(self, tx_id):
        return tx_id in self._answers and self._answers[tx_id][1]["ok"]

    def apply(self, call):
        """Move the money once: ``(status, answer)``; a second time, the first answer."""
        if call.tx_id in self._answers:
            return self._answers[call.tx_id]
        answer = getattr(self, f"_apply_{call.kind}")(call.body)
        self._answers[call.tx_id] = answer
        return answer

    def _move(self, kind, body, delta_minor):
        account = body["operator_player_id"], body["currency"]
        self.balances[account] += delta_minor
        entry = Entry(kind, body["operator_tx_id"], body["round_id"], account, delta_minor, self.balances[account])
        self.journal.append(entry)
        return 200, {"ok": True, "balance_minor": entry.balance_minor}

    def _apply_bet(self, body):
        account = body["operator_player_id"], body["currency"]
        if account not in self.balances:
            self.violation(f"a bet of an unknown account {account}")
            return 404, {"ok": False, "error": "unknown player"}
        if body["operator_tx_id"] in self._cancelled:
            return 409, {"ok": False, "error": "refunded already"}
        if self.balances[account] < body["amount_minor"]:
            return 402, {"ok": False, "error": "insufficient funds"}
        return self._move("bet", body, -body["amount_minor"])

    def _bet_of(self, body):
        """The bet's entry in the journal, and whether the round has been paid or refunded already."""
        entries = [entry for entry in self.journal if entry.round_id == body["round_id"]]
        bet = next((entry for entry in entries if entry.kind == "bet"), None)
        return bet, any(entry.kind != "bet" for entry in entries)

    def _apply_win(self, body):
        bet, is_closed = self._bet_of(body)
        if bet is None or is_closed:
            self.violation(f"{body['operator_tx_id']}: there is no open bet")
            return 409, {"ok": False, "error": "no open bet"}
        if body["amount_minor"] != -bet.delta_minor * hundredths_of(body["multiplier"]) // 100:
            self.violation(f"{body['operator_tx_id']}: {body['amount_minor']} is not the stake x {body['multiplier']}")
        return self._move("win", body, body["amount_minor"])

    def _apply_refund(self, body):
        bet, is_closed = self._bet_of(body)
        self._cancelled.add(body["bet_tx_id"])
        if bet is None:
            return 200, {"ok": True, "balance_minor": self.balances[body["operator_player_id"], body["currency"]]}
        if is_closed or -bet.delta_minor != body["amount_minor"]:
            self.violation(f"{body['operator_tx_id']}: it does not undo the bet")
            return 409, {"ok": False, "error": "can't refund"}
        return self._move("refund", body, body["amount_minor"])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    wallet: Wallet

    def handle_error(self, request, client_address):
        """A caller may hang up; anything else that fails here was sent wrong."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.wallet.violation(f"unreadable: {error!r}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wallet: Wallet

    def log_message(self, *_):
        pass

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        wallet, kind = self.wallet, self.path.removeprefix("/wallet/")
        with wallet.lock:
            if kind not in FIELDS:
                wallet.violation(f"POST {self.path}")
                return self.answer(404, {"ok": False})
            operator = wallet.check_headers(self.headers, self.path, raw)
            if operator is None:
                return self.answer(401, {"ok": False})
            body = wallet.check_body(kind, raw)
            if body is None:
                return self.answer(400, {"ok": False})
            call, fault = wallet.begin(operator, kind, body, raw)
            wallet.lock.notify_all()
        return self.carry_out(call, fault)

    def carry_out(self, call, fault):
        wallet, status, answer = self.wallet, 200, {"ok": False, "error": "as told"}
        if fault.pause is not None:
            fault.pause.wait(HELD_S_MAX)
        with wallet.lock:
            if fault.takes_effect and not fault.late:
                status, answer = wallet.apply(call)
            status = fault.status or status
        if fault.hold is not None:
            fault.hold.wait(HELD_S_MAX)
        with wallet.lock:
            if fault.late:
                status, answer = wallet.apply(call)
            if fault.hold is None:
                wallet.finish(call, fault, status, answer)
            wallet.lock.notify_all()
        if fault.drop:
            self.close_connection = True
            return None
        return self.answer(status, answer, fault.body, fault)

    def answer(self, status, answer, raw=None, fault=None):
        data = json.dumps(answer).encode() if raw is None else raw
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in () if fault is None else fault.headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data if fault is None else data + fault.trailing)
        except OSError:
            self.close_connection = True

    def do_GET(self):
        with self.wallet.lock:
            self.wallet.violation(f"GET {self.path}")
        self.answer(405, {"ok": False})
