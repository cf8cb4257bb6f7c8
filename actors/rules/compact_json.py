"""JSON as we send and store it: compact, in UTF-8, a UUID as its text."""

import json
from uuid import UUID

import orjson


def compact_json(value: object) -> bytes:
    """The value as JSON. Raises ``TypeError`` if a part of it has no JSON."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # What orjson alone refuses: half of a surrogate pair, as a player may send it, and integers above 64 bits.
        return json.dumps(value, separators=(",", ":"), default=_uuid_text).encode("ascii")


def _uuid_text(value: object) -> str:
    if not isinstance(value, UUID):
        raise TypeError(f"a {type(value).__name__} has no JSON")
    return str(value)
