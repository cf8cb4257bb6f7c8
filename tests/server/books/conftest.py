"""Sound books, made by the ledger itself: copied for each test, so that it may ruin them."""

import pytest
import trio

from tests.helpers.command_line import on_database
from tests.helpers.sound_books import Books, fill


@pytest.fixture(scope="session")
def template(postgres):
    with postgres.database() as url:
        names = trio.run(fill, url)
        yield url.partition("?")[0].rsplit("/", 1)[1], names


@pytest.fixture
def sound(postgres, template):
    name, names = template
    with postgres.database(template=name) as url:
        yield Books(postgres, url, on_database(url), dict(names))
