"""Every test of this folder runs on the in-memory twin and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from actors.facts.records import Owner
from tests.helpers.books import NOON_MS
from tests.helpers.ledger_worlds import World, open_world


@pytest.fixture(params=["memory", "postgres"])
def place(request) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("emptied_database_url")


@pytest.fixture
async def world(place) -> AsyncIterator[World]:
    async with open_world(place) as opened:
        yield opened


@pytest.fixture
async def owner(world) -> Owner:
    return await world.ledger.register_node("node-a", NOON_MS)


@pytest.fixture
async def other(world, owner) -> Owner:
    """A second living node."""
    return await world.ledger.register_node("node-b", NOON_MS)
