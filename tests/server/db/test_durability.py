"""A database that may forget what it has confirmed is refused, unless it is said to be a toy."""

from pathlib import Path

import pytest

from server.db.driver.database import open_database
from server.db.driver.durability import check_durability
from server.db.errors import UnsafeDatabaseError
from tests.helpers.postgres import WAITS, postgres_server


@pytest.fixture(scope="module")
def careful():
    """A server as it comes: it waits for the disk."""
    with postgres_server(is_quick=False) as server:
        yield server


@pytest.fixture
def turn_off(careful):
    """Turn settings off, each its own way, until the test ends."""

    def turn(*names: str) -> str:
        careful.execute(*(f"ALTER SYSTEM SET {name} = off" for name in names), "SELECT pg_reload_conf()")
        return careful.url_of("postgres")

    yield turn
    careful.execute("ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()")


async def check(url: str, *, allow_unsafe: bool = False) -> None:
    async with open_database(url, Path()) as database:
        await check_durability(database, allow_unsafe=allow_unsafe)


async def test_a_careful_database_is_let(careful):
    await check(careful.url_of("postgres"))


@pytest.mark.parametrize("name", WAITS)
async def test_each_setting_alone_is_refused_and_named(turn_off, name):
    url = turn_off(name)
    with pytest.raises(UnsafeDatabaseError) as caught:
        await check(url)
    message = str(caught.value)
    assert f"off is {name}." in message
    assert f"ALTER SYSTEM SET {name} = on;" in message
    assert message.isprintable()


async def test_synchronous_commit_off_for_this_database_alone_is_found(careful):
    with careful.database(template="template1") as url:
        name = url.partition("?")[0].rsplit("/", 1)[1]
        careful.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        with pytest.raises(UnsafeDatabaseError, match="off is synchronous_commit"):
            await check(url)
        careful.execute(f"ALTER DATABASE {name} SET synchronous_commit = local")
        await check(url)


async def test_a_toy_is_let_with_a_warning(turn_off, caplog):
    await check(turn_off(*WAITS), allow_unsafe=True)
    (record,) = [record for record in caplog.records if record.name == "getaway.database"]
    assert (record.levelname, record.off) == ("WARNING", sorted(WAITS))
