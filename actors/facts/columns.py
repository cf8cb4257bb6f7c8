"""Records as rows: what is stored of a session, a round or a call is declared once, by the fields of its record.

A field is a column of the same name. A field whose type is a record stands for the fields of that record: the column
``lang`` is ``page.lang`` of a launch, and ``nonce`` is ``commitment.nonce`` of a round.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, get_args, get_type_hints
from uuid import UUID

Record = TypeVar("Record")


@cache
def columns(record: type) -> Mapping[str, str]:
    """Each column's place in the record, in order."""
    found: dict[str, str] = {}
    for name, kind in _types(record).items():
        if is_dataclass(kind):
            found |= {column: f"{name}.{place}" for column, place in columns(kind).items()}
        else:
            found[name] = name
    return found


def values(record: object) -> dict[str, Any]:
    """The record's values, by column."""
    kind: Any = type(record)
    return dict(zip(columns(kind), _getter(kind)(record), strict=True))


def made(record: type[Record], row: Any, **given: Any) -> Record:  # noqa: ANN401 - a record of asyncpg, or a mapping
    """The record with the values of a row. ``given`` are fields, or columns, that the row does not have as they are."""
    kind_of: Any = record
    found = {
        name: given[name] if name in given else _value(name, kind, row, given) for name, kind in _types(kind_of).items()
    }
    return record(**found)


def _value(name: str, kind: type, row: Any, given: Mapping[str, Any]) -> Any:  # noqa: ANN401 - of any column
    if is_dataclass(kind):
        return made(kind, row, **{each: given[each] for each in columns(kind) if each in given})
    value = row[name]
    if value is None or type(value) is kind:
        return value
    if issubclass(kind, Enum):
        return kind(value)
    # Without asyncpg's own class for it, which is equal but takes longer.
    return UUID(int=value.int) if kind is UUID else value


@cache
def _types(record: type) -> Mapping[str, type]:
    """Each field's type, without the ``None`` that it may be instead."""
    hints = get_type_hints(record)
    return {each.name: _plain(hints[each.name]) for each in fields(record)}


def _plain(hint: Any) -> type:  # noqa: ANN401 - a type, or a union of one and None
    known = [each for each in get_args(hint) if each is not type(None)]
    plain: type = known[0] if len(known) == 1 and type(None) in get_args(hint) else hint
    # A record that need not be there has no columns of its own.
    return object if plain is not hint and is_dataclass(plain) else plain


@cache
def _getter(record: type) -> Callable[[object], tuple[Any, ...]]:
    return attrgetter(*columns(record).values())
