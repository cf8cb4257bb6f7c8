"""``getaway reconcile`` on real books: sound ones are equal, and whatever is ruined in them is named exactly."""

import json
from uuid import UUID

import pytest

from tests.helpers.books import NOON_MS
from tests.helpers.command_line import on_database
from tests.helpers.sound_books import NEXT_DAY_MS, NOW_MS

TODAY = "2026-07-01 USD"
NO_END_CHECK = "ALTER TABLE rounds DROP CONSTRAINT end_and_payout"
NO_SEED_CHECK = "ALTER TABLE rounds DROP CONSTRAINT seed_as_promised"
NO_ID_CHECK = "ALTER TABLE transactions DROP CONSTRAINT transactions_check"
MANY_ENDS = "DROP INDEX transactions_win_or_refund"


def set_call(tx_id: str, change: str) -> str:
    return f"UPDATE transactions SET {change} WHERE operator_tx_id = '{tx_id}'"


def drop_call(tx_id: str) -> str:
    return f"DELETE FROM transactions WHERE operator_tx_id = '{tx_id}'"


def set_round(name: str, change: str) -> str:
    return f"UPDATE rounds SET {change} WHERE round_id = '{{{name}}}'"


def add_call(name: str, kind: str, amount: str = "amount_minor", tx_id: str | None = None) -> str:
    """A call beside a round's bet, acknowledged, whose bytes say what it is."""
    tx_id = tx_id or f"{kind}-{{{name}}}"
    return f"""
    INSERT INTO transactions (operator_id, operator_tx_id, round_id, session_id, kind, amount_minor, body, position,
        status, created_at_ms, next_attempt_at_ms, acknowledged_at_ms)
    SELECT operator_id, '{tx_id}', round_id, session_id, '{kind}', {amount},
        convert_to((convert_from(body, 'UTF8')::jsonb
                    || jsonb_build_object('operator_tx_id', '{tx_id}', 'amount_minor', {amount}))::text, 'UTF8'),
        position + 1, 'acknowledged', created_at_ms, next_attempt_at_ms, created_at_ms
    FROM transactions WHERE operator_tx_id = 'bet-{{{name}}}'
    """


OTHER_BYTES = """body = convert_to(replace(convert_from(body, 'UTF8'), '"{name}":"', '"{name}":"x'), 'UTF8')"""
LONE_REFUND = """
INSERT INTO transactions (operator_id, operator_tx_id, round_id, session_id, kind, amount_minor, body, position, status,
    created_at_ms, next_attempt_at_ms, acknowledged_at_ms)
SELECT operator_id, 'refund-{second}', '{second}', session_id, 'refund', amount_minor, body, position, 'acknowledged',
    created_at_ms, next_attempt_at_ms, created_at_ms
FROM transactions WHERE operator_tx_id = 'bet-{lost}'
"""
REVENUE = {"revenue": [TODAY]}
OF_TODAY = "WHERE (settled_day, currency) = ('2026-07-01', 'USD')"
DAMAGES = {
    "a bet of another amount": (
        [set_call("bet-{won}", "amount_minor = 101")],
        {"bet": ["round won"], "body": ["bet-won"]} | REVENUE,
    ),
    "no bet": ([drop_call("bet-{won}")], {"bet": ["round won"], "paid": ["round won"]} | REVENUE),
    "two bets": (
        [NO_ID_CHECK, "DROP INDEX transactions_one_bet", add_call("won", "bet", tx_id="bet-again")],
        {"bet": ["round won"], "paid": ["round won"], "transaction": ["bet-again"]} | REVENUE,
    ),
    "a win of another amount": (
        [set_call("win-{won}", "amount_minor = 156")],
        {"paid": ["round won"], "body": ["win-won"]} | REVENUE,
    ),
    "no win": ([drop_call("win-{won}")], {"paid": ["round won"]} | REVENUE),
    "two wins": (
        [NO_ID_CHECK, MANY_ENDS, add_call("won", "win", "155", tx_id="win-again")],
        {"paid": ["round won"], "transaction": ["win-again"]} | REVENUE,
    ),
    "a win without an acknowledged bet": (
        [set_call("bet-{won}", "status = 'pending', acknowledged_at_ms = NULL")],
        {"paid": ["round won"]},
    ),
    "a win for a lost round": ([add_call("lost", "win")], {"lost": ["round lost"]} | REVENUE),
    "a refund for a lost round": ([add_call("lost", "refund")], {"lost": ["round lost"]} | REVENUE),
    "a win and a refund": (
        [MANY_ENDS, add_call("won", "refund")],
        {"win_and_refund": ["round won"]} | REVENUE,
    ),
    "no refund for a refunded round": ([drop_call("refund-{refunded}")], {"refunded": ["round refunded"]}),
    "a refund of another amount": (
        [set_call("refund-{refunded}", "amount_minor = 99")],
        {"refunded": ["round refunded"], "body": ["refund-refunded"]},
    ),
    "a win for a refunded round": (
        [MANY_ENDS, add_call("refunded", "win")],
        {"refunded": ["round refunded"], "win_and_refund": ["round refunded"]},
    ),
    "a refund without an acknowledged bet": (
        [set_call("bet-{refunded}", "status = 'unknown', acknowledged_at_ms = NULL")],
        {"refunded": ["round refunded"]},
    ),
    "a refund for a declined bet": ([add_call("declined", "refund")], {"void": ["round declined"]}),
    "no refund for an unknown bet": ([drop_call("refund-{unknown}")], {"void": ["round unknown"]}),
    "a refund of another amount for an unknown bet": (
        [set_call("refund-{unknown}", "amount_minor = 99")],
        {"void": ["round unknown"], "body": ["refund-unknown"]},
    ),
    "a win for a void round": ([add_call("declined", "win")], {"void": ["round declined"]}),
    "two refunds": (
        [NO_ID_CHECK, MANY_ENDS, add_call("refunded", "refund", tx_id="refund-again")],
        {"refunded": ["round refunded"], "transaction": ["refund-again"]},
    ),
    "a lost round without an acknowledged bet": (
        [set_call("bet-{lost}", "status = 'pending', acknowledged_at_ms = NULL")],
        {"lost": ["round lost"]},
    ),
    "a void round with an acknowledged bet": (
        [set_call("bet-{unknown}", "status = 'acknowledged', acknowledged_at_ms = 1")],
        {"void": ["round unknown"]},
    ),
    "a flight without an acknowledged bet": (
        [set_call("bet-{flying}", "status = 'pending', acknowledged_at_ms = NULL")],
        {"live": ["round flying"]},
    ),
    "a win before the end": ([add_call("flying", "win")], {"live": ["round flying"]}),
    "no round": (
        ["DELETE FROM rounds WHERE round_id = '{lost}'"],
        {"round_of_transaction": ["bet-lost"], "nonces": ["session regular"]} | REVENUE,
    ),
    "a refund without a round": (
        [LONE_REFUND],
        {"round_of_transaction": ["refund-second"]},
    ),
    "another session's transaction": (
        [set_call("bet-{lost}", "session_id = '{fresh}'")],
        {"transaction": ["bet-lost"], "body": ["bet-lost"]},
    ),
    "another operator's transaction": (
        [set_call("bet-{lost}", "operator_id = '{second}'")],
        {"transaction": ["bet-lost"], "bet": ["round lost"], "lost": ["round lost"]} | REVENUE,
    ),
    "a round of another currency": (
        [set_round("lost", "currency = 'EUR'")],
        {"session": ["round lost"], "body": ["bet-lost"]},
    ),
    "a round of another player": (
        [set_round("lost", "operator_player_id = 'player-43'")],
        {"session": ["round lost"], "body": ["bet-lost"]},
    ),
    "no session": (
        ["DELETE FROM sessions WHERE session_id = '{fresh}'"],
        {"session": ["round declined"]},
    ),
    "a payout that is not the stake times the multiplier": (
        [NO_END_CHECK, set_round("won", "payout_minor = 154")],
        {"payout": ["round won"], "paid": ["round won"]},
    ),
    "a payout above the largest": (
        [NO_END_CHECK, set_round("won", "max_payout_minor = 154")],
        {"payout": ["round won"]},
    ),
    "a win that is told as a crash": (
        [NO_END_CHECK, set_round("won", "result = 'crash'")],
        {"payout": ["round won"]},
    ),
    "a payout of a round that was refunded": (
        [NO_END_CHECK, set_round("refunded", "payout_minor = 1")],
        {"payout": ["round refunded"]},
    ),
    "a cash-out after the crash": (
        [NO_END_CHECK, set_round("won", "crash_hundredths = 154")],
        {"payout": ["round won"], "fairness": ["round won"]},
    ),
    "another crash point": (
        [set_round("lost", "crash_hundredths = crash_hundredths - 1")],
        {"fairness": ["round lost"]},
    ),
    "another building": ([set_round("lost", "map_seed = loot_seed")], {"fairness": ["round lost"]}),
    "other loot": ([set_round("lost", "loot_seed = map_seed")], {"fairness": ["round lost"]}),
    "other guards": ([set_round("lost", "guard_seed = map_seed")], {"fairness": ["round lost"]}),
    "another seed than was promised": (
        [NO_SEED_CHECK, set_round("lost", "server_seed = map_seed")],
        {"fairness": ["round lost"]},
    ),
    "another promise": (
        [NO_SEED_CHECK, set_round("refunded", "server_seed_hash = map_seed")],
        {"fairness": ["round refunded"]},
    ),
    "an end without its seed": (
        ["ALTER TABLE rounds DROP CONSTRAINT reveal_with_the_end", set_round("declined", "server_seed = NULL")],
        {"fairness": ["round declined"]},
    ),
    "a gap between rounds": (
        [set_round("later", "nonce = 4")],
        {"nonces": ["session regular"], "fairness": ["round later"]},
    ),
    "a session that forgot its last round": (
        ["UPDATE sessions SET nonce = 3 WHERE session_id = '{regular}'"],
        {"nonces": ["session regular"]},
    ),
    "a dead owner": (
        [f"UPDATE nodes SET heartbeat_at_ms = {NOW_MS - 60_001}"],
        {"owner": ["round betting", "round flying"]},
    ),
    "an owner that nobody knows": (
        [set_round("flying", "owner_epoch = 99")],
        {"owner": ["round flying"]},
    ),
    "an owner that was started again": (
        [f"INSERT INTO nodes SELECT 'node-a', 1 + max(epoch), {NOW_MS - 60_001}, {NOW_MS} FROM nodes"],
        {"owner": ["round betting", "round flying"]},
    ),
    "a bet that nobody sees to": (
        [set_round("betting", f"created_at_ms = {NOW_MS - 60_001}")],
        {"attended": ["round betting"]},
    ),
    "a flight that nobody ends": (
        [set_round("flying", f"started_at_ms = {NOW_MS - 60_001 - 126_683}")],
        {"attended": ["round flying"]},
    ),
    "a flight past its automatic cash-out": (
        [set_round("flying", f"auto_cashout_hundredths = 200, started_at_ms = {NOW_MS - 60_001 - 11_553}")],
        {"attended": ["round flying"]},
    ),
    "revenue on another day": (
        [f"UPDATE revenue_days SET settled_day = '2026-07-03' {OF_TODAY}"],
        {"revenue": [TODAY, "2026-07-03 USD"]},
    ),
    "revenue that was not settled": (
        [f"UPDATE revenue_days SET payouts_minor = payouts_minor + 1 {OF_TODAY}"],
        REVENUE,
    ),
    "a round too many in the revenue": ([f"UPDATE revenue_days SET rounds = rounds + 1 {OF_TODAY}"], REVENUE),
    "revenue that is forgotten": ([f"DELETE FROM revenue_days {OF_TODAY}"], REVENUE),
    "bytes that say another amount": (
        [set_call("win-{won}", "body = convert_to(replace(convert_from(body, 'UTF8'), ':155', ':1550'), 'UTF8')")],
        {"body": ["win-won"]},
    ),
    **{
        f"bytes that say another {name}": (
            [set_call("win-{owed}", OTHER_BYTES.format(name=name))],
            {"body": ["win-owed"]},
        )
        for name in ("operator_tx_id", "operator_player_id", "session_id", "round_id", "currency")
    },
    "bytes that say nothing": ([set_call("win-{owed}", "body = ''")], {"body": ["win-owed"]}),
}


def test_sound_books_are_equal(sound):
    done = sound.reconcile("--json")
    assert (done.status, done.err) == (0, "")
    document = done.document
    assert (document["equal"], document["operator_file"], document["differences"]) == (True, None, [])
    assert [check["differences"] for check in document["checks"]] == [0] * 23
    assert document["compared"]["rounds"] >= 10 and document["compared"]["transactions"] >= 10
    text = sound.reconcile()
    assert (text.status, text.err) == (0, "")
    rounds, transactions = document["compared"]["rounds"], document["compared"]["transactions"]
    assert text.out.endswith(f"\ncompared: {rounds} rounds, {transactions} transactions\neverything is equal\n")


@pytest.mark.parametrize("arguments", [(), ("--operator", "{first}")], ids=" ".join)
def test_where_there_is_nothing_to_compare_nothing_is_equal(arguments, sound):
    """As on a database that is not the one that was meant."""
    sound.damage(*(f"DELETE FROM {table}" for table in ("rounds", "transactions", "sessions", "revenue_days")))
    done = sound.reconcile(*arguments, "--json")
    assert done.status == 4
    document = json.loads(done.out)
    assert (document["equal"], document["compared"]) == (False, {"rounds": 0, "transactions": 0})
    text = sound.reconcile(*arguments)
    assert text.status == 4
    assert text.out.endswith("nothing was compared: there is no round and no transaction\n")


def test_a_new_database_has_nothing_to_compare(database_url):
    done = on_database(database_url)("reconcile")
    assert (done.status, done.err) == (4, "")


def test_days_without_rounds_have_nothing_to_compare(sound):
    assert sound.reconcile("--from", "2001-01-01", "--to", "2001-12-31").status == 4
    assert sound.reconcile().status == 0


def test_nothing_to_compare_is_no_excuse_for_a_difference(sound):
    """A transaction without a round is something."""
    sound.damage("DELETE FROM rounds", "DELETE FROM sessions")
    assert sound.reconcile().status == 1


def test_a_file_with_nothing_of_ours_was_not_compared(sound, tmp_path):
    """Where we have no acknowledged transaction that would be missing from it."""
    sound.damage(
        "DELETE FROM rounds WHERE round_id <> '{betting}'",
        "DELETE FROM transactions WHERE round_id <> '{betting}'",
        "DELETE FROM sessions WHERE session_id NOT IN (SELECT session_id FROM rounds)",
        "DELETE FROM revenue_days",
    )
    path = tmp_path / "theirs.csv"
    path.write_text("operator_tx_id,kind,amount_minor,currency\n")
    assert sound.reconcile("--operator", "{first}").status == 0
    done = sound.reconcile("--operator", "{first}", "--operator-file", str(path), "--json")
    document = json.loads(done.out)
    assert (document["operator_file"]["matched"], document["equal"], done.status) == (0, False, 4)
    text = sound.reconcile("--operator", "{first}", "--operator-file", str(path)).out
    assert text.endswith("nothing was compared: no row of the operator's file is a transaction of ours\n")
    path.write_text("operator_tx_id,kind,amount_minor,currency\n" + sound.text("bet-{betting},bet,100,USD\n"))
    done = sound.reconcile("--operator", "{first}", "--operator-file", str(path), "--json")
    assert (done.document["operator_file"]["matched"], done.status) == (1, 0)


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_and_named(name, sound):
    statements, expected = DAMAGES[name]
    sound.damage(*statements)
    done = sound.reconcile("--json")
    assert (done.status, done.err) == (1, "")
    found = sound.findings(json.loads(done.out))
    assert {check: subjects for check, subjects in found.items() if not check.startswith("written_")} == expected
    text = sound.reconcile()
    assert text.status == 1
    shown = sound.named(text.out)
    assert all(f"  {subject}  " in shown for subjects in expected.values() for subject in subjects)
    assert shown.endswith("\nsomething differs\n")


def test_a_finding_says_what_is_there(sound):
    sound.damage(set_call("win-{won}", "amount_minor = 156"))
    checks = {check["check"]: check for check in json.loads(sound.reconcile("--json").out)["checks"]}
    assert checks["paid"]["shown"] == [
        {
            "operator_id": str(sound.names["first"]),
            "subject": sound.text("round {won}"),
            "detail": "settled, stake 100, payout 155; bets 1 of 100 (acknowledged), wins 1 of 156, refunds 0 of 0",
        }
    ]
    assert checks["body"]["shown"][0]["detail"] == "amount_minor is 155, due 156"
    assert checks["revenue"]["shown"][0]["detail"] == (
        "told: GGR -5, house -1, operator -4, rounds 3; transactions: GGR -6, house -1, operator -5, rounds 3"
    )


def test_an_operator_and_days_limit_what_is_looked_at(sound):
    sound.damage(set_round("lost", "map_seed = loot_seed"))
    assert sound.reconcile("--operator", "{first}").status == 1
    assert sound.reconcile("--operator", "{second}").status == 0
    assert sound.reconcile("--from", "2026-07-01", "--to", "2026-07-01").status == 1
    assert sound.reconcile("--from", "2026-07-02").status == 0
    assert sound.reconcile("--to", "2026-06-30").status == 4
    sound.damage(set_round("later", "map_seed = loot_seed"))
    assert sound.reconcile("--from", "2026-07-02", "--to", "2026-07-02").status == 1
    sound.damage(set_round("later", f"settled_at_ms = {NEXT_DAY_MS}"))
    found = sound.findings(json.loads(sound.reconcile("--to", "2026-07-01", "--json").out))
    assert "revenue" not in found, "it was settled in the first millisecond of the next day"


def test_a_day_ends_before_the_first_millisecond_of_the_next(sound):
    for created_at_ms, is_found in ((NEXT_DAY_MS - 1, True), (NEXT_DAY_MS, False)):
        sound.damage(set_round("later", f"map_seed = loot_seed, created_at_ms = {created_at_ms}"))
        found = sound.findings(json.loads(sound.reconcile("--to", "2026-07-01", "--json").out))
        assert ("fairness" in found) is is_found


def test_whoever_changes_a_day_hides_nothing_of_a_round_that_is_looked_at(sound):
    sound.damage(
        "UPDATE sessions SET created_at_ms = 0 WHERE session_id = '{regular}'",
        set_call("win-{won}", "created_at_ms = 0"),
    )
    document = json.loads(sound.reconcile("--from", "2026-07-01", "--to", "2026-07-01", "--json").out)
    assert sound.unlike_ours(document) == {"session regular", "win-won"}


def test_more_findings_than_are_shown_are_counted(sound):
    sound.damage(
        NO_ID_CHECK,
        f"""
        INSERT INTO transactions (operator_id, operator_tx_id, round_id, session_id, kind, amount_minor, body, position,
            status, created_at_ms, next_attempt_at_ms)
        SELECT '{{first}}', 'x' || n, gen_random_uuid(), '{{fresh}}', 'bet', 1, '', 1, 'unknown', {NOON_MS}, 0
        FROM generate_series(1, 30) AS n
        """,
    )
    checks = {check["check"]: check for check in json.loads(sound.reconcile("--json").out)["checks"]}
    assert (checks["round_of_transaction"]["differences"], len(checks["round_of_transaction"]["shown"])) == (30, 20)
    assert "  and 10 more\n" in sound.reconcile().out


def test_bets_declined_after_more_than_one_sending_are_listed(sound):
    """Sound by our own books, and yet a wallet may have debited the sending that nobody answered."""
    assert sound.reconcile("--json").document["repeated_refusals"] == {"count": 0, "shown": []}
    sound.damage(set_call("bet-{declined}", "attempts = 2"), set_call("bet-{unknown}", "attempts = 2"))
    done = sound.reconcile("--json")
    assert (done.status, done.document["repeated_refusals"]["count"]) == (0, 1)
    (listed,) = done.document["repeated_refusals"]["shown"]
    assert (sound.named(listed["operator_tx_id"]), listed["attempts"]) == ("bet-declined", 2)
    text = sound.named(sound.reconcile().out)
    assert "\nbets declined after more than one sending: 1\n  first  bet-declined  1.00 USD  since " in text


def test_parked_and_overdue_calls_are_listed_and_are_no_difference(sound):
    sound.damage(
        set_call("refund-{refunded}", "status = 'parked', acknowledged_at_ms = NULL, last_error = 'refused'"),
        set_call("win-{owed}", f"created_at_ms = {NOW_MS - 600_001}"),
        set_call("bet-{betting}", f"created_at_ms = {NOW_MS - 600_000}"),
    )
    sound.sign()
    document = sound.reconcile("--json").document
    assert document["parked"]["count"] == 1
    assert document["parked"]["shown"][0] == {
        "operator_id": str(sound.names["first"]),
        "operator_tx_id": sound.text("refund-{refunded}"),
        "kind": "refund",
        "amount_minor": 100,
        "currency": "USD",
        "status": "parked",
        "attempts": 1,
        "last_error": "refused",
        "created_at": "2026-07-01T00:00:01.500Z",
    }
    assert [sound.named(call["operator_tx_id"]) for call in document["overdue"]["shown"]] == ["win-owed"]
    text = sound.named(sound.reconcile().out)
    assert "\nparked calls: 1\n  first  refund-refunded  1.00 USD  since 2026-07-01T00:00:01.500Z, attempts 1" in text
    assert "\noverdue calls: 1\n" in text
    assert sound.reconcile("--json", "--operator", "{second}").document["parked"]["count"] == 0


def test_of_the_calls_that_a_person_must_take_up_the_oldest_come_first(sound):
    parked = "status = 'parked', acknowledged_at_ms = NULL, created_at_ms = "
    ages_ms = {"refund-{refunded}": 5, "win-{owed}": 9, "refund-{unknown}": 7}
    sound.damage(*(set_call(tx_id, f"{parked}{NOW_MS - age_ms}") for tx_id, age_ms in ages_ms.items()))
    sound.sign()
    shown = sound.reconcile("--json").document["parked"]["shown"]
    assert [sound.named(call["operator_tx_id"]) for call in shown] == ["win-owed", "refund-unknown", "refund-refunded"]


def test_wrong_usage(sound, tmp_path):
    path = tmp_path / "theirs.csv"
    path.write_text("operator_tx_id,kind,amount_minor,currency\n")
    refusal = sound.getaway.refusal
    assert "--operator-file needs --operator" in refusal(2, "reconcile", "--operator-file", str(path))
    assert "--format is that of --operator-file" in refusal(2, "reconcile", "--format", "csv")
    assert "--from is later than --to" in refusal(2, "reconcile", "--from", "2026-07-02", "--to", "2026-07-01")
    assert "must be a day like" in refusal(2, "reconcile", "--from", "yesterday")
    assert "must be a day from" in refusal(2, "reconcile", "--to", "9999-01-01")
    assert "must be a UUID" in refusal(2, "reconcile", "--operator", "casino")
    nobody = "00000000-0000-4000-8000-000000000000"
    assert refusal(1, "reconcile", "--operator", nobody) == f"getaway: there is no operator {nobody}"
    assert "the database can't be used" in refusal(3, "reconcile", GETAWAY_DATABASE_URL="postgresql://127.0.0.1:1/x")


UNLIKE_OURS = {
    "round won": set_round("won", "max_payout_minor = max_payout_minor - 1"),
    "round lost": set_round("lost", "reason = NULL, end_mac = NULL"),
    "round later": set_round("later", "end_mac = (SELECT end_mac FROM rounds WHERE round_id = '{lost}')"),
    "round declined": set_round("declined", "reason = 'interrupted'"),
    "round refunded": set_round("refunded", "started_at_ms = started_at_ms + 1"),
    "round flying": set_round("flying", "started_at_ms = started_at_ms - 1000"),
    "round betting": set_round("betting", "server_seed_sealed = ''"),
    "bet-betting": set_call("bet-{betting}", "created_at_ms = created_at_ms + 1"),
    "win-won": set_call("win-{won}", "mac = NULL"),
    "win-owed": set_call("win-{owed}", "position = position + 1"),
    "session regular": "UPDATE sessions SET token_digest = sha256('x') WHERE session_id = '{regular}'",
    "session fresh": "UPDATE sessions SET server_seed_sealed = '' WHERE session_id = '{fresh}'",
    "resolve of win-owed": """INSERT INTO wallet_actions
        (operator_id, operator_tx_id, action, by_whom, reason, at_ms, status_before, status_after)
        VALUES ('{first}', 'win-{owed}', 'resolve', 'ann', 'paid by hand', 1, 'pending', 'acknowledged')""",
    "round won of a lost history": """INSERT INTO lost_bets
        (operator_id, round_id, session_id, operator_player_id, currency, amount_minor, body, noted_by)
        VALUES ('{first}', '{won}', '{regular}', 'player-42', 'USD', 100, '', 'ann')""",
    "operator first": "UPDATE operators SET wallet_callback_url = 'https://x.example' WHERE operator_id = '{first}'",
    "operator second": "UPDATE operators SET hmac_secret_sealed = '' WHERE operator_id = '{second}'",
}


@pytest.mark.parametrize("subject", UNLIKE_OURS)
def test_a_row_that_is_not_as_the_server_wrote_it_is_found(subject, sound):
    """Although the books agree with themselves."""
    sound.damage(UNLIKE_OURS[subject])
    done = sound.reconcile("--json")
    assert (done.status, done.err) == (1, "")
    document = json.loads(done.out)
    assert sound.unlike_ours(document) == {subject.removesuffix(" of a lost history")}
    assert sum(check["differences"] for check in document["checks"]) == 1


def test_books_that_were_made_up_whole_are_found(sound):
    """A session, a round with seeds that their maker knows, an acknowledged bet and win, and the revenue of it all."""
    sound.names["forged"] = UUID(int=666)
    columns = "operator_player_id, currency, amount_minor, client_seed, nonce, server_seed_hash, rtp_bps"
    columns += (
        ", max_win_multiplier, rev_share_bps, max_payout_minor, growth_rate_per_ms, status, owner_node, owner_epoch"
    )
    columns += ", created_at_ms, started_at_ms, settled_at_ms, result, realized_hundredths, payout_minor, server_seed"
    columns += ", crash_hundredths, map_seed, loot_seed, guard_seed"
    body = (
        "convert_to(replace(replace(convert_from(body, 'UTF8'), '{won}', '{forged}'), '{regular}', '{forged}'), 'UTF8')"
    )
    sound.damage(
        f"""INSERT INTO rounds (operator_id, round_id, session_id, server_seed_sealed, {columns})
        SELECT operator_id, '{{forged}}', '{{forged}}', '', {columns} FROM rounds WHERE round_id = '{{won}}'""",
        """INSERT INTO sessions (operator_id, session_id, operator_player_id, currency, balance_minor, token_digest,
            created_at_ms, expires_at_ms, client_seed, nonce, server_seed_hash, server_seed_sealed)
        SELECT operator_id, '{forged}', operator_player_id, currency, balance_minor, sha256('known'), created_at_ms,
            expires_at_ms, client_seed, 2, server_seed_hash, '' FROM sessions WHERE session_id = '{regular}'""",
        f"""INSERT INTO transactions (operator_id, operator_tx_id, round_id, session_id, kind, amount_minor, body,
            position, status, created_at_ms, next_attempt_at_ms, acknowledged_at_ms, attempts)
        SELECT operator_id, kind || '-{{forged}}', '{{forged}}', '{{forged}}', kind, amount_minor, {body},
            position, status, created_at_ms, next_attempt_at_ms, acknowledged_at_ms, attempts
        FROM transactions WHERE round_id = '{{won}}'""",
        "UPDATE revenue_days SET stakes_minor = stakes_minor + 100, payouts_minor = payouts_minor + 155,"
        f" rounds = rounds + 1 {OF_TODAY} AND operator_id = '{{first}}'",
    )
    document = json.loads(sound.reconcile("--json").out)
    found = sound.findings(document)
    assert found == {
        "written_sessions": ["session forged"],
        "written_rounds": ["round forged"],
        "written_calls": ["bet-forged", "win-forged"],
    }


def test_another_master_key_is_told_as_what_it_is(sound):
    """Not as books of which no row is ours."""
    key = "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="
    done = sound.getaway("reconcile", GETAWAY_MASTER_KEY=key)
    assert (done.status, done.out) == (2, "")
    assert "is written with another master key than this one" in done.err
