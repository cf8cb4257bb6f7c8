"""The log: one line for each event in both formats, from both kinds of loggers, and nothing in it that is a secret."""

import io
import json
import logging
import re
import warnings
from contextlib import contextmanager, redirect_stderr
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from server.config.configuration import ConfigError
from server.process.logs import configure_logs

SECRETS = {
    "token": "t-1",
    "session_token": "t-2",
    "hmac_secret": "s-1",
    "api_key": "k-1",
    "apikey": "k-2",
    "X-Operator-Signature": "g-1",
    "player_id": "p-1",
    "operator_player_id": "p-2",
    "player": "p-3",
    "player_name": "p-4",
    "Authorization": "a-1",
    "password": "w-1",
    "master_key": "m-1",
    "server_seed": "e-1",
    "next_server_seed": "e-2",
    "launch_url": "u-1",
    "cookie": "c-1",
}
ours = logging.getLogger("getaway.test")


@contextmanager
def log(form: str, level: str = "info", stream: io.StringIO | None = None):
    """The log of the block; afterwards logging is what it was."""
    root, package = logging.getLogger(), logging.getLogger("getaway")
    before = root.handlers[:], root.level, package.level, logging.raiseExceptions
    root.handlers = []
    try:
        with redirect_stderr(stream or io.StringIO()) as stream:
            configure_logs(form, level)
            yield stream
    finally:
        logging.captureWarnings(False)
        root.handlers, level_before, package_level, logging.raiseExceptions = before
        root.setLevel(level_before)
        package.setLevel(package_level)


def events(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def logged(event: str, **details: object) -> None:
    ours.info(event, extra=details)


FORMS = pytest.mark.parametrize("form", ["json", "console"])


def test_an_event_is_one_json_line_with_its_heading_and_its_fields():
    with log("json") as stream:
        logged("a round\nended", round_id=UUID(int=7), status=200, ms=1.5, at=None, rate=Decimal("0.1"))
    (event,) = events(stream)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.pop("time"))
    assert event == {
        "level": "info",
        "logger": "getaway.test",
        "event": "a round\nended",
        "round_id": "00000000-0000-0000-0000-000000000007",
        "status": 200,
        "ms": 1.5,
        "at": None,
        "rate": "0.1",
    }


def test_an_event_is_one_line_for_people():
    with log("console") as stream:
        logged("a round\n2026 [error] ended\x1b[31m", status=200, why="it\nwas")
    (line,) = stream.getvalue().splitlines()
    assert re.match(r"20\d\d-\d\d-\d\dT[\d:]{8}\.\d{3}Z \[info ", line)
    assert "[getaway.test]" in line and "status=200" in line and "\x1b" not in line


def test_a_terminal_shows_trouble_in_colour_and_a_file_does_not():
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    for stream, shown in ((terminal, "\x1b[33mwarning \x1b[0m"), (io.StringIO(), "[warning ]")):
        with log("console", stream=stream):
            ours.info("calm")
            ours.warning("trouble")
        calm, trouble = stream.getvalue().splitlines()
        assert "\x1b" not in calm and shown in trouble


@FORMS
def test_fields_named_like_secrets_or_players_are_hidden(form):
    with log(form) as stream:
        logged("request", **SECRETS, nested={"inner": [SECRETS]}, server_seed_hash="shown", operator_id="shown")
    text = stream.getvalue()
    assert [value for value in SECRETS.values() if value in text] == []
    assert text.count("[hidden]") == 2 * len(SECRETS)
    assert text.count("shown") == 2


@FORMS
def test_credentials_inside_texts_are_hidden(form):
    key = "gs_" + "Ab-_" * 10
    with log(form) as stream:
        logged(f"the key {key} came", url="postgresql://user:hunter2@db/name", keys=[key, {"k": key}])
    text = stream.getvalue()
    assert key not in text and "hunter2" not in text and "user:" not in text
    assert text.count("[hidden]") == 4


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_the_level_is_that_of_our_own_events(level):
    with log("json", level) as stream:
        for name in ("debug", "info", "warning", "error"):
            getattr(ours, name)(name)
    names = ["debug", "info", "warning", "error"]
    assert [event["event"] for event in events(stream)] == names[names.index(level) :]


@pytest.mark.filterwarnings("default")  # in the tests, warnings are errors
def test_other_libraries_are_heard_from_warnings_up_whatever_level_they_set():
    with log("json", "debug") as stream:
        for name in ("hypercorn.error", "asyncpg", "quart.app", "getaways", "library.of.tests"):
            other = logging.getLogger(name)
            other.setLevel(logging.DEBUG)
            other.info("quiet")
            other.warning("loud")
            other.setLevel(logging.NOTSET)
        warnings.warn("deprecated", DeprecationWarning, stacklevel=1)
    assert [event["event"] for event in events(stream)][:5] == ["loud"] * 5
    assert {event["logger"] for event in events(stream)[5:]} <= {"py.warnings"}


def test_an_exception_is_one_field_without_what_its_text_may_quote():
    def fail():
        try:
            int("player-42")
        except ValueError as error:
            raise ConfigError("[server] port is wrong") from error

    with log("json") as stream:
        try:
            fail()
        except ConfigError:
            ours.exception("failed")
    (event,) = events(stream)
    raised = event["exception"]
    assert event["level"] == "error"
    assert (raised["type"], raised["message"]) == ("server.config.configuration.ConfigError", "[server] port is wrong")
    assert raised["frames"][-1].startswith("process/test_logs.py:") and raised["frames"][-1].endswith(" fail")
    assert raised["cause"]["type"] == "ValueError" and "message" not in raised["cause"]
    assert "player-42" not in stream.getvalue() and "Traceback" not in stream.getvalue()


def test_a_group_of_exceptions_for_people_is_one_line_too():
    with log("console") as stream:
        try:
            raise ExceptionGroup("several", [OSError(2, "No such file", "/secret/path"), KeyError("player-42")])
        except ExceptionGroup:
            ours.exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "ExceptionGroup" in line and "FileNotFoundError: No such file" in line and "KeyError" in line
    assert "player-42" not in line and "/secret/path" not in line


def test_fields_cannot_overwrite_the_heading():
    with log("json") as stream:
        ours.info("true", extra={"time": "0", "level": "critical", "logger": "x", "event": "false"})
    (event,) = events(stream)
    assert (event["level"], event["logger"], event["event"]) == ("info", "getaway.test", "true")


def test_no_value_breaks_the_line():
    loop: list[object] = []
    loop.append(loop)
    with log("json") as stream:
        values = {"b": b"\xff", "f": float("nan"), "p": Path("/x"), "l": loop, "t": "x" * 100_000, "s": "\ud800"}
        ours.info("odd", extra=values | {"many": list(range(1_000))})
    (event,) = events(stream)
    assert (event["b"], event["f"], event["p"]) == ("[1 bytes]", "nan", "/x")
    assert len(event["t"]) == 2_000 and len(event["many"]) == 100
