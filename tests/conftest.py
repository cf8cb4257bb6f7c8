"""Fixtures that many folders of tests share."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.helpers.postgres import PostgresServer, postgres_server

# Asserts outside the test modules explain themselves, too.
pytest.register_assert_rewrite(
    *(f"tests.whole.{name}" for name in ("casino", "house", "player", "wallet")),
    *(f"tests.chaos.{name}" for name in ("books", "disasters", "gamblers", "kills", "restores", "troubles", "world")),
)

# A shell has its background jobs ignore Ctrl-C, and what they start inherits that: but servers of tests must hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Drawn examples are the same in every run, and a slow moment of the machine is nobody's failure.
settings.register_profile(
    "project", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("project")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL server, started when the first test asks for it."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """A fresh database with the schema in place."""
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="session")
def shared_database(postgres: PostgresServer) -> Iterator[str]:
    """One database for all tests that leave nothing running on it."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def emptied_database_url(postgres: PostgresServer, shared_database: str) -> str:
    """The shared database without a row: quicker than ``database_url``."""
    postgres.empty(shared_database)
    return shared_database
