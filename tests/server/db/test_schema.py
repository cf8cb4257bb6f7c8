"""What the schema itself refuses, whoever writes: raw SQL against its constraints and triggers."""

import asyncpg
import pytest

BETTING_ROUND = """
INSERT INTO rounds (operator_id, round_id, session_id, operator_player_id, currency, amount_minor, client_seed, nonce,
    server_seed_hash, server_seed_sealed, rtp_bps, max_win_multiplier, rev_share_bps, max_payout_minor,
    growth_rate_per_ms, status, owner_node, owner_epoch, created_at_ms)
SELECT operator_id, gen_random_uuid(), session_id, 'player', 'USD', 100, 'seed', {nonce}, repeat('a', 64), '', 9600,
    2000, 1500, 1000000, 0.00006, '{status}', 'node-a', 1, 1
FROM sessions WHERE session_id = '{session_id}'
"""

COPY_OF_A_CALL = """
INSERT INTO transactions
    (operator_id, operator_tx_id, round_id, session_id, kind, amount_minor, body, position, status, created_at_ms,
     next_attempt_at_ms)
SELECT operator_id, '{kind}-' || round_id, round_id, session_id, '{kind}', {amount_minor}, '', 2 * nonce + {odd},
    '{status}', 1, 1
FROM rounds WHERE round_id = '{round_id}'
"""

END_OF_A_ROUND = """
UPDATE rounds
SET status = 'settled', result = 'cashout', realized_hundredths = 150, payout_minor = 150, settled_at_ms = 1,
    server_seed = '{seed}', crash_hundredths = 200, map_seed = '', loot_seed = '', guard_seed = ''
WHERE round_id = '{round_id}'
"""


async def refusal(database, *statements):
    """Which rule refuses the statements, all in one transaction that is refused as a whole."""

    async def work(connection):
        for statement in statements:
            await connection.execute(statement)

    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as caught:
        await database.in_transaction(work)
    return caught.value.constraint_name or str(caught.value)


def a_call(live, kind, *, amount_minor=100, status="pending", odd=1):
    return COPY_OF_A_CALL.format(kind=kind, amount_minor=amount_minor, status=status, odd=odd, round_id=live.round_id)


def a_round(session_id, *, nonce=9, status="betting"):
    return BETTING_ROUND.format(session_id=session_id, nonce=nonce, status=status)


# One at a time.


async def test_there_is_one_present_history(database):
    begin = "INSERT INTO histories DEFAULT VALUES"
    assert await refusal(database, begin, begin) == "histories_present"


async def test_a_session_has_one_live_round(database, rounds):
    for live in (rounds.betting, rounds.flying):
        assert await refusal(database, a_round(live.session_id)) == "rounds_live"


async def test_a_nonce_is_used_once(database, rounds):
    assert (
        await refusal(database, a_round(rounds.void.session_id, nonce=1)) == "rounds_operator_id_session_id_nonce_key"
    )


async def test_a_round_has_one_bet_and_one_win_or_refund(database, rounds):
    assert await refusal(database, a_call(rounds.betting, "bet", odd=0)) == "transactions_pkey"
    # Even without the trigger, which would be the first to refuse it.
    untriggered = "ALTER TABLE transactions DISABLE TRIGGER only_what_is_owed"
    assert await refusal(database, untriggered, a_call(rounds.won, "refund")) == "transactions_win_or_refund"


# Only what is owed, and all of it.


async def test_only_what_a_round_owes_is_queued(database, rounds):
    wrong = [
        a_call(rounds.betting, "win"),
        a_call(rounds.flying, "win"),
        a_call(rounds.flying, "refund"),
        a_call(rounds.crashed, "win"),
        a_call(rounds.crashed, "refund"),
        a_call(rounds.void, "win"),
        a_call(rounds.void, "refund", amount_minor=99),
        a_call(rounds.won, "refund"),
        a_call(rounds.taken_back, "win"),
        a_call(rounds.void, "refund", status="acknowledged"),
        a_call(rounds.void, "refund", odd=0),
        a_call(rounds.won, "bet", odd=0),
    ]
    for statement in wrong:
        assert "is not what its round owes" in await refusal(database, statement), statement


async def test_nothing_that_is_owed_is_left_out(database, rounds):
    lacks = "lacks a transaction"
    assert lacks in await refusal(database, a_round(rounds.fresh.session_id))
    end = END_OF_A_ROUND.format(seed=rounds.flying.commitment.server_seed, round_id=rounds.flying.round_id)
    assert lacks in await refusal(database, end)
    start = f"UPDATE rounds SET status = 'flying', started_at_ms = 1 WHERE round_id = '{rounds.betting.round_id}'"
    assert lacks in await refusal(database, start)


async def test_a_round_begins_in_betting(database, rounds):
    assert "begins in betting" in await refusal(database, a_round(rounds.fresh.session_id, status="flying"))


# Kept for ever.


@pytest.mark.parametrize("table", ["rounds", "transactions"])
async def test_nothing_is_deleted_or_truncated(database, rounds, table):
    assert "are kept" in await refusal(database, f"DELETE FROM {table}")
    assert "are kept" in await refusal(database, f"TRUNCATE {table} CASCADE")
    referenced = "sessions" if table == "rounds" else "rounds"
    assert "are kept" in await refusal(database, f"TRUNCATE {referenced} CASCADE")


async def test_sessions_and_operators_with_rounds_stay(database, rounds):
    for table in ("sessions", "operators"):
        assert "fkey" in await refusal(database, f"DELETE FROM {table}")


LOST_BET = """
INSERT INTO lost_bets
    (operator_id, round_id, session_id, operator_player_id, currency, amount_minor, body, noted_by, mac)
SELECT operator_id, gen_random_uuid(), gen_random_uuid(), 'player', 'USD', 100, 'body', 'ann', ''
FROM operators LIMIT 1
"""


async def test_a_lost_bet_stays_as_it_was_noted(database, rounds):
    await database.run(lambda connection: connection.execute(LOST_BET))
    assert "who got what back" in await refusal(database, "DELETE FROM lost_bets")
    for change in ("round_id = gen_random_uuid()", "amount_minor = 99", "body = 'another'"):
        assert "the same bytes" in await refusal(database, f"UPDATE lost_bets SET {change}")
    told = "UPDATE lost_bets SET attempts = 1, acknowledged_at_ms = 1"
    assert await database.run(lambda connection: connection.execute(told)) == "UPDATE 1"


async def test_a_lost_bet_is_of_an_amount_and_a_cut_is_noted_whole(database, rounds):
    assert "amount_minor_check" in await refusal(database, LOST_BET.replace("100", "0"))
    whole = "cut_at_ms = 1, cut_reason = 'x', cut_by = 'y'"
    for change in whole.split(", "):
        assert "histories_check" in await refusal(database, f"UPDATE histories SET {change}")
    assert await database.run(lambda connection: connection.execute(f"UPDATE histories SET {whole}")) == "UPDATE 1"


async def test_an_ended_round_never_changes(database, rounds):
    for live in (rounds.won, rounds.crashed, rounds.void, rounds.taken_back):
        for column in ("payout_minor = 0", "reason = 'x'", "owner_epoch = 9", "status = 'flying'"):
            change = f"UPDATE rounds SET {column} WHERE round_id = '{live.round_id}'"
            assert "the round has ended" in await refusal(database, change)


async def test_a_round_only_moves_forward(database, rounds):
    for state, status in (("flying", "betting"), ("flying", "void"), ("betting", "settled"), ("betting", "refunded")):
        live = getattr(rounds, state)
        move = f"UPDATE rounds SET status = '{status}' WHERE round_id = '{live.round_id}'"
        assert "does not move that way" in await refusal(database, move)


TERMS = {
    "operator_player_id": "'another'",
    "currency": "'EUR'",
    "amount_minor": "99",
    "auto_cashout_hundredths": "200",
    "client_seed": "'another'",
    "nonce": "7",
    "server_seed_hash": "repeat('b', 64)",
    "server_seed_sealed": "''",
    "rtp_bps": "1",
    "max_win_multiplier": "3",
    "rev_share_bps": "1",
    "max_payout_minor": "1",
    "growth_rate_per_ms": "0.1",
    "created_at_ms": "1",
    "started_at_ms": "1",
    "round_id": "gen_random_uuid()",
}


async def test_a_live_round_keeps_its_terms(database, rounds):
    for column, value in TERMS.items():
        change = f"UPDATE rounds SET {column} = {value} WHERE round_id = '{rounds.flying.round_id}'"
        assert "keeps its stake, its seeds and its terms" in await refusal(database, change), column


BODIES = {
    "body": "'other'",
    "amount_minor": "1",
    "kind": "'refund'",
    "operator_tx_id": "'x'",
    "position": "8",
    "created_at_ms": "8",
    "session_id": "gen_random_uuid()",
}


async def test_a_transaction_id_always_carries_the_same_bytes(database, rounds):
    for column, value in BODIES.items():
        change = f"UPDATE transactions SET {column} = {value} WHERE operator_tx_id = 'win-{rounds.won.round_id}'"
        assert "the same bytes" in await refusal(database, change), column


async def test_what_was_acknowledged_stays_so(database, rounds):
    acknowledged = f"operator_tx_id = 'bet-{rounds.flying.round_id}'"
    back = f"UPDATE transactions SET status = 'pending', acknowledged_at_ms = NULL WHERE {acknowledged}"
    assert "has ended" in await refusal(database, back)
    unknown = f"UPDATE transactions SET status = 'unknown' WHERE operator_tx_id = 'bet-{rounds.betting.round_id}'"
    assert "has ended" in await refusal(database, unknown, unknown.replace("unknown", "declined"))
    declined = f"operator_tx_id = 'bet-{rounds.void.round_id}'"
    assert "has ended" in await refusal(database, f"UPDATE transactions SET status = 'unknown' WHERE {declined}")


async def test_statuses_fit_their_kind(database, rounds):
    bet, win = f"'bet-{rounds.betting.round_id}'", f"'win-{rounds.won.round_id}'"
    for tx_id, status in ((bet, "parked"), (win, "declined"), (win, "unknown"), (win, "acknowledged"), (win, "paid")):
        change = f"UPDATE transactions SET status = '{status}' WHERE operator_tx_id = {tx_id}"
        assert "transactions_" in await refusal(database, change)


# What adds up.


REVEALS = """
    status = '{status}', settled_at_ms = 1, server_seed = '{seed}', crash_hundredths = 200, map_seed = '',
    loot_seed = '', guard_seed = ''
"""
PAID = "result = 'cashout', realized_hundredths = 150, payout_minor = 150"

WRONG_ENDS = {
    "paid too much": (PAID.replace("payout_minor = 150", "payout_minor = 151"), "end_and_payout"),
    "paid too little": (PAID.replace("payout_minor = 150", "payout_minor = 149"), "end_and_payout"),
    "a negative payout": (PAID.replace("payout_minor = 150", "payout_minor = -1"), "end_and_payout"),
    "above the crash point": (PAID.replace("150", "201"), "end_and_payout"),
    "below 1.01x": (PAID.replace("150", "100"), "end_and_payout"),
    "a crash that pays": (PAID.replace("cashout", "crash"), "end_and_payout"),
    "a cash-out that does not": ("result = 'cashout'", "end_and_payout"),
    "no result": ("result = NULL", "end_and_payout"),
    "a result and a reason": (f"{PAID}, reason = 'why'", "end_and_payout"),
    "an unknown result": (PAID.replace("cashout", "luck"), "rounds_result_check"),
}


async def test_a_settlement_adds_up(database, rounds):
    reveals = REVEALS.format(status="settled", seed=rounds.flying.commitment.server_seed)
    for defect, (columns, constraint) in WRONG_ENDS.items():
        change = f"UPDATE rounds SET {reveals}, {columns} WHERE round_id = '{rounds.flying.round_id}'"
        assert await refusal(database, change) == constraint, defect


async def test_no_flight_goes_higher_or_pays_more_than_its_terms_allow(database, rounds):
    live = rounds.flying
    reveals = REVEALS.format(status="settled", seed=live.commitment.server_seed)
    change = f"UPDATE rounds SET {reveals}, {{}} WHERE round_id = '{live.round_id}'"
    above = change.format("result = 'crash'").replace("crash_hundredths = 200", "crash_hundredths = 200001")
    assert await refusal(database, above) == "crash_within_the_terms"
    as_anybody = "SET LOCAL session_replication_role = replica"
    poor = f"UPDATE rounds SET max_payout_minor = 149 WHERE round_id = '{live.round_id}'"
    assert await refusal(database, as_anybody, poor, change.format(PAID)) == "end_and_payout"


async def test_a_void_round_owes_its_stake_if_the_bet_may_have_been_taken_and_only_then(database, rounds):
    live = rounds.betting
    bet = f"UPDATE transactions SET status = '{{}}' WHERE operator_tx_id = 'bet-{live.round_id}'"
    reveals = REVEALS.format(status="void", seed=live.commitment.server_seed)
    void = f"UPDATE rounds SET {reveals}, reason = 'why' WHERE round_id = '{live.round_id}'"
    lacks = "lacks a transaction, or has one too many"
    assert lacks in await refusal(database, bet.format("unknown"), void)
    assert lacks in await refusal(database, bet.format("declined"), void, a_call(live, "refund"))
    assert lacks in await refusal(database, void), "the bet is still open"


@pytest.mark.parametrize("status", ["void", "refunded"])
async def test_what_is_not_settled_pays_nothing_and_says_why(database, rounds, status):
    live = rounds.betting if status == "void" else rounds.flying
    reveals = REVEALS.format(status=status, seed=live.commitment.server_seed)
    for columns in ("reason = NULL", "reason = 'why', payout_minor = 100", "reason = 'why', result = 'crash'"):
        change = f"UPDATE rounds SET {reveals}, {columns} WHERE round_id = '{live.round_id}'"
        assert await refusal(database, change) == "end_and_payout"


async def test_nothing_is_revealed_before_the_end_and_all_of_it_then(database, rounds):
    live = rounds.flying
    where = f"WHERE round_id = '{live.round_id}'"
    seed = live.commitment.server_seed
    early = (
        f"server_seed = '{seed}'",
        "crash_hundredths = 200",
        "guard_seed = 'g'",
        "map_seed = 'm'",
        "settled_at_ms = 1",
    )
    for column in early:
        assert await refusal(database, f"UPDATE rounds SET {column} {where}") == "reveal_with_the_end"
    whole = REVEALS.format(status="settled", seed=seed) + ", result = 'crash'"
    for column in ("server_seed = '" + seed + "'", "guard_seed = ''", "settled_at_ms = 1", "crash_hundredths = 200"):
        name = column.split(" ")[0]
        assert await refusal(database, f"UPDATE rounds SET {whole.replace(column, f'{name} = NULL')} {where}") == (
            "reveal_with_the_end"
        )


async def test_the_revealed_seed_is_the_promised_one(database, rounds):
    reveals = REVEALS.format(status="settled", seed=rounds.betting.commitment.server_seed)
    change = f"UPDATE rounds SET {reveals}, result = 'crash' WHERE round_id = '{rounds.flying.round_id}'"
    assert await refusal(database, change) == "seed_as_promised"


async def test_amounts_are_never_negative(database, rounds):
    session = f"UPDATE sessions SET balance_minor = -1 WHERE session_id = '{rounds.fresh.session_id}'"
    assert await refusal(database, session) == "sessions_balance_minor_check"
    stake = a_round(rounds.fresh.session_id).replace("'USD', 100", "'USD', 0")
    assert await refusal(database, stake) == "rounds_amount_minor_check"


async def test_a_flight_has_a_start_and_keeps_it(database, rounds):
    start = f"UPDATE rounds SET status = 'flying' WHERE round_id = '{rounds.betting.round_id}'"
    assert await refusal(database, start) == "start_of_a_flight"
    later = f"UPDATE rounds SET started_at_ms = started_at_ms + 1 WHERE round_id = '{rounds.flying.round_id}'"
    assert "keeps its stake, its seeds and its terms" in await refusal(database, later)
    stop = f"UPDATE rounds SET started_at_ms = NULL WHERE round_id = '{rounds.flying.round_id}'"
    assert await refusal(database, stop) == "start_of_a_flight"


async def test_a_flight_is_interrupted_once(database, rounds):
    interrupt = f"UPDATE rounds SET interrupted_at_ms = {{}} WHERE round_id = '{rounds.flying.round_id}'"
    for again in ("4", "6", "NULL"):
        assert "was interrupted once" in await refusal(database, interrupt.format("5"), interrupt.format(again))


async def test_a_resolution_says_why(database, rounds):
    resolve = f"""
    INSERT INTO wallet_actions
        (operator_id, operator_tx_id, action, by_whom, reason, at_ms, status_before, status_after)
    SELECT operator_id, operator_tx_id, 'resolve', 'ann', '', 1, 'pending', 'acknowledged' FROM transactions
    WHERE operator_tx_id = 'win-{rounds.won.round_id}'
    """
    assert (await refusal(database, resolve)).startswith("wallet_actions_check")
