"""The writers of the benchmark, on a real database: what they write is whole rounds, and a queue for a row is seen."""

import time
from pathlib import Path

import trio

from server.db.driver.database import open_database
from server.db.stores.operators import PostgresOperatorStore
from server.secrets.vault import Vault
from tests.bench import writing
from tests.bench.figures.stand import MASTER_KEY
from tests.helpers import books

LOCK = "SELECT FROM operators FOR UPDATE"


async def test_writers_write_whole_rounds(emptied_database_url):
    async with open_database(emptied_database_url, Path()) as database:
        store = PostgresOperatorStore(database, Vault(MASTER_KEY))
        operator = await store.create_operator(books.new_operator(), time.time_ns() // 1_000_000)
        written = await writing.write(emptied_database_url, operator.operator_id, writers=2, rounds=2)
        ended = await database.run(
            lambda connection: connection.fetchval(
                "SELECT count(*) FROM rounds r JOIN transactions w USING (operator_id, round_id)"
                " WHERE r.status = 'settled' AND w.kind = 'win' AND w.status = 'acknowledged'"
            )
        )
    assert ended == 2 * 2 * writing.GROUP
    assert written.rounds_per_s > 0


async def test_a_queue_for_a_row_is_seen(emptied_database_url):
    async with open_database(emptied_database_url, Path()) as database:
        store = PostgresOperatorStore(database, Vault(MASTER_KEY))
        await store.create_operator(books.new_operator(), time.time_ns() // 1_000_000)
        looks = []

        async def hold(connection):
            await connection.execute(LOCK)
            await connection.execute("SELECT pg_sleep(0.4)")

        async def wait(connection):
            await connection.execute(LOCK)

        async with trio.open_nursery() as watching:
            watching.start_soon(writing.watch, database, looks)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(database.in_transaction, hold)
                await trio.sleep(0.1)
                assert not any(looks), "one alone waits for nobody"
                nursery.start_soon(database.in_transaction, wait)
            watching.cancel_scope.cancel()
    assert sum(looks) > 3
