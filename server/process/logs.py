"""The log: one line on standard error for each event, whoever wrote it, as JSON or for people.

Our modules log through ``logging.getLogger("getaway.<part>")`` with fields in ``extra``. Other libraries are heard from
WARNING up. Fields that are named like a secret or like a player's identity are hidden, and of an exception only such
texts are shown as are known to quote nobody's data.
"""

import json
import logging
import math
import re
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

OURS: Final = "getaway"
HIDDEN: Final = "[hidden]"
TEXT_LENGTH_MAX: Final = 2_000
"""Overflow: the rest of a longer text is left out."""
DEPTH_MAX: Final = 6
"""Overflow: what is nested deeper in a field, or in an exception's causes, is left out."""
MEMBERS_MAX: Final = 100
"""Overflow: more members of a list, or of a group of exceptions, are left out."""
FRAMES_MAX: Final = 12
"""Overflow: of a longer traceback the innermost frames are shown."""

_SECRET_NAME: Final = re.compile(
    r"token|secret|api_?key|signature|player_?id|^player$|player_?name|authorization|password|master_?key|cookie|server_seed$|launch_url",
    re.IGNORECASE,
)
_SECRET_TEXT: Final = re.compile(
    r"\bg[a-z]_[A-Za-z0-9_-]{32,}"  # our own credentials have a prefix
    r"|(?<=://)[^/\s@]+(?=@)"  # user and password of a URL
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_FRANK_ERRORS: Final = (AssertionError, AttributeError, ImportError, NameError, TypeError)
"""Their texts name parts of programs, not the data that programs work on."""

_COLOURS: Final = {"warning": 33, "error": 31, "critical": 31}
"""Of a terminal: yellow and red."""

_RECORD_NAMES: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure_logs(form: str, level: str, worker: int | None = None) -> None:
    """Send every log record of this process to standard error, ours from ``level`` up.

    ``form`` is ``json`` or ``console``; ``level`` is ``debug``, ``info``, ``warning`` or ``error``. ``worker`` is put
    into every line: the worker's number, 0 for the workers' parent; ``None`` if the process has no such part.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_is_wanted)
    handler.setFormatter(_OneLine(form, {} if worker is None else {"worker": worker}, sys.stderr.isatty()))
    # A reader of the log that has gone is no reason to write tracebacks after it.
    logging.raiseExceptions = False
    logging.captureWarnings(True)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(OURS).setLevel(number)


class _OneLine(logging.Formatter):
    """An event as JSON or for people, with the ``fields`` of every line."""

    def __init__(self, form: str, fields: Mapping[str, object], is_coloured: bool) -> None:
        super().__init__()
        self._fields = fields
        self._is_json = form == "json"
        self._is_coloured = is_coloured

    def format(self, record: logging.LogRecord) -> str:
        event = {**_event(record), **self._fields}
        return json.dumps(event) if self._is_json else _for_people(event, self._is_coloured)


def _is_wanted(record: logging.LogRecord) -> bool:
    """Whether a record is ours or serious, also where a library sets the level of its own logger."""
    return record.levelno >= logging.WARNING or record.name == OURS or record.name.startswith(f"{OURS}.")


def _event(record: logging.LogRecord) -> dict[str, object]:
    """The line's fields. The heading can't be overwritten."""
    extra = {name: value for name, value in vars(record).items() if name not in _RECORD_NAMES}
    error = record.exc_info[1] if record.exc_info else None
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    heading: dict[str, object] = {
        "time": moment.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": _clean(record.getMessage()),
    }
    described = {} if error is None else {"exception": describe_exception(error)}
    return {**heading, **_clean_fields(extra, 0), **described, **heading}


def _clean_fields(fields: Mapping[Any, object], depth: int) -> dict[str, object]:
    return {
        str(name): HIDDEN if _SECRET_NAME.search(str(name)) else _clean(value, depth) for name, value in fields.items()
    }


def _clean(value: object, depth: int = 0) -> object:
    """The value as JSON can hold it, cut to size, credentials hidden."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if depth >= DEPTH_MAX:
        return "[deeper]"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, Mapping):
        return _clean_fields(value, depth + 1)
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(member, depth + 1) for member in list(value)[:MEMBERS_MAX]]
    if isinstance(value, BaseException):
        return describe_exception(value, depth + 1)
    return _SECRET_TEXT.sub(HIDDEN, str(value)[:TEXT_LENGTH_MAX])


def describe_exception(error: BaseException, depth: int = 0) -> dict[str, object]:
    """``type``, ``message`` where it is known to be harmless, ``frames`` (innermost last), ``cause`` and ``group``."""
    described: dict[str, object] = {"type": _type_name(error)}
    if _is_frank(error):
        described["message"] = _clean(error.strerror if isinstance(error, OSError) and error.strerror else str(error))
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    described["frames"] = [f"{_place(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]
    if depth >= DEPTH_MAX:
        return described
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        described["cause"] = describe_exception(cause, depth + 1)
    if isinstance(error, BaseExceptionGroup):
        described["group"] = [describe_exception(member, depth + 1) for member in error.exceptions[:MEMBERS_MAX]]
    return described


def _type_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _is_frank(error: BaseException) -> bool:
    """Whether the text can be shown. A database's errors quote rows, a parser's quote their input."""
    is_ours = type(error).__module__.partition(".")[0] in {"actors", "server"}
    return is_ours or isinstance(error, (*_FRANK_ERRORS, OSError))


def _place(filename: str) -> str:
    """The file and its folder: what tells apart files of the same name without the machine's layout."""
    return "/".join(Path(filename).parts[-2:])


def _for_people(event: dict[str, object], is_coloured: bool) -> str:
    """Everything in one line; an exception short, its innermost frame first."""
    described = event.get("exception")
    shown = event | ({"exception": _exception_text(described)} if isinstance(described, dict) else {})
    plain = {name: _CONTROL.sub(" ", value) if isinstance(value, str) else repr(value) for name, value in shown.items()}
    time, level, logger, text = (plain.pop(name) for name in ("time", "level", "logger", "event"))
    colour = _COLOURS.get(level) if is_coloured else None
    shown_level = f"{level:<8}" if colour is None else f"\x1b[{colour}m{level:<8}\x1b[0m"
    fields = "".join(f" {name}={value!r}" if " " in value else f" {name}={value}" for name, value in plain.items())
    return f"{time} [{shown_level}] {text:<30} [{logger}]{fields}"


def _exception_text(described: dict[str, object]) -> str:
    message = f": {described['message']}" if described.get("message") else ""
    frames = described["frames"]
    assert isinstance(frames, list)
    text = f"{described['type']}{message}" + "".join(f" < {frame}" for frame in reversed(frames))
    inner = described.get("group")
    members = list(inner) if isinstance(inner, list) else []
    if "cause" in described:
        members.append(described["cause"])
    return text + "".join(f" | {_exception_text(member)}" for member in members)
