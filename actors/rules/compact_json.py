"""JSON as we send and store it: compact, in UTF-8, a UUID as its text."""

import json
from uuid import UUID

import orjson


def compact_json(value: object) -> bytes:
    """The value as JSON. Raises ``TypeError`` if a part of it has no JSON."""
    try:
        return orjson.dumps(value, default=_uuid_text)
    except TypeError:
        pass  # what orjson alone refuses: integers above 64 bits, and half of a surrogate pair, as a player may send it
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=_uuid_text)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), default=_uuid_text).encode("ascii")


def _uuid_text(value: object) -> str:
    """Of a UUID of a class of its own, such as asyncpg's: plain ones orjson knows."""
    if not isinstance(value, UUID):
        raise TypeError(f"a {type(value).__name__} has no JSON")
    return str(value)
