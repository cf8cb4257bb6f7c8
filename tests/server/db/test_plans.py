"""Statements that change a few rows find them by index, however many rows there are."""

from datetime import date
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest
import trio

from server.db.driver.database import open_database
from server.db.stores import handovers, outbox, reports, rounds, sessions
from tests.bench.figures.backlog import copy_all, play_one
from tests.helpers.books import NOON_MS

ROWS = 20_000
OPERATOR = UUID(int=7)
STATEMENTS = {
    "claim": (outbox._CLAIM, ([OPERATOR], [32], 20_000, "node", 1, [2 * NOON_MS + 60_000])),
    "release": (outbox._RELEASE, ("node", 1, 10_000, 500)),
    "give up": (outbox._GIVE_UP, ("node", 1, ["win-1"], NOON_MS)),
    "any operator's round": (reports.FIND_ROUND, (OPERATOR,)),
    "a round": (reports.READ_ROUND, (OPERATOR, OPERATOR)),
    "revenue": (reports._REVENUE, (OPERATOR, date(2026, 7, 1), date(2026, 7, 31))),
    "ask for a session": (handovers._REQUEST, (bytes(32), "node", 1, 60_000)),
    "withdraw": (handovers._WITHDRAW, (bytes(32), "node", 1)),
    "requests": (handovers._REQUESTS, ("node", 1, 10_000, 12_000, 500)),
    "totals": (sessions._TOTALS, (OPERATOR, OPERATOR)),
    "own live rounds": (rounds._OWN_LIVE, ("node", 1, NOON_MS, 500)),
    "take orphans": (rounds._ORPHANS, ("node", 1, 10_000, 500, [OPERATOR], [OPERATOR], 1)),
}
ADD_OPERATOR = """
INSERT INTO operators
    (operator_id, name, api_key_sealed, hmac_secret_sealed, wallet_callback_url, rtp_bps, max_win_multiplier,
     rev_share_bps, status, allow_cidrs, frame_origins, created_at_ms, changed_at_ms)
VALUES ($1, 'Casino', '', '', 'https://wallet.example', 9600, 2000, 1500, 'active', '{}', '{}', 0, 0)
"""
COPY_SESSIONS = """
INSERT INTO sessions
    (operator_id, session_id, operator_player_id, currency, balance_minor, token_digest, created_at_ms, expires_at_ms,
     client_seed, nonce, server_seed_hash, server_seed_sealed, owner_node, owner_epoch)
SELECT operator_id, gen_random_uuid(), operator_player_id, currency, balance_minor, sha256(n::text::bytea),
    created_at_ms, expires_at_ms, client_seed, nonce, server_seed_hash, server_seed_sealed, 'node', 1
FROM (SELECT * FROM sessions LIMIT 1) s, generate_series(1, $1) n
"""


@pytest.fixture(scope="module")
def large(postgres):
    """A database of so many rounds, each with a bet and an undelivered win."""
    with postgres.database() as url:
        stand = SimpleNamespace(database_url=url)

        async def fill():
            async with open_database(url, Path()) as database:
                await database.run(lambda connection: connection.execute(ADD_OPERATOR, OPERATOR))
            await play_one(stand, OPERATOR)
            await copy_all(stand, ROWS)
            async with open_database(url, Path()) as database:
                await database.run(lambda connection: connection.execute(COPY_SESSIONS, ROWS))
                await database.run(lambda connection: connection.execute("ANALYZE sessions"))

        trio.run(fill)
        yield url


@pytest.mark.parametrize("name", STATEMENTS)
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_no_table_is_read_whole(large, name, mode):
    statement, arguments = STATEMENTS[name]

    async def explain(connection):
        await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        return await connection.fetch(f"EXPLAIN {statement}", *arguments)

    async with open_database(large, Path()) as database:
        plan = "\n".join(row[0] for row in await database.in_transaction(explain))
    for table in ("transactions", "rounds", "sessions"):
        assert f"Seq Scan on {table}" not in plan, plan
