"""JSON bodies, read strictly: what two parsers could understand differently is refused."""

import json
from typing import Never

from server.http.errors import MalformedError


def parse_object(body: bytes) -> dict[str, object]:
    """The body's JSON object.

    Raises ``MalformedError`` for anything but one object in UTF-8 without a byte order mark, with unique keys,
    finite numbers and sane nesting.
    """
    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise MalformedError("body", "The body is not UTF-8.") from None
    except RecursionError:
        raise MalformedError("body", "The body is nested too deeply.") from None
    except ValueError:  # not JSON, a byte order mark, or an integer of thousands of digits
        raise MalformedError("body", "The body is not valid JSON.") from None
    if not isinstance(document, dict):
        raise MalformedError("body", "The body must be a JSON object.")
    return document


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise MalformedError(_shown(key), "A key appears twice in one object.")
            seen.add(key)
    return document


def _no_constant(name: str) -> Never:
    raise MalformedError("body", f"{name} is not JSON.")


def _shown(key: str) -> str:
    """A key as an answer may repeat it: short, and without what can't be encoded."""
    return key[:64].encode("utf-8", "replace").decode("utf-8")
