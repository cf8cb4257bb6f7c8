"""A game server as a process, a wallet and operators beside it, and the audit that compares all books in the end."""

import json
import time
from collections import Counter, defaultdict
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from fractions import Fraction

from tests.helpers.server_process import ServerProcess
from tests.whole import fairness
from tests.whole.casino import Operator
from tests.whole.fairness import hundredths_of
from tests.whole.player import Player, connected
from tests.whole.wallet import Wallet

RATE_PER_MS = "0.0006"
ODD_STAKES = "USD:10:100000:1:20000000"  # steps of one minor unit, so that payouts must be rounded
REST_S_MAX = 40
ENDS = {"settled", "void", "refunded"}


class House:
    def __init__(self, server, wallet, rate_per_ms):
        self.server = server
        self.wallet = wallet
        self.rate_per_ms = rate_per_ms
        self.operators = {}
        self.terms = {}
        self.players = []
        self.tick_texts = {}
        self.forgets_attempts = False
        """The database was killed, or changed by hand, amid a delivery: it may have counted fewer than were made."""

    @property
    def url(self):
        return self.server.url

    @property
    def operator(self):
        return next(iter(self.operators.values()))

    def operator_of(self, frame):
        """The operator whose wallet was asked for the round that this frame is about."""
        (call,) = self.wallet.calls_of(f"bet-{frame['round_id']}")
        return self.operators[call.operator_id]

    def add_operator(self, *options, currency="USD", rtp_bps=9600, max_win=2000, share=Fraction(15, 100)):
        """Provision an operator by the command line. The terms are what the options say, for the audit."""
        if "--limits" not in options:
            options = ("--limits", ODD_STAKES, *options)
        created = self.server.create_operator(self.wallet.url, *options, currency=currency)
        names = ("operator_id", "api_key", "hmac_secret")
        operator = Operator(self.url, **{name: created[name] for name in names})
        self.wallet.trust(operator)
        self.operators[operator.operator_id] = operator
        self.terms[operator.operator_id] = {"rtp_bps": rtp_bps, "max_win": max_win, "share": share}
        return operator

    @asynccontextmanager
    async def playing(self, session):
        """A player of this session who has been welcomed."""
        async with connected(self.url) as socket:
            player = Player(socket, session, self.rate_per_ms, self.tick_texts)
            self.players.append(player)
            await player.send("hello", session=session.token)
            frame = await player.receive()
            assert frame["type"] == "welcome", frame
            yield player


@contextmanager
def open_house(postgres, folder, *, rate_per_ms=RATE_PER_MS, **variables):
    """A running server with one operator, for a module of tests. In the end the books are audited."""
    with postgres.database() as database_url:
        server = ServerProcess(database_url, folder, GETAWAY_GAME_GROWTH_RATE_PER_MS=rate_per_ms, **variables)
        wallet = Wallet()
        try:
            house = House(server, wallet, rate_per_ms)
            # Before the server, which would come to know it only later.
            house.add_operator()
            server.start()
            yield house
        finally:
            server.kill()
            wallet.close()


def finished_round(operator, round_id):
    """The round as the server tells it, once it has ended and its transactions rest."""
    deadline = time.monotonic() + REST_S_MAX
    while True:
        told = operator.round(round_id)
        pending = [one for one in told["transactions"] if one["status"] == "pending"]
        if told["status"] in ENDS and not pending:
            return told
        assert time.monotonic() < deadline, f"the round does not come to rest: {told}"
        time.sleep(0.05)


def audit_house(house):
    """Everything that the server tells afterwards equals our own books, to the minor unit."""
    wallet = house.wallet
    assert wallet.violations == []
    assert house.server.errors() == []
    bets = {call.body["round_id"]: call for call in wallet.calls if call.kind == "bet"}
    told = {}
    for round_id, call in bets.items():
        operator = house.operators[call.operator_id]
        told[round_id] = finished_round(operator, round_id)
        audit_round(told[round_id], call.body, wallet, house.terms[call.operator_id])
        audit_transactions(told[round_id], wallet, round_id, forgets_attempts=house.forgets_attempts)
    audit_nonces(told, bets)
    audit_frames(house, told)
    for operator in house.operators.values():
        own = [told[round_id] for round_id, call in bets.items() if call.operator_id == operator.operator_id]
        audit_revenue(operator, own, house.terms[operator.operator_id]["share"])
        audit_reconciled(house, operator)
    assert wallet.violations == []
    return told


def audit_reconciled(house, operator):
    """``getaway reconcile`` finds the server's books sound, and equal to all that the wallet has booked or answered."""
    wallet = house.wallet
    with wallet.lock:
        moved = {entry.tx_id for entry in wallet.journal}
        calls = {call.tx_id: call for call in wallet.calls if call.acknowledged or call.tx_id in moved}
    fields = ("operator_tx_id", "amount_minor", "currency")
    listed = [
        json.dumps({name: call.body[name] for name in fields} | {"kind": call.kind}) + "\n"
        for call in calls.values()
        if call.operator_id == operator.operator_id
    ]
    path = house.server.log_path.with_name("wallet.jsonl")
    path.write_text("".join(listed), encoding="utf-8")
    options = ("--operator", operator.operator_id, "--operator-file", str(path), "--format", "jsonl")
    done = house.server.getaway("reconcile", *options)
    nobody_played = not listed and "compared: 0 rounds, 0 transactions" in done.stdout
    assert (done.returncode, done.stderr) == (4 if nobody_played else 0, ""), done.stdout
    assert f"operator's file: {len(listed)} rows, {len(listed)} of them ours, 0 differences" in done.stdout


def audit_fairness(told, terms):
    seed, client_seed, nonce = told["server_seed"], told["client_seed"], told["nonce"]
    assert fairness.commitment(seed) == told["server_seed_hash"]
    assert told["algorithm"] == "hmac-sha256-v1"
    crash = fairness.crash_hundredths(seed, client_seed, nonce, rtp_bps=terms["rtp_bps"], max_win=terms["max_win"])
    seeds = {f"{name}Seed": fairness.outcome_hex(seed, client_seed, nonce, name) for name in ("map", "loot", "guard")}
    assert hundredths_of(told["outcome"]["crashPoint"]) == crash
    assert told["outcome"] == {"crashPoint": told["outcome"]["crashPoint"], **seeds}
    return crash


def audit_round(told, bet, wallet, terms):
    """One round: its terms, its fairness and its money."""
    crash = audit_fairness(told, terms)
    assert told["ok"] is True
    for name in ("session_id", "operator_player_id", "currency", "amount_minor"):
        assert told[name] == bet[name], name
    assert told["max_win_multiplier"] == terms["max_win"]
    assert told["rtp_target"] * 100 == terms["rtp_bps"]
    entries = {entry.kind: entry.delta_minor for entry in wallet.entries_of(bet["round_id"])}
    stake = bet["amount_minor"]
    if told["status"] == "settled":
        realized = hundredths_of(told["realized_multiplier"])
        payout = told["payout_minor"]
        assert payout == fairness.payout_minor(stake, realized)
        if told["result"] == "crash":
            assert (realized, payout, entries) == (0, 0, {"bet": -stake})
        else:
            assert told["result"] in ("cashout", "max_win")
            assert 101 <= realized <= crash
            assert entries == {"bet": -stake, "win": payout}
    else:
        assert told["result"] is None
        assert told["payout_minor"] == 0
        assert sum(entries.values()) == 0
        assert "win" not in entries
        assert told["status"] == "void" or set(entries) == {"bet", "refund"}


def audit_transactions(told, wallet, round_id, *, forgets_attempts=False):
    listed = {one["operator_tx_id"]: one for one in told["transactions"]}
    assert len(listed) == len(told["transactions"])
    with wallet.lock:
        seen = [call for call in wallet.calls if call.body["round_id"] == round_id]
    attempts = Counter(call.tx_id for call in seen)
    assert set(listed) == set(attempts)
    for call in seen:
        one = listed[call.tx_id]
        assert (one["kind"], one["amount_minor"]) == (call.kind, call.body["amount_minor"])
        least = 1 if forgets_attempts else attempts[call.tx_id]
        assert least <= one["attempts"] <= attempts[call.tx_id], one
    for tx_id, one in listed.items():
        last = [call for call in seen if call.tx_id == tx_id][-1]
        assert (one["status"] == "acknowledged") == last.acknowledged, one
        if one["kind"] != "bet":
            assert one["status"] == "acknowledged", one
        else:
            has_refund = f"refund-{round_id}" in listed
            if not last.acknowledged:
                assert one["status"] == ("unknown" if has_refund else "declined"), one


def audit_nonces(told, bets):
    """The nonce counts the rounds of a session from 1, in their order."""
    nonces = defaultdict(list)
    for round_id, call in bets.items():
        nonces[call.body["session_id"]].append(told[round_id]["nonce"])
    for counted in nonces.values():
        assert counted == list(range(1, len(counted) + 1))


def audit_frames(house, told):
    """What the players were told is what the operator is told."""
    for player in house.players:
        for frame in player.seen:
            if frame["type"] == "round_started":
                audit_started_frame(frame, told[frame["round_id"]])
            if frame["type"] == "round_ended" and frame["round_id"] in told:
                audit_ended_frame(frame, told[frame["round_id"]])


def audit_started_frame(frame, told):
    assert frame["map_seed"] == told["outcome"]["mapSeed"]
    assert frame["loot_seed"] == told["outcome"]["lootSeed"]
    for name in ("server_seed_hash", "client_seed", "nonce", "amount_minor"):
        assert frame[name] == told[name], name
    assert not {"crash_point", "server_seed", "guard_seed"} & set(frame)


def audit_ended_frame(frame, told):
    names = ("status", "result", "server_seed", "server_seed_hash", "client_seed", "nonce", "payout_minor")
    for name in names:
        assert frame[name] == told[name], name
    assert frame["guard_seed"] == told["outcome"]["guardSeed"]
    assert frame["realized_multiplier"] == told["realized_multiplier"]
    assert frame["crash_point"] == told["outcome"]["crashPoint"]


def day_of(text):
    """The UTC day of a time of the operator's API."""
    return datetime.fromisoformat(text).astimezone(UTC).date().isoformat()


def audit_revenue(operator, rounds, share):
    own = defaultdict(lambda: [0, 0])
    for told in rounds:
        if told["status"] == "settled":
            row = own[day_of(told["settled_at"]), told["currency"]]
            row[0] += told["amount_minor"] - told["payout_minor"]
            row[1] += 1
    expected = []
    for (day, currency), (ggr, count) in sorted(own.items()):
        house_share, operator_share = fairness.split_of(ggr, share)
        expected.append(
            {
                "period_day": day,
                "currency": currency,
                "ggr_minor": ggr,
                "house_share_minor": house_share,
                "operator_share_minor": operator_share,
                "rounds": count,
            }
        )
    if expected:
        assert operator.revenue(expected[0]["period_day"], expected[-1]["period_day"]) == expected
