"""An error in the log fails the test that does not name it; words that do not come fail it, too."""

import logging
from types import SimpleNamespace

import pytest

from tests.helpers.error_log import ErrorLog

log = logging.getLogger("getaway.tests")


def item(*marks):
    return SimpleNamespace(iter_markers=lambda name: [mark.mark for mark in marks if mark.mark.name == name])


def logged(*records):
    errors = ErrorLog()
    for record in records:
        errors.handle(record)
    return errors


def record(words, **extra):
    return logging.makeLogRecord(
        {"name": "getaway.a", "msg": words, "levelno": logging.ERROR, "levelname": "ERROR", **extra}
    )


def test_an_error_that_nobody_named_is_found():
    errors = logged(record("it broke"), record("an actor failed", actor="round", exc_info=(KeyError, KeyError(), None)))
    named = item(pytest.mark.logs_errors("an actor failed (round, KeyError)"), pytest.mark.logs_errors("it broke"))
    assert errors.complaints(named) == []
    other = item(pytest.mark.logs_errors("an actor failed (session", "it broke", sometimes=True))
    assert errors.complaints(other) == ["unexpected: getaway.a: an actor failed (round, KeyError)"]


def test_words_that_do_not_come_are_found():
    marks = pytest.mark.logs_errors("it broke"), pytest.mark.logs_errors("it may break", sometimes=True)
    assert logged().complaints(item(*marks)) == ["did not come: it broke"]


@pytest.mark.logs_errors("it broke")
def test_the_fixture_hears_what_is_logged():
    log.error("it broke")
