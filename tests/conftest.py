"""Fixtures that many folders of tests share."""

import logging
import signal
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.helpers.error_log import ErrorLog
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


HAS_PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep whether the test itself has passed, for the fixtures that end after it."""
    report = yield
    if report.when == "call":
        item.stash[HAS_PASSED] = report.passed
    return report


@pytest.fixture(autouse=True)
def errors_are_expected(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that has passed, but has logged an error that it does not name, or not the one that it names."""
    errors = ErrorLog()
    logging.getLogger().addHandler(errors)
    yield
    logging.getLogger().removeHandler(errors)
    complaints = errors.complaints(request.node) if request.node.stash.get(HAS_PASSED, False) else []
    assert complaints == []


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
