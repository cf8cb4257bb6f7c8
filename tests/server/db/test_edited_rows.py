"""Somebody who can write to the database, triggers and all, edits it: what is then sent and believed is what we wrote.

Each story edits rows behind the server's back and lets a new node find all it can: orphaned rounds, due calls,
sessions, pages and histories. It must find nothing that was not there before, and must say in the log which row it
left out.
"""

import hashlib
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from actors.facts.transitions import Rejected
from actors.ports.ledger import LedgerUnavailableError
from server.db.stores.bad_rows import PutAside
from server.db.stores.reports import PostgresReports
from server.db.stores.session_frames import PostgresSessionFrames
from server.ports.reports import NotOursError, RoundReport
from server.secrets.row_macs import RowMacError
from server.secrets.vault import Vault
from tests.helpers import books
from tests.helpers.books import NOON_MS
from tests.helpers.clocked_ledger import ClockedLedger
from tests.helpers.stores import EveryStore

DAY_MS = 86_400_000
VAULT = Vault(bytes(32))
FORGED_TOKEN = hashlib.sha256(b"token of the forger").digest()
FORGED = UUID(int=666)
GROUND = hashlib.sha256(b"a seed that its maker knows").hexdigest()


class Scene:
    """The books of ``rounds``, a node that comes later, and the editor."""

    def __init__(self, database, world, rounds, owner) -> None:
        self.database, self.rounds, self.owner = database, rounds, owner
        self.counts: dict[str, int] = {}
        aside = PutAside(self.counts.__setitem__)
        self.ledger = ClockedLedger(EveryStore(database, VAULT, aside), world.set_clock)
        self.frames = PostgresSessionFrames(database, VAULT, aside)
        self.reports = PostgresReports(database, VAULT, aside)
        names = ("betting", "flying", "void", "unknown", "won", "crashed", "taken_back")
        self.names = {name: getattr(rounds, name).round_id for name in names} | {"fresh": rounds.fresh.session_id}
        self.names |= {f"session_of_{name}": getattr(rounds, name).session_id for name in names}
        self.names |= {"operator": rounds.operator.operator_id, "forged": FORGED}
        self.rounds_told = (*names, "forged")
        self.now_ms = NOON_MS + DAY_MS

    async def edit(self, *statements: str) -> None:
        async def work(connection):
            await connection.execute("SET LOCAL session_replication_role = replica")
            for statement in statements:
                await connection.execute(statement.format_map(self.names))

        await self.database.in_transaction(work)

    async def believed(self) -> dict[Any, Any]:
        """All that this node would send, show, or bring to an end; asked again, it finds the same again."""
        self.now_ms += DAY_MS
        operator_id = self.rounds.operator.operator_id
        found: dict[Any, Any] = {}
        for live in await self.ledger.take_orphans(self.owner, books.LEASE_MS, self.now_ms, 100):
            found["orphan", live.round_id] = live
        for call in await self.ledger.claim_calls(self.owner, {operator_id: 100}, self.now_ms, 1_000):
            found["call", call.operator_tx_id] = replace(call, next_attempt_at_ms=0)
        digests = await self.database.run(lambda connection: connection.fetch("SELECT token_digest FROM sessions"))
        for digest in {bytes(row["token_digest"]) for row in digests}:
            found["page", digest] = await self.frames.session_frame(digest)
            opened = await self.ledger.open_session(digest, self.owner, books.LEASE_MS, self.now_ms, GROUND)
            if opened is not None:
                found["session", digest] = replace(opened.session, next=None, balance_minor=0)
                found["flight", digest] = opened.live_round
                for call in opened.outbox:
                    found["pending", digest, call.operator_tx_id] = replace(call, next_attempt_at_ms=0)
        for player in ("player-42", "forger"):
            past, _ = await self.ledger.history(operator_id, player, None, 50)
            found |= {("past", player, each.round_id): each for each in past}
        for name in ("betting", "flying", "won", "crashed"):
            round_id = self.names[name]
            found["live", name] = await self.ledger.live_round(operator_id, round_id)
            found["finished", name] = await self.ledger.finished_round(operator_id, round_id)
        for name in self.rounds_told:
            found["report", name] = await self.report(self.names[name])
        return {key: value for key, value in found.items() if value is not None}

    async def report(self, round_id: UUID) -> RoundReport | None:
        """What the operator reads of a round, but for when its calls are sent."""
        try:
            report = await self.reports.round_report(self.rounds.operator.operator_id, round_id)
        except NotOursError:
            return None
        calls = () if report is None else report.calls
        return report and replace(report, calls=tuple(replace(call, next_attempt_at_ms=None) for call in calls))


def test_so_many_bad_rows_are_remembered_and_the_others_told_each_time(monkeypatch):
    monkeypatch.setattr("server.db.stores.bad_rows.KEPT_MAX", 2)
    counts, told = {}, []
    aside = PutAside(counts.__setitem__, told.append)

    def bad(_row):
        raise RowMacError("not ours")

    rows = [{"operator_id": UUID(int=1), "round_id": UUID(int=number)} for number in (1, 2, 3)]
    for _ in range(2):
        assert aside.opened("rounds", rows, bad) == []
    assert (counts, len(aside.keys("rounds"))) == ({"rounds": 2}, 2)
    assert [UUID(what["round_id"]).int for what in told] == [1, 2, 3, 3]


@pytest.fixture
async def scene(database, rounds, world):
    return Scene(database, world, rounds, await world.ledger.register_node("node-b", NOON_MS + DAY_MS))


def session(changes: str, name: str = "fresh") -> tuple[str, str, list[str]]:
    key = "{fresh}" if name == "fresh" else f"{{session_of_{name}}}"
    return "sessions", key, [f"UPDATE sessions SET {changes} WHERE session_id = '{key}'"]


def played(name: str, changes: str) -> tuple[str, str, list[str]]:
    return "rounds", f"{{{name}}}", [f"UPDATE rounds SET {changes} WHERE round_id = '{{{name}}}'"]


def called(tx_id: str, changes: str) -> tuple[str, str, list[str]]:
    return "transactions", tx_id, [f"UPDATE transactions SET {changes} WHERE operator_tx_id = '{tx_id}'"]


def copied_call(name: str, kind: str, source: str) -> tuple[str, str, list[str]]:
    """A win or refund of another round, under the id that would be this one's, with fitting bytes."""
    statement = f"""
    INSERT INTO transactions (operator_id, operator_tx_id, round_id, session_id, kind, amount_minor, body, position,
        status, created_at_ms, next_attempt_at_ms, mac)
    SELECT operator_id, '{kind}-{{{name}}}', '{{{name}}}', '{{session_of_{name}}}', '{kind}', amount_minor,
        replace(convert_from(body, 'UTF8'), round_id::text, '{{{name}}}')::bytea, position, 'pending', created_at_ms,
        created_at_ms, mac
    FROM transactions WHERE operator_tx_id = '{source}'"""
    return "transactions", f"{kind}-{{{name}}}", [statement]


TO_FLYING = """status = 'flying', started_at_ms = created_at_ms + 10, settled_at_ms = NULL, server_seed = NULL,
    crash_hundredths = NULL, map_seed = NULL, loot_seed = NULL, guard_seed = NULL, result = NULL, reason = NULL,
    payout_minor = 0, realized_hundredths = 0"""
ACKNOWLEDGED = """
UPDATE transactions SET status = 'acknowledged', acknowledged_at_ms = 1 WHERE operator_tx_id = 'bet-{%s}'"""
GROUND_ROUND = f"""server_seed_hash = encode(sha256('{GROUND}'::bytea), 'hex')"""

EDITS: dict[str, tuple[str, str, list[str]]] = {
    "a session lives for ever": session("expires_at_ms = expires_at_ms + 10^10::bigint"),
    "a session is another player's": session("operator_player_id = 'forger'"),
    "a session is of another currency": session("currency = 'EUR'"),
    "a session has another token": session(f"token_digest = '\\x{FORGED_TOKEN.hex()}'"),
    "a session leads to another lobby": session("lobby_url = 'https://attacker.example'"),
    "a session has another page": session("lang = 'xx', reality_check_minutes = 1440"),
    "a session began earlier": session("created_at_ms = created_at_ms - 1"),
    "a session without a code": session("mac = NULL"),
    "a session with the code of another one": session(
        "mac = (SELECT mac FROM sessions WHERE session_id = '{session_of_won}')"
    ),
    "a flight with a better return": played("flying", "rtp_bps = 10000"),
    "a flight with a higher limit": played("flying", "max_payout_minor = 10^15::bigint"),
    "a flight with a higher largest multiplier": played("flying", "max_win_multiplier = 1000000"),
    "a flight with a smaller share": played("flying", "rev_share_bps = 0"),
    "a flight with a larger stake": played("flying", "amount_minor = 100000"),
    "a flight with an automatic cash-out": played("flying", "auto_cashout_hundredths = 101"),
    "a flight that is slower": played("flying", "growth_rate_per_ms = 0.00001"),
    "a flight that began earlier": played("flying", "started_at_ms = started_at_ms - 100000"),
    "a flight of another player": played("flying", "operator_player_id = 'forger'"),
    "a flight with another client seed": played("flying", "client_seed = 'ground'"),
    "a flight with another promise": played("flying", GROUND_ROUND),
    "a flight with another sealed seed": played(
        "flying", "server_seed_sealed = (SELECT server_seed_sealed FROM rounds WHERE round_id = '{won}')"
    ),
    "a flight with a damaged seed": played(
        "flying", "server_seed_sealed = set_byte(server_seed_sealed, 30, get_byte(server_seed_sealed, 30) # 1)"
    ),
    "a bet flies without its stake": (
        "rounds",
        "{betting}",
        [
            "UPDATE rounds SET status = 'flying', started_at_ms = created_at_ms WHERE round_id = '{betting}'",
            ACKNOWLEDGED % "betting",
        ],
    ),
    "a bet flies with the start of another one": (
        "rounds",
        "{betting}",
        [
            "UPDATE rounds SET status = 'flying', started_at_ms = created_at_ms + 10, start_mac = (SELECT start_mac"
            " FROM rounds WHERE round_id = '{flying}') WHERE round_id = '{betting}'",
            ACKNOWLEDGED % "betting",
        ],
    ),
    "a void round flies": ("rounds", "{void}", [f"UPDATE rounds SET {TO_FLYING} WHERE round_id = '{{void}}'"]),
    "a lost round was won": played(
        "crashed", "result = 'cashout', realized_hundredths = 200, payout_minor = 200, end_mac = NULL"
    ),
    "a lost round was won, by another's code": played(
        "crashed",
        "result = 'cashout', realized_hundredths = 150, payout_minor = 150,"
        " end_mac = (SELECT end_mac FROM rounds WHERE round_id = '{won}')",
    ),
    "a past round shows another seed": played(
        "crashed", f"server_seed = '{GROUND}', server_seed_hash = encode(sha256('{GROUND}'::bytea), 'hex')"
    ),
    "a win of more": called("win-{won}", "amount_minor = 100000"),
    "a win whose bytes say more": called(
        "win-{won}", "body = replace(convert_from(body, 'UTF8'), ':150', ':150000')::bytea"
    ),
    "a win for another player": called(
        "win-{won}", "body = replace(convert_from(body, 'UTF8'), 'player-42', 'forger')::bytea"
    ),
    "a win that comes first": called("win-{won}", "position = 0"),
    "a refund of another session": called("refund-{taken_back}", "session_id = '{fresh}'"),
    "a win for a lost round": copied_call("crashed", "win", "win-{won}"),
    "a refund for a lost round": copied_call("crashed", "refund", "refund-{taken_back}"),
    "a win for a flight": copied_call("flying", "win", "win-{won}"),
    "a win for a declined bet": copied_call("void", "win", "win-{won}"),
}


@pytest.mark.logs_errors("a row is put aside")
@pytest.mark.parametrize("name", EDITS)
async def test_an_edit_is_neither_sent_nor_believed(scene, name, caplog):
    table, key, statements = EDITS[name]
    before = await scene.believed()
    assert not caplog.records, "all is well so far"
    await scene.edit(*statements)
    for _ in range(2):
        after = await scene.believed()
        told_otherwise = {found for found, value in after.items() if before.get(found) != value}
        assert not told_otherwise, "what is believed was there before"
    assert before.keys() - after.keys() or "INSERT" in statements[0], "something is believed no more"
    named = {(record.table, vars(record)[_KEY[record.table]]) for record in caplog.records}
    assert named == {(table, key.format_map(scene.names))}
    assert [record.levelname for record in caplog.records] == ["ERROR"], "told once, not at each look"
    assert scene.counts == {table: 1}
    caplog.clear()


@pytest.mark.logs_errors("a row is put aside")
@pytest.mark.parametrize("name", [name for name, (table, _, _) in EDITS.items() if table == "transactions"])
async def test_a_round_with_an_edited_call_is_not_told(scene, name, caplog):
    """Nor any other part of it: who asks wants to know what was paid."""
    _, tx_id, statements = EDITS[name]
    round_name = tx_id.partition("{")[2].rstrip("}")
    operator_id, round_id = scene.rounds.operator.operator_id, scene.names[round_name]
    assert (await scene.reports.round_report(operator_id, round_id)).is_ours
    await scene.edit(*statements)
    for _ in range(2):
        with pytest.raises(NotOursError):
            await scene.reports.round_report(operator_id, round_id)
    assert [(record.table, record.levelname) for record in caplog.records] == [("transactions", "ERROR")]
    caplog.clear()
    report = await scene.reports.find_round(round_id)
    problems = {call.operator_tx_id: call.problem for call in report.calls if call.problem is not None}
    assert report.problems == () and list(problems) == [tx_id.format_map(scene.names)]
    assert "wallet-call code" in problems[tx_id.format_map(scene.names)]


@pytest.mark.parametrize(
    ("name", "changes", "problems"),
    [
        ("won", "rtp_bps = 9700", ["round-bet"]),
        ("won", "started_at_ms = started_at_ms - 1", ["round-start"]),
        ("won", "settled_at_ms = settled_at_ms + 1", ["round-end"]),
        ("won", "session_id = gen_random_uuid()", ["round-bet", "round-start", "round-end"]),
        ("flying", "started_at_ms = started_at_ms - 1", ["round-start"]),
        ("flying", "start_mac = NULL", ["round-start"]),
        ("betting", "operator_player_id = 'forger'", ["round-bet"]),
        ("void", "crash_hundredths = 101", ["round-end"]),
    ],
)
async def test_the_command_line_is_told_which_codes_of_a_round_are_wrong(scene, name, changes, problems):
    assert (await scene.reports.find_round(scene.names[name])).is_ours
    await scene.edit(f"UPDATE rounds SET {changes} WHERE round_id = '{{{name}}}'")
    report = await scene.reports.find_round(scene.names[name])
    assert [problem.split(" code")[0].split()[-1] for problem in report.problems] == problems
    assert not report.is_ours


FORGERY = f"""
INSERT INTO sessions (operator_id, session_id, operator_player_id, currency, balance_minor, token_digest, created_at_ms,
    expires_at_ms, client_seed, nonce, server_seed_hash, server_seed_sealed, owner_node, owner_epoch)
SELECT operator_id, '{FORGED}', 'forger', currency, 0, decode('{FORGED_TOKEN.hex()}', 'hex'),
    created_at_ms, 4 * 10^12::bigint, 'ground', 2,
    encode(sha256('{GROUND}'::bytea), 'hex'), '{GROUND}'::bytea, owner_node, owner_epoch
FROM sessions WHERE session_id = '{{fresh}}';
INSERT INTO rounds (operator_id, round_id, session_id, operator_player_id, currency, amount_minor, client_seed, nonce,
    server_seed_hash, server_seed_sealed, rtp_bps, max_win_multiplier, rev_share_bps, max_payout_minor,
    growth_rate_per_ms, status, owner_node, owner_epoch, created_at_ms)
SELECT operator_id, '{FORGED}', '{FORGED}', 'forger', currency, 1000000, 'ground', 1,
    encode(sha256('{GROUND}'::bytea), 'hex'), '{GROUND}'::bytea, rtp_bps, max_win_multiplier, rev_share_bps, 2000000000,
    growth_rate_per_ms, 'betting', owner_node, owner_epoch, created_at_ms
FROM rounds WHERE round_id = '{{won}}';
INSERT INTO transactions (operator_id, operator_tx_id, round_id, session_id, kind, amount_minor, body, position, status,
    created_at_ms, next_attempt_at_ms)
SELECT operator_id, 'bet-{FORGED}', '{FORGED}', '{FORGED}', 'bet', 1000000, '{{{{}}}}', 2, 'pending',
    created_at_ms, created_at_ms
FROM rounds WHERE round_id = '{FORGED}';
"""
PARKED = "SELECT string_agg(operator_tx_id, '') FROM transactions WHERE status = 'parked'"
FORGED_START = f"""
UPDATE rounds SET status = 'flying', started_at_ms = created_at_ms + 10 WHERE round_id = '{FORGED}';
UPDATE transactions SET status = 'acknowledged', acknowledged_at_ms = 1 WHERE operator_tx_id = 'bet-{FORGED}';
"""
FORGED_WIN = f"""
UPDATE rounds SET status = 'settled', settled_at_ms = created_at_ms + 500, result = 'max_win',
    realized_hundredths = 200000, payout_minor = 2000000000, server_seed = '{GROUND}', crash_hundredths = 200000,
    map_seed = '', loot_seed = '', guard_seed = '' WHERE round_id = '{FORGED}';
INSERT INTO transactions (operator_id, operator_tx_id, round_id, session_id, kind, amount_minor, body, position, status,
    created_at_ms, next_attempt_at_ms)
SELECT operator_id, 'win-{FORGED}', '{FORGED}', '{FORGED}', 'win', 2000000000, '{{{{}}}}', 3, 'pending',
    created_at_ms, created_at_ms
FROM rounds WHERE round_id = '{FORGED}';
"""


PLANTED = {
    "another session's": "server_seed_sealed = (SELECT server_seed_sealed FROM sessions WHERE session_id ="
    " '{session_of_won}')",
    "a ground one": f"server_seed_sealed = '{GROUND}'::bytea, {GROUND_ROUND}",
    "one of another hash": GROUND_ROUND,
}


@pytest.mark.logs_errors("a promise that is discarded can't be read (VaultError)")
@pytest.mark.parametrize("name", PLANTED)
async def test_a_promise_that_is_not_ours_is_neither_kept_nor_revealed(scene, name, caplog):
    key = "session_id = '{fresh}'"
    await scene.edit(f"UPDATE sessions SET {PLANTED[name]} WHERE {key}")
    opened = await scene.ledger.open_session(
        scene.rounds.fresh.token_digest, scene.owner, books.LEASE_MS, scene.now_ms, books.seed(FORGED, 1)
    )
    assert opened.discarded is None
    assert opened.session.next.server_seed == books.seed(FORGED, 1)
    assert len(caplog.records) == 1
    caplog.clear()


@pytest.mark.logs_errors("a promise that is discarded can't be read (VaultError)")
async def test_the_promise_of_another_session_for_its_round_of_the_same_number_is_none_here(scene, caplog):
    """Its own seed and its own hash: whoever plays there may have had it revealed."""
    taken = ", ".join(
        f"{column} = (SELECT {column} FROM sessions WHERE session_id = '{{session_of_crashed}}')"
        for column in ("nonce", "server_seed_hash", "server_seed_sealed")
    )
    await scene.edit(f"UPDATE sessions SET {taken} WHERE session_id = '{{session_of_won}}'")
    digest = books.token_digest(scene.rounds.won.session_id)
    opened = await scene.ledger.open_session(digest, scene.owner, books.LEASE_MS, scene.now_ms, books.seed(FORGED, 1))
    assert opened.discarded is None
    assert opened.session.next.server_seed == books.seed(FORGED, 1)
    assert len(caplog.records) == 1
    caplog.clear()


@pytest.mark.logs_errors("a row is put aside")
async def test_the_seed_of_a_flight_can_not_be_had_as_a_discarded_promise(scene, caplog):
    """Opening a session reveals what it had promised: somebody put the live round's own sealed seed there."""
    seed = "SELECT {column} FROM rounds WHERE round_id = '{{flying}}'"
    columns = ("nonce", "server_seed_hash", "server_seed_sealed", "client_seed")
    changes = ", ".join(f"{column} = ({seed.format(column=column)})" for column in columns)
    await scene.edit(f"UPDATE sessions SET {changes} WHERE session_id = '{{session_of_flying}}'")
    digest = books.token_digest(scene.rounds.flying.session_id)
    opened = await scene.ledger.open_session(digest, scene.owner, books.LEASE_MS, scene.now_ms, books.seed(FORGED, 1))
    assert opened is None
    assert [(record.table, record.levelname) for record in caplog.records] == [("sessions", "ERROR")]
    caplog.clear()


@pytest.mark.logs_errors("a row is put aside")
@pytest.mark.parametrize("steps", [1, 2, 3], ids=["placed", "flying", "won"])
async def test_a_round_that_was_walked_through_its_states_by_hand_pays_nothing(scene, database, steps, caplog):
    """Past every trigger and constraint: the largest payout, for a seed and a token that the forger knows."""
    before = await scene.believed()
    for statements in (FORGERY, FORGED_START, FORGED_WIN)[:steps]:
        await database.run(lambda connection, text=statements: connection.execute(text.format_map(scene.names)))
    assert await scene.believed() == before
    assert {record.levelname for record in caplog.records} == {"ERROR"}
    assert scene.counts["sessions"] == 1
    parked = await database.run(lambda connection: connection.fetchval(PARKED))
    assert parked == (f"win-{FORGED}" if steps == 3 else None), "for a person, and in nobody's way"
    caplog.clear()


@pytest.mark.logs_errors("a row is put aside")
async def test_many_bad_rounds_are_not_in_the_way_of_a_good_one(scene, database, world, caplog):
    """They are older, and more than a batch."""
    limit = 3
    copied = f"""
    INSERT INTO rounds (operator_id, round_id, session_id, operator_player_id, currency, amount_minor, client_seed,
        nonce, server_seed_hash, server_seed_sealed, rtp_bps, max_win_multiplier, rev_share_bps, max_payout_minor,
        growth_rate_per_ms, status, owner_node, owner_epoch, created_at_ms, started_at_ms, bet_mac, start_mac)
    SELECT operator_id, gen_random_uuid(), gen_random_uuid(), operator_player_id, currency, amount_minor, client_seed,
        nonce, server_seed_hash, server_seed_sealed, rtp_bps, max_win_multiplier, rev_share_bps, max_payout_minor,
        growth_rate_per_ms, status, owner_node, owner_epoch, created_at_ms - 1000 - n, started_at_ms, bet_mac, start_mac
    FROM rounds, generate_series(1, {4 * limit}) n WHERE round_id = '{{flying}}'"""
    await scene.edit(copied)
    late_ms = NOON_MS + 2 * DAY_MS
    taken = await scene.ledger.take_orphans(scene.owner, books.LEASE_MS, late_ms, limit)
    assert {live.round_id for live in taken} == {scene.names["betting"], scene.names["flying"]}
    assert scene.counts == {"rounds": 4 * limit}
    told = len(caplog.records)
    await scene.ledger.take_orphans(scene.owner, books.LEASE_MS, late_ms, limit)
    assert told == len(caplog.records) == 4 * limit
    caplog.clear()


SAME_TOKEN = """
INSERT INTO sessions (operator_id, session_id, operator_player_id, currency, balance_minor, token_digest, created_at_ms,
    expires_at_ms, client_seed, nonce, server_seed_hash, server_seed_sealed, mac)
SELECT operator_id, gen_random_uuid(), operator_player_id, currency, balance_minor, token_digest,
    created_at_ms, expires_at_ms, client_seed, nonce, server_seed_hash, server_seed_sealed, mac
FROM sessions, generate_series(1, 5) WHERE session_id = '{fresh}'
"""
MOVED_TO_THE_END = "UPDATE sessions SET lang = lang WHERE session_id = '{fresh}'"


@pytest.mark.logs_errors("a row is put aside")
@pytest.mark.parametrize("statements", [(SAME_TOKEN,), (SAME_TOKEN, MOVED_TO_THE_END)], ids=["last", "first"])
async def test_other_sessions_of_the_same_token_do_not_hide_the_good_one(scene, statements, caplog):
    """Whichever the database finds first."""
    before = await scene.believed()
    await scene.edit(*statements)
    for _ in range(2):
        assert await scene.believed() == before
    assert scene.counts == {"sessions": 5}
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 5
    caplog.clear()


@pytest.mark.logs_errors("a row is put aside")
async def test_a_good_session_that_is_locked_is_not_taken_for_a_missing_one(scene, emptied_database_url, caplog):
    """Though others of its token are there to be read."""
    asked = (scene.rounds.fresh.token_digest, scene.owner, books.LEASE_MS, scene.now_ms, GROUND)
    await scene.edit(SAME_TOKEN)
    with psycopg.connect(emptied_database_url) as connection:
        lock = "SELECT FROM sessions WHERE session_id = %s FOR UPDATE"
        assert connection.execute(lock, [scene.names["fresh"]]).rowcount == 1
        with pytest.raises(LedgerUnavailableError, match="locked"):
            await scene.ledger.open_session(*asked)
        connection.rollback()
    assert (await scene.ledger.open_session(*asked)).session.session_id == scene.names["fresh"]
    caplog.clear()


@pytest.mark.logs_errors("a row is put aside")
async def test_a_copy_under_another_operator_hides_nothing(scene, world, caplog):
    """The same round at another operator is put aside; the round itself is not."""
    other = await world.add_operator()
    copied = "INSERT INTO rounds ({columns}) SELECT {values} FROM rounds WHERE round_id = '{flying}'"
    rows = await scene.database.run(
        lambda connection: connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'rounds'"
            " AND is_generated = 'NEVER'"
        )
    )
    columns = [row["column_name"] for row in rows]
    values = [f"'{other.operator_id}'" if column == "operator_id" else column for column in columns]
    scene.names |= {"columns": ", ".join(columns), "values": ", ".join(values)}
    before = await scene.believed()
    await scene.edit(copied)
    for _ in range(2):
        assert await scene.believed() == before
    assert [record.operator_id for record in caplog.records] == [str(other.operator_id)]
    found = await scene.reports.find_round(scene.names["flying"])
    assert (found.operator_id, found.is_ours) == (scene.rounds.operator.operator_id, True)
    caplog.clear()


_KEY = {"sessions": "session_id", "rounds": "round_id", "transactions": "operator_tx_id"}


async def test_a_start_that_is_not_ours_is_no_answer_to_ours(scene, world, rounds, owner):
    """Otherwise the flight would go on from a moment that somebody else has chosen."""
    await scene.edit(
        "UPDATE rounds SET status = 'flying', started_at_ms = created_at_ms - 9000 WHERE round_id = '{betting}'"
    )
    assert await world.commit(books.start(owner, rounds.betting)) == Rejected()
