"""A real server whose role in the database is its own: it plays, is killed and comes back, and all adds up."""

import os
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from tests.helpers.command_line import on_database
from tests.whole.house import audit_house, open_house

ROLE = f"player-{os.getpid()}"


class ForTheServer:
    """Databases that the owner has made and migrated, as the server's role sees them."""

    def __init__(self, postgres) -> None:
        self._postgres = postgres

    @contextmanager
    def database(self):
        with self._postgres.database() as url:
            assert on_database(url)("migrate", "--grant", ROLE).status == 0
            mark = "" if url.endswith("?") else "&" if "?" in url else "?"
            yield f"{url}{mark}options={quote(f'-c role={ROLE}', safe='')}"
            self._postgres.execute(f'DROP OWNED BY "{ROLE}"', url=url)


@pytest.fixture
def house(postgres, tmp_path):
    postgres.execute(f'CREATE ROLE "{ROLE}" LOGIN')
    try:
        with open_house(ForTheServer(postgres), tmp_path) as house:
            yield house
            audit_house(house)
    finally:
        postgres.execute(f'DROP ROLE "{ROLE}"')


async def test_a_server_with_a_role_of_its_own_plays_and_comes_back(house):
    session = house.operator.session()
    async with house.playing(session) as player:
        for target in (1.01, 1999.99):
            await player.play(1000, auto_cashout=target)
        await player.bet(1000, auto_cashout=5)
    house.server.kill()
    house.server.start()
    async with house.playing(house.operator.session()) as player:
        await player.play(1000, auto_cashout=1.01)
    assert "owns the books" not in house.server.log()


def test_a_server_whose_role_owns_the_books_says_so(postgres, tmp_path):
    with open_house(postgres, tmp_path) as house:
        assert "owns the books" in house.server.log()
