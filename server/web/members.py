"""Requests and answers by their types. Each member and parameter is read by itself, so that a refusal names it.

What a value must be stands once, with its type: the bounds of an integer, or the ``description`` of anything else. It
ends the refusal "<name> must be ...", and goes into the OpenAPI document.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, get_args

import msgspec
from quart import Response, request

from actors.rules.compact_json import compact_json
from server.http.errors import JSON_HEADERS, MalformedError

Model = TypeVar("Model", bound=msgspec.Struct)


class NoParameters(msgspec.Struct):
    """The query of a resource that has none."""


def read_members(document: Mapping[str, object], model: type[Model]) -> Model:
    """The model's members of a document, of exactly their types; others are ignored.

    Raises ``MalformedError`` for the first, in the model's order, that is missing or of another kind.
    """
    values: dict[str, Any] = {}
    for field in _fields(model):
        name = field.encode_name
        if name in document:
            try:
                values[field.name] = msgspec.convert(document[name], field.type)
            except (msgspec.ValidationError, UnicodeError):  # the latter for half of a surrogate pair
                raise MalformedError(name, f"{name} must be {_words(field.type)}.") from None
        elif field.required:
            raise MalformedError(name, f"{name} is required.")
    return model(**values)


def read_query(model: type[Model]) -> Model:
    """The query of the request at hand. Raises ``MalformedError`` for a parameter that is unknown, or not there once.

    What is passed over in silence is taken for granted by whoever sent it.
    """
    names = [field.encode_name for field in _fields(model)]
    for name, values in request.args.lists():
        if name not in names:
            known = f"there are {', '.join(names)}" if names else "there are none"
            raise MalformedError(name[:64], f"This resource has no such query parameter: {known}.")
        if len(values) != 1:
            raise MalformedError(name, f"{name} is required, exactly once.")
    return read_members(request.args, model)


def json_answer(document: object) -> Response:
    """An answer that nobody may cache: compact, its members in the order in which they are declared."""
    return Response(compact_json(document), headers=JSON_HEADERS)


@cache
def _fields(model: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(model)


@cache
def _words(annotation: object) -> str:
    """Of a type, or of the first of those that it is a union of."""
    for part in (annotation, *get_args(annotation)):
        for meta in getattr(part, "__metadata__", ()):
            return meta.description or f"an integer from {meta.ge} to {meta.le}"
    raise TypeError(f"{annotation} does not say what a value must be")
