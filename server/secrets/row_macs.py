"""What rows may say: each row that moves money or grants access carries a code that only the master key can make.

Whoever can write to the database can make rows, but not these codes: a row without a good one is neither sent nor
believed. A code proves that we wrote these values in this place. It does not prove that they are the newest: who puts
back an old row of ours, whole, is not found by it (docs/money.md says what limits that).

A code is one byte, the number of the key, and 16 bytes of HMAC-SHA256 over one unambiguous text: the label of the row's
kind, then each column's value in a fixed order, with its length in front of it. The key is derived from the master key
by HKDF (RFC 5869), so that it opens nothing and what opens makes no codes.
"""

import hmac
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal
from operator import attrgetter, itemgetter
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from actors.facts.columns import columns
from actors.facts.records import LiveRound
from actors.facts.transitions import CreateSession

KEY_NUMBER: Final = 1
"""Of the only key there is so far. A second one would check the rows of the first by this byte."""
MAC_BYTES: Final = 17
_KEY_BYTES: Final = 32
_CODE_BYTES: Final = 16
_NULL: Final = b"\xff\xff\xff\xff"
"""In place of a length: no value is that long."""


_length: Final = struct.Struct(">I").pack


def _prefixed(text: bytes) -> bytes:
    return _length(len(text)) + text


def _fields(values: Sequence[object]) -> bytes:
    """Columns' values one after the other. Each column has one type: texts of different types need not differ.

    A round has some fifty of them, so that each call in here counts.
    """
    return b"".join(
        [_NULL if value is None else (_FIELDS.get(type(value)) or _derived(value))(value) for value in values]
    )


def _derived(value: object) -> Callable[[Any], bytes]:
    return next(field for known, field in _FIELDS.items() if isinstance(value, known))


def _of_text(value: str) -> bytes:
    try:
        text = value.encode()
    except UnicodeEncodeError:
        # What the database will refuse must not be refused here, where nobody expects it.
        text = value.encode("utf-8", "surrogatepass")
    return _length(len(text)) + text


def _of_number(value: int) -> bytes:
    text = b"%d" % value
    return _length(len(text)) + text


def _of_list(values: Sequence[object]) -> bytes:
    return _prefixed(_fields(values))


_FIELDS: Final[dict[type, Callable[[Any], bytes]]] = {
    str: _of_text,
    int: _of_number,
    UUID: lambda value: b"\0\0\0\x10" + value.bytes,
    bytes: _prefixed,
    Decimal: lambda value: _prefixed(format(value.normalize(), "f").encode()),
    list: _of_list,
    tuple: _of_list,
}
"""A value with its length in front, by its type; a type that derives from one of these is taken for it."""


class RowMacError(Exception):
    """A row was not written by us as it stands, or was damaged; the text names the kind of code, never a value."""


class RowKind:
    """Which values of a row its code covers: ``columns``, in the order of the text.

    ``record`` is the type of what is written, if it has them as its columns.
    """

    def __init__(self, label: str, names: str, record: type | None = None) -> None:
        self.columns: Final = tuple(names.split())
        places = {} if record is None else columns(record)
        self.name: Final = label
        self.label: Final = _prefixed(f"getaway/{label}/v1".encode())
        self.of_row: Callable[[Any], tuple[Any, ...]] = itemgetter(*self.columns)
        self.of_record: Callable[[Any], tuple[Any, ...]] = attrgetter(
            *(places.get(name, name) for name in self.columns)
        )


SESSION: Final = RowKind(
    "session",
    """operator_id session_id operator_player_id currency token_digest created_at_ms expires_at_ms lang
    reality_check_minutes lobby_url""",
    CreateSession,
)
"""Who plays for whom, with which token, until when. The promise is sealed for its place; the balance is only shown."""

BET: Final = RowKind(
    "round-bet",
    """operator_id round_id session_id operator_player_id currency amount_minor auto_cashout_hundredths client_seed
    nonce server_seed_hash rtp_bps max_win_multiplier rev_share_bps max_payout_minor growth_rate_per_ms
    created_at_ms""",
    LiveRound,
)
"""A round as it was placed."""

START: Final = RowKind("round-start", "operator_id round_id session_id started_at_ms")
"""That the operator took the stake, and when the flight began."""

END: Final = RowKind(
    "round-end",
    """operator_id round_id session_id status result reason realized_hundredths payout_minor server_seed
    crash_hundredths map_seed loot_seed guard_seed settled_at_ms""",
)
"""How a round ended."""

CALL: Final = RowKind(
    "wallet-call", "operator_id operator_tx_id round_id session_id kind amount_minor body position created_at_ms"
)
"""What a wallet is told, byte for byte."""

OPERATOR: Final = RowKind(
    "operator",
    """operator_id name api_key_sealed hmac_secret_sealed wallet_callback_url rtp_bps max_win_multiplier rev_share_bps
    status allow_cidrs frame_origins currencies created_at_ms changed_at_ms""",
)
"""Whom we serve, where its wallet is, and on which terms. ``currencies`` has each name with its limits, in order."""

ACTION: Final = RowKind(
    "wallet-action", "operator_id operator_tx_id action by_whom reason at_ms status_before status_after"
)
"""What a person did about a call: a resolved one may be missing in the operator's books."""

LOST_BET: Final = RowKind(
    "lost-bet", "operator_id round_id session_id operator_player_id currency amount_minor body noted_by"
)
"""A refund that `getaway restored` sends, byte for byte."""

MARK: Final = RowKind("master-key-mark", "-")
"""Covers nothing: it is the same wherever the master key is."""


class RowMacs:
    """Makes and checks the codes of one master key."""

    def __init__(self, master_key: bytes) -> None:
        derived = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=b"getaway/row-macs/v1")
        self._key = derived.derive(master_key)

    def of_record(self, kind: RowKind, record: object) -> bytes:
        """The code of what is about to be written, from a record of the actors."""
        return self._mac(kind, kind.of_record(record))

    def of_row(self, kind: RowKind, row: Any) -> bytes:  # noqa: ANN401 - a record of asyncpg, or a dictionary like one
        return self._mac(kind, kind.of_row(row))

    def check(self, kind: RowKind, row: Any, mac: bytes | None) -> None:  # noqa: ANN401 - as above
        """Raises ``RowMacError`` unless ``mac`` is the code of these values."""
        if mac is None:
            raise RowMacError(f"it has no {kind.name} code: it was not written by this server")
        if not hmac.compare_digest(mac, self.of_row(kind, row)):
            raise RowMacError(f"its {kind.name} code is not the one of these values")

    def problem(self, kind: RowKind, row: Any, mac: bytes | None) -> str | None:  # noqa: ANN401 - as above
        """What ``check`` complains of; ``None`` if all is well."""
        try:
            self.check(kind, row, mac)
        except RowMacError as error:
            return str(error)
        return None

    @property
    def mark(self) -> bytes:
        """By this a database knows the master key that it is written with."""
        return self._mac(MARK, ())

    def _mac(self, kind: RowKind, values: tuple[Any, ...]) -> bytes:
        text = kind.label + _fields(values)
        return b"%c" % KEY_NUMBER + hmac.digest(self._key, text, "sha256")[:_CODE_BYTES]
