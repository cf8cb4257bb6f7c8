"""The rows that the benchmark makes by SQL are believed by the server: otherwise it would measure refusals."""

from pathlib import Path
from uuid import UUID

import pytest

from server.db.driver.database import open_database
from server.db.stores.rows import check_session, finished_round, wallet_call
from server.secrets.vault import Vault
from tests.bench import stored_rounds
from tests.bench.stored_rounds import CURRENCIES, DAY_MS, ROUNDS_PER_SESSION

VAULT = Vault(bytes(range(32)))
OPENED = {
    "sessions": lambda row: check_session(VAULT.macs, row),
    "rounds": lambda row: finished_round(VAULT, row),
    "transactions": lambda row: wallet_call(VAULT, row),
}


@pytest.fixture
def own_database_url(postgres):
    with postgres.database() as url:
        yield url


async def test_rows_have_the_codes_of_the_server(own_database_url):
    terms = [str(UUID(int=number)) for number in (1, 2)], list(CURRENCIES), 20_000 * DAY_MS, 60_000

    async def work(connection):
        await connection.execute("SET LOCAL session_replication_role = replica")
        sessions, rounds = stored_rounds.statements(VAULT.macs)
        await connection.execute(sessions, *terms, 3)
        await connection.execute(rounds, *terms, 0, 3 * ROUNDS_PER_SESSION)

    async with open_database(own_database_url, Path()) as database:
        await database.in_transaction(work)
        for table, opened in OPENED.items():
            query = f"SELECT * FROM {table}"
            rows = await database.run(lambda connection, query=query: connection.fetch(query))
            assert len(rows) >= 3
            for row in rows:
                opened(row)
