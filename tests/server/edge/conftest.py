import logging

import pytest

from tests.helpers.edge_fakes import errors_of


@pytest.fixture(autouse=True)
def no_errors(caplog):
    caplog.set_level(logging.INFO)
    yield
    assert errors_of(caplog) == [], "an error was logged that the test did not expect"
