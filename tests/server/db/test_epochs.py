"""Epochs are drawn once, in every history of a database that goes back."""

import time
from pathlib import Path

import pytest

from actors.facts.records import Owner
from server.db.driver.database import open_database
from server.secrets.vault import Vault
from tests.helpers.books import NOON_MS
from tests.helpers.stores import EveryStore

SOON_S = 60


@pytest.fixture
async def ledger(emptied_database_url):
    async with open_database(emptied_database_url, Path()) as database:
        yield EveryStore(database, Vault(bytes(32))), database


async def test_a_life_that_the_database_has_forgotten_is_not_begun_again(ledger):
    books, database = ledger
    lost = {await books.register_node("node-a", NOON_MS) for _ in range(20)}
    await database.run(lambda connection: connection.execute("DELETE FROM nodes"))
    assert lost.isdisjoint({await books.register_node("node-a", NOON_MS) for _ in range(20)})


async def test_an_epoch_is_the_moment_it_was_drawn_at_and_something_that_nobody_knows(ledger):
    books, _ = ledger
    lives = [await books.register_node(f"node-{number}", NOON_MS) for number in range(64)]
    assert all(abs(life.epoch / 2048e6 - time.time()) < SOON_S for life in lives)
    assert len({life.epoch % 2048 for life in lives}) > 32


async def test_a_new_life_is_the_newest_also_when_the_databases_clock_has_gone_back(ledger):
    books, database = ledger
    old = Owner("node-a", (int(time.time() * 1e6) + 3_600_000_000) * 2048)
    insert = "INSERT INTO nodes (node, epoch, started_at_ms, heartbeat_at_ms) VALUES ($1, $2, $3, $3)"
    await database.run(lambda connection: connection.execute(insert, old.node, old.epoch, NOON_MS))
    epochs = [old.epoch]
    for number in range(20):
        epochs.append((await books.register_node(f"node-{number % 2}", NOON_MS)).epoch)
    assert epochs == sorted(set(epochs)), "each is newer than all before it"
