"""One bad row is one bad row: what does not open is put aside, told once, and the rest goes on."""

import logging
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar
from uuid import UUID

from server.db.stores.rows import Row, plain_uuid
from server.secrets.row_macs import RowMacError
from server.secrets.vault import VaultError

log = logging.getLogger("getaway.rows")

Value = TypeVar("Value")
AnyRow = TypeVar("AnyRow", Row, dict[str, Any])

KEPT_MAX: Final = 10_000
"""Rows of a table that are remembered. Overflow: one more is put aside all the same, and told each time it is read."""

DOES_NOT_OPEN: Final = (VaultError, RowMacError, ValueError, TypeError)
"""What opening a row raises: damage, another key, a hand at the database."""


KEYS: Final = {
    "operators": "operator_id",
    "sessions": "session_id",
    "rounds": "round_id",
    "transactions": "operator_tx_id",
}
"""The column that names a row of a table, beside its operator."""

Key = tuple[UUID, UUID | str]


def _nobody(_table: str, _count: int) -> None: ...


def _log(what: dict[str, str]) -> None:
    log.error("a row is put aside", extra=what)


class PutAside:
    """The rows of this process that do not open, by table and key. ``count`` is told how many of a table there are,
    and ``tell`` which, instead of the log.

    An error names a row when it is put aside for the first time: its table, its key, and what is wrong, but no value.
    """

    def __init__(
        self, count: Callable[[str, int], None] = _nobody, tell: Callable[[dict[str, str]], None] = _log
    ) -> None:
        self._count = count
        self._tell = tell
        self._keys: dict[str, set[Key]] = {}

    def opened(self, table: str, rows: Iterable[Row], open_row: Callable[[Row], Value]) -> list[Value]:
        """The rows that open, in order; the others are put aside."""
        found = (self.open(table, row, open_row) for row in rows)
        return [value for value in found if value is not None]

    def open(
        self, table: str, row: AnyRow, open_row: Callable[[AnyRow], Value], *, is_whole: bool = True
    ) -> Value | None:
        """What one row opens to; ``None`` if it is put aside. Only what ``is_whole`` can show that it is well again."""
        try:
            value = open_row(row)
        except DOES_NOT_OPEN as error:
            self._add(table, _key(table, row), error)
            return None
        if self._keys and is_whole:
            self._is_well(table, _key(table, row))
        return value

    def keep_only(self, table: str, rows: Iterable[Row]) -> None:
        """Of a table that is read as a whole: what is not among ``rows`` is gone, and not aside any more."""
        for key in self._keys.get(table, set()) - {_key(table, row) for row in rows}:
            self._is_well(table, key)

    def keys(self, table: str) -> list[Key]:
        """Operator and key of the rows of a table that are put aside."""
        return sorted(self._keys.get(table, ()), key=str)

    def _add(self, table: str, key: Key, error: Exception) -> None:
        keys = self._keys.setdefault(table, set())
        if key in keys:
            return
        if len(keys) < KEPT_MAX:
            keys.add(key)
            self._count(table, len(keys))
        self._tell(_names(table, key) | {"error": told(error)})

    def _is_well(self, table: str, key: Key) -> None:
        keys = self._keys.get(table)
        if keys and key in keys:
            keys.remove(key)
            self._count(table, len(keys))
            log.warning("a row that was put aside opens again, or has gone", extra=_names(table, key))


def _key(table: str, row: Row | dict[str, Any]) -> Key:
    """As plain values: those of asyncpg are equal to them, but have texts of their own."""
    operator_id, name = row["operator_id"], row[KEYS[table]]
    return plain_uuid(operator_id), plain_uuid(name) if isinstance(name, UUID) else name


def _names(table: str, key: Key) -> dict[str, str]:
    return {"table": table, "operator_id": str(key[0]), KEYS[table]: str(key[1])}


def told(error: Exception) -> str:
    """Of errors that are not ours only the type: their texts may quote the value."""
    return str(error) if isinstance(error, (VaultError, RowMacError)) else type(error).__name__
