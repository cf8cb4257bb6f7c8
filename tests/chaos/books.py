"""All books compared, round by round and to the minor unit: the database's, the wallet's, the players', the API's."""

import asyncio
from collections import Counter, defaultdict
from datetime import UTC, datetime
from fractions import Fraction

import asyncpg

from tests.chaos.gamblers import BALANCE_MINOR
from tests.whole import fairness
from tests.whole.fairness import hundredths_of
from tests.whole.house import audit_fairness, audit_revenue

LIVE = ("betting", "flying")
ENDS = {"settled", "void", "refunded"}
SHARE = Fraction(15, 100)
TERMS = {"rtp_bps": 9600, "max_win": 2000}


class Books:
    """Reads the database by itself, with SQL of its own."""

    def __init__(self, database_url, house, table):
        self._url = database_url
        self._house = house
        self._table = table
        self._audited = {}
        self.lost = set()
        """Rounds that a restored database has forgotten: the wallet and the players know of them."""
        self.attempts_are_known = True

    def query(self, statement, *arguments, url=None):
        async def run():
            connection = await asyncpg.connect(url or self._url)
            try:
                return [dict(row) for row in await connection.fetch(statement, *arguments)]
            finally:
                await connection.close()

        return asyncio.run(run())

    def unfinished(self):
        """Rounds that have no end and transactions that have no answer: ``(round ids, transaction ids)``."""
        rounds = self.query("SELECT round_id::text AS key FROM rounds WHERE status IN ('betting', 'flying')")
        calls = self.query("SELECT operator_tx_id AS key FROM transactions WHERE status IN ('pending', 'parked')")
        return {row["key"] for row in rounds}, {row["key"] for row in calls}

    def live_counts(self):
        """How many rounds are in ``betting`` and in ``flying``."""
        rows = self.query("SELECT status, count(*) AS n FROM rounds WHERE status = ANY($1) GROUP BY status", LIVE)
        found = {row["status"]: row["n"] for row in rows}
        return found.get("betting", 0), found.get("flying", 0)

    def ends_ms(self, round_ids, tx_ids):
        """When these ended, the last of each kind, in unix milliseconds (``None`` where there was none)."""
        (ends,) = self.query(
            "SELECT (SELECT max(settled_at_ms) FROM rounds WHERE round_id::text = ANY($1)) AS settled,"
            " (SELECT max(acknowledged_at_ms) FROM transactions"
            "  WHERE kind <> 'bet' AND (round_id::text = ANY($1) OR operator_tx_id = ANY($2))) AS acknowledged",
            list(round_ids),
            list(tx_ids),
        )
        return ends["settled"], ends["acknowledged"]

    def audit(self):
        """Compare everything; how many rounds there are. All must be at rest."""
        rounds = self.query("SELECT *, round_id::text AS id, session_id::text AS session FROM rounds ORDER BY nonce")
        calls = defaultdict(dict)
        for row in self.query("SELECT *, round_id::text AS round FROM transactions"):
            assert row["kind"] not in calls[row["round"]]
            calls[row["round"]][row["kind"]] = row
        wallet = self._house.wallet
        with wallet.lock:
            violations = list(wallet.violations)
            entries, attempts = defaultdict(dict), Counter(call.tx_id for call in wallet.calls)
            moved = Counter()
            for entry in wallet.journal:
                assert entry.kind not in entries[entry.round_id], f"{entry.tx_id} moved money twice"
                entries[entry.round_id][entry.kind] = entry.delta_minor
                moved[entry.account[0]] += entry.delta_minor
            balances, untold = dict(wallet.balances), set(wallet.untold)
        known = {row["id"] for row in rounds}
        assert not known & self.lost, "rounds that were lost are back"
        assert set(self._audited) <= known | self.lost, "ended rounds have gone"
        assert set(entries) <= known | self.lost, "the wallet moved money for rounds that are in no book"
        played = {row["id"] for row in rounds if row["status"] == "settled"}
        assert lost_stakes(entries, played) == [], "bets that were debited, and neither played nor refunded"
        assert violations == []
        for row in rounds:
            self._audit_round(row, calls[row["id"]], entries[row["id"]], attempts)
        stored = {call["operator_tx_id"] for of_round in calls.values() for call in of_round.values()}
        sent = {tx_id for tx_id in attempts if tx_id.partition("-")[2] not in self.lost}
        assert sent <= stored, "calls were sent that are in no book"
        audit_nonces(rounds)
        self._audit_balances(balances, moved, untold)
        self._audit_revenue(rounds, {round_id: entries[round_id] for round_id in known})
        self._audit_players({row["id"]: row for row in rounds}, entries)
        return len(rounds)

    def _audit_round(self, row, calls, entries, attempts):
        state = (row["status"], row["payout_minor"], sorted(entries.items()), [c["status"] for c in calls.values()])
        if self._audited.get(row["id"]) == state:
            return
        assert row["id"] not in self._audited, f"an ended round has changed: {self._audited[row['id']]} {state}"
        told = self._house.operator.round(row["id"])
        audit_end(row, calls, entries)
        audit_calls(row, calls, attempts if self.attempts_are_known else None)
        audit_told(row, calls, told)
        self._audited[row["id"]] = state

    def _audit_balances(self, balances, moved, untold):
        """No money came or went but by the journal, and each session knows its player's balance, or that the wallet has
        not told it."""
        sessions = self.query("SELECT operator_player_id, currency, balance_minor, balance_is_known FROM sessions")
        assert len({row["operator_player_id"] for row in sessions}) == len(sessions), "a launch was taken twice"
        for row in sessions:
            player = row["operator_player_id"]
            assert balances[player, row["currency"]] == BALANCE_MINOR + moved[player], player
            is_told = row["balance_is_known"] or player not in untold
            assert not is_told or row["balance_minor"] == balances[player, row["currency"]], player
        for player, session_id in self._table.launched.items():
            found = self.query("SELECT session_id::text AS id FROM sessions WHERE operator_player_id = $1", player)
            assert found == [{"id": session_id}], player

    def _audit_revenue(self, rounds, entries):
        for row in rounds:
            if row["settled_at_ms"] is not None:
                row["settled_at"] = datetime.fromtimestamp(row["settled_at_ms"] / 1000, UTC).isoformat()
        audit_revenue(self._house.operator, rounds, SHARE)
        settled = [row for row in rounds if row["status"] == "settled"]
        won = -sum(sum(deltas.values()) for deltas in entries.values())
        assert sum(row["amount_minor"] - row["payout_minor"] for row in settled) == won

    def _audit_players(self, rounds, entries):
        for gambler in self._table.gamblers:
            for round_id in self.lost & gambler.remembered():
                audit_forgotten(round_id, gambler, entries[round_id])
            for round_id, amount_minor in self._kept(gambler.pending):
                assert rounds[round_id]["amount_minor"] == amount_minor
            for round_id, told in self._kept(gambler.started):
                row = rounds[round_id]
                assert told == (row["amount_minor"], row["nonce"], row["started_at_ms"]), round_id
            for round_id, told in self._kept(gambler.ended):
                row = rounds[round_id]
                status, result, realized, payout, seed, seed_hash = told
                assert (status, seed, seed_hash) == (row["status"], row["server_seed"], row["server_seed_hash"])
                assert (result, payout) == (str(row["result"]), str(row["payout_minor"])), round_id
                assert round(100 * float(realized)) == row["realized_hundredths"], round_id

    def _kept(self, told):
        return [(round_id, what) for round_id, what in told.items() if round_id not in self.lost]


def lost_stakes(entries, played):
    """The wallet's side alone: rounds whose bet it has debited, and for which it has neither paid nor given back. Those
    that were ``played`` and lost are none."""
    return [round_id for round_id, deltas in entries.items() if set(deltas) == {"bet"} and round_id not in played]


def audit_forgotten(round_id, gambler, entries):
    """A round that only its player and the wallet remember: it was paid as told, or given back, or never debited."""
    stake = gambler.pending.get(round_id)
    if stake is not None and entries:
        assert entries["bet"] == -stake, (round_id, entries)
    if "refund" in entries:
        assert entries == {"bet": entries["bet"], "refund": -entries["bet"]}, (round_id, entries)
    elif "win" in entries and round_id in gambler.ended:
        assert str(entries["win"]) == gambler.ended[round_id][3], (round_id, entries)


def audit_end(row, calls, entries):
    """Exactly one end, and the money of it."""
    stake, status = row["amount_minor"], row["status"]
    assert status in ENDS, row
    statuses = {kind: call["status"] for kind, call in calls.items()}
    crash = fairness.crash_hundredths(row["server_seed"], row["client_seed"], row["nonce"], **TERMS)
    assert row["crash_hundredths"] == crash
    if status == "settled":
        realized, payout = row["realized_hundredths"], row["payout_minor"]
        assert payout == fairness.payout_minor(stake, realized)
        assert realized == 0 or 101 <= realized <= crash
        assert (row["result"] == "crash") == (payout == 0)
        wins = {"win": "acknowledged"} if payout else {}
        assert statuses == {"bet": "acknowledged", **wins}, (row, statuses)
        assert entries == {"bet": -stake, **({"win": payout} if payout else {})}, (row, entries)
    elif status == "refunded":
        assert statuses == {"bet": "acknowledged", "refund": "acknowledged"}, (row, statuses)
        assert entries == {"bet": -stake, "refund": stake}, (row, entries)
    elif statuses["bet"] == "unknown":
        assert statuses == {"bet": "unknown", "refund": "acknowledged"}, (row, statuses)
        assert entries in ({}, {"bet": -stake, "refund": stake}), (row, entries)
    else:
        assert statuses == {"bet": "declined"}, (row, statuses)
        assert entries == {}, (row, entries)


def audit_calls(row, calls, attempts):
    owed = {"bet": row["amount_minor"], "refund": row["amount_minor"], "win": row["payout_minor"]}
    for kind, call in calls.items():
        assert call["amount_minor"] == owed[kind]
        if call["status"] == "acknowledged":
            # An attempt whose answer nobody lived to store is not counted.
            assert call["attempts"] >= 1, call
            assert attempts is None or call["attempts"] <= attempts[call["operator_tx_id"]], call


def audit_told(row, calls, told):
    """What the operator's API tells of the round."""
    audit_fairness(told, TERMS)
    for name in ("status", "result", "amount_minor", "payout_minor", "server_seed", "nonce", "client_seed"):
        assert told[name] == row[name], name
    assert hundredths_of(told["realized_multiplier"]) == row["realized_hundredths"]
    listed = {(one["kind"], one["status"], one["amount_minor"]) for one in told["transactions"]}
    assert listed == {(call["kind"], call["status"], call["amount_minor"]) for call in calls.values()}


def audit_nonces(rounds):
    """The nonce counts the rounds of a session from 1: no round is missing, none is there twice."""
    nonces = defaultdict(list)
    for row in rounds:
        nonces[row["session"]].append(row["nonce"])
    for counted in nonces.values():
        assert counted == list(range(1, len(counted) + 1))
