"""A database with one operator, a node and sessions in every state of their round."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from actors.facts.records import CallStatus
from server.db.driver.database import Database, open_database
from server.secrets.vault import Vault
from tests.helpers import books
from tests.helpers.books import NOON_MS
from tests.helpers.ledger_worlds import PostgresWorld


@pytest.fixture
async def database(emptied_database_url) -> AsyncIterator[Database]:
    async with open_database(emptied_database_url, Path(), pool_size=4) as opened:
        yield opened


@pytest.fixture
def world(database) -> PostgresWorld:
    return PostgresWorld(database, Vault(bytes(32)))


@pytest.fixture
async def owner(world):
    return await world.ledger.register_node("node-a", NOON_MS)


@pytest.fixture
async def rounds(world, owner) -> SimpleNamespace:
    """One round in each state; ``won`` is settled with a pending win, ``taken_back`` refunded with a pending refund."""
    operator = await world.add_operator()

    async def session(name):
        return await world.owned(owner, name, operator=operator)

    betting = await world.bet(owner, await session("betting"))
    void, unknown = await world.bet(owner, await session("void")), await world.bet(owner, await session("unknown"))
    flying, won, crashed, taken_back = [
        await world.fly(owner, await session(name)) for name in ("flying", "won", "crashed", "taken back")
    ]
    ends = [
        books.void(owner, void),
        books.void(owner, unknown, CallStatus.UNKNOWN),
        books.cash_out(owner, won),
        books.crash(owner, crashed),
        books.refund(owner, taken_back),
    ]
    for end in ends:
        await world.commit(end)
    fresh = await session("fresh")
    return SimpleNamespace(
        operator=operator,
        fresh=fresh,
        betting=betting,
        flying=flying,
        void=void,
        unknown=unknown,
        won=won,
        crashed=crashed,
        taken_back=taken_back,
    )
