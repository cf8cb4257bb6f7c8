"""Types of configuration values: msgspec checks them, and anything else is refused in words that say what is allowed.

A value comes from TOML, or as text from an environment variable. A wrong one raises ``ValueError`` with a clause that
follows the key's name and never repeats the value, which may be a secret.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, get_args

import msgspec
from msgspec import Meta
from msgspec.inspect import BoolType, DecimalType, IntType, ListType, LiteralType, type_info

Network = IPv4Network | IPv6Network

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Read:
    """How a value is read whose type says too little, as an annotation of that type.

    It is a ``toml`` type, ``must`` says which, and ``read`` makes of it what the program uses, or raises ``ValueError``
    with a clause.
    """

    toml: Any
    must: str
    read: Callable[[Any], object]


def network(text: str) -> Network:
    """An IP address or a network in CIDR notation. Raises ``ValueError`` with a clause that follows its name."""
    try:
        return ip_network(text)
    except ValueError as error:
        if "has host bits set" in str(error):
            corrected = ip_network(text, strict=False)
            raise ValueError(f"has host bits set: {text} is not a network, {corrected} is") from None
        raise ValueError("must be an address or a network like 10.0.0.0/8 or 2001:db8::/32") from None


def text_that(check: Callable[[str], str]) -> Read:
    """A string that ``check`` returns as the program uses it; ``check`` raises ``ValueError`` with a clause."""
    return Read(str, "must be a string", check)


def decimal_between(minimum: str, maximum: str, decimals_max: int) -> Read:
    """A decimal number, kept exactly as written; msgspec has no bounds for decimals."""
    must = f"must be a number from {minimum} to {maximum} with at most {decimals_max} decimals"

    def read(value: Decimal) -> Decimal:
        if value.is_finite() and Decimal(minimum) <= value <= Decimal(maximum):
            exponent = value.as_tuple().exponent
            if isinstance(exponent, int) and exponent >= -decimals_max:
                return value
        raise ValueError(must)

    return Read(Decimal, must, read)


def _path(text: str) -> Path:
    if "\0" in text:
        raise ValueError("must be a path")
    if not text:
        raise ValueError("must not be empty")
    return Path(text)


FilePath = Annotated[Path, Read(str, "must be a path", _path)]
"""Relative to the working directory."""
OptionalFilePath = Annotated[Path | None, Read(str, "must be a path", lambda text: _path(text) if text else None)]
"""As ``FilePath``; an empty string is none."""
Networks = Annotated[
    tuple[Network, ...],
    Read(list[str], 'must be a list of networks like "10.0.0.0/8"', lambda texts: tuple(map(network, texts))),
]
"""With commas between them in a variable. msgspec knows no networks."""
Port = Annotated[int, Meta(ge=0, le=65_535)]


def accepted(kind: object, value: object) -> object:
    """A value from TOML as the program uses it. Raises ``ValueError`` with a clause."""
    read = _read_of(kind)
    try:
        plain = msgspec.convert(value, read.toml, builtin_types=(Decimal,))
    except msgspec.ValidationError:
        raise ValueError(read.must) from None
    return read.read(plain)


def from_text(kind: object, text: str) -> object:
    """An environment variable's text as TOML would have given it; as it is if it can't be, and so refused later.

    msgspec's own way, ``strict=False``, takes ``1`` for true and ``1e3`` for an integer: here both are mistakes.
    """
    match type_info(_read_of(kind).toml):
        case IntType() if _INTEGER.fullmatch(text):
            return int(text)
        case BoolType():
            return {"true": True, "false": False}.get(text, text)
        case ListType():
            return [part.strip() for part in text.split(",")] if text.strip() else []
        case DecimalType() if text.isascii():
            try:
                return Decimal(text)
            except InvalidOperation:
                return text
    return text


def _read_of(kind: object) -> Read:
    reads = [note for note in get_args(kind) if isinstance(note, Read)]
    return reads[0] if reads else Read(kind, _must(kind), lambda value: value)


def _must(kind: object) -> str:
    match type_info(kind):
        case IntType(ge=minimum, le=maximum):
            return f"must be an integer from {minimum} to {maximum}"
        case BoolType():
            return "must be true or false"
        case LiteralType():
            return f"must be one of {', '.join(get_args(kind))}"
    raise AssertionError(f"{kind} has no words for what it allows")
