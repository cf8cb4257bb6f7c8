import pytest

from tests.server.loadtest.stage import Stage


@pytest.fixture(scope="module")
def stage(postgres, tmp_path_factory):
    """A server for a module of tests; in the end it has nothing to be ashamed of."""
    with postgres.database() as database_url:
        stage = Stage(database_url, tmp_path_factory.mktemp("loadtest"))
        try:
            yield stage
            assert stage.server.errors() == []
        finally:
            stage.server.kill()
