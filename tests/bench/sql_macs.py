"""The codes of rows (``server/secrets/row_macs.py``) as SQL, for rows that the database makes itself: millions of them.

HMAC-SHA256 is two of PostgreSQL's own ``sha256``, so that nothing has to leave the database.
"""

from collections.abc import Mapping

from server.secrets.row_macs import KEY_NUMBER, MAC_BYTES, RowKind, RowMacs

NULL = r"'\xffffffff'::bytea"
_BLOCK_BYTES = 64


def text_field(expression: str) -> str:
    """A value that is stored as text, with its length in front."""
    return f"int4send(octet_length({expression})) || convert_to({expression}, 'UTF8')"


def number_field(expression: str) -> str:
    """An integer, or a number whose text has no superfluous zeros."""
    return text_field(f"({expression})::text")


def uuid_field(expression: str) -> str:
    return rf"'\x00000010'::bytea || uuid_send({expression})"


def bytes_field(expression: str) -> str:
    return f"int4send(octet_length({expression})) || {expression}"


def code(macs: RowMacs, kind: RowKind, fields: Mapping[str, str]) -> str:
    """The SQL of a row's code; ``fields`` has one of the above for each column that the code covers."""
    key = macs._key.ljust(_BLOCK_BYTES, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in key) for pad in (0x36, 0x5C))
    message = " || ".join([_literal(inner + kind.label), *kind.of_row(fields)])
    made = f"sha256({_literal(outer)} || sha256({message}))"
    return f"({_literal(bytes([KEY_NUMBER]))} || substr({made}, 1, {MAC_BYTES - 1}))"


def _literal(value: bytes) -> str:
    return f"'\\x{value.hex()}'::bytea"
