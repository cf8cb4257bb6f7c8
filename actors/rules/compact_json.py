"""JSON as we send and store it: compact, in UTF-8, a UUID as its text."""

import json
from decimal import Decimal
from typing import Final

import msgspec

_encode: Final = msgspec.json.Encoder().encode


def compact_json(value: object) -> bytes:
    """The value as JSON. Raises ``TypeError`` if a part of it has no JSON."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        # Half of a surrogate pair, as a player may send it in an escape: only the standard library writes it, as one.
        return json.dumps(msgspec.to_builtins(value, builtin_types=[Decimal]), separators=(",", ":")).encode("ascii")
