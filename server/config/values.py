"""Kinds of configuration values: what is accepted, and in which words anything else is refused.

A value comes from TOML (``accept``) or from an environment variable (``from_text``, then ``accept``). Both raise
``ValueError`` with a clause that follows the key's name; the clause never repeats the value, which may be a secret.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final, Protocol

Network = IPv4Network | IPv6Network

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,20}")
_DECIMALS_MAX: Final = 12


class Kind(Protocol):
    """One kind of value."""

    def from_text(self, text: str) -> object:
        """An environment variable's text as TOML would have given it."""
        ...

    def accept(self, value: object) -> object:
        """The value as the program uses it."""
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer from ``minimum`` to ``maximum``."""

    minimum: int
    maximum: int

    def from_text(self, text: str) -> object:
        """See ``Kind``."""
        return int(text) if _INTEGER.fullmatch(text) else text

    def accept(self, value: object) -> int:
        """See ``Kind``."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.minimum <= value <= self.maximum:
            raise ValueError(f"must be an integer from {self.minimum} to {self.maximum}")
        return value


@dataclass(frozen=True, slots=True)
class Fraction:
    """A decimal number from ``minimum`` to ``maximum``, kept exactly as written."""

    minimum: Decimal
    maximum: Decimal

    def from_text(self, text: str) -> object:
        """See ``Kind``."""
        try:
            return Decimal(text) if text.isascii() else text
        except InvalidOperation:
            return text

    def accept(self, value: object) -> Decimal:
        """See ``Kind``."""
        if isinstance(value, Decimal) and value.is_finite() and self.minimum <= value <= self.maximum:
            exponent = value.as_tuple().exponent
            if isinstance(exponent, int) and exponent >= -_DECIMALS_MAX:
                return value
        raise ValueError(
            f"must be a number from {self.minimum:f} to {self.maximum:f} with at most {_DECIMALS_MAX} decimals"
        )


@dataclass(frozen=True, slots=True)
class Switch:
    """``true`` or ``false``."""

    def from_text(self, text: str) -> object:
        """See ``Kind``."""
        return {"true": True, "false": False}.get(text, text)

    def accept(self, value: object) -> bool:
        """See ``Kind``."""
        if isinstance(value, bool):
            return value
        raise ValueError("must be true or false")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    def from_text(self, text: str) -> object:
        """See ``Kind``."""
        return text

    def accept(self, value: object) -> str:
        """See ``Kind``."""
        if not isinstance(value, str) or value not in self.words:
            raise ValueError(f"must be one of {', '.join(self.words)}")
        return value


@dataclass(frozen=True, slots=True)
class Text:
    """A string that ``check`` returns as the program uses it; ``check`` raises ``ValueError`` for a bad one."""

    check: Callable[[str], str]

    def from_text(self, text: str) -> object:
        """See ``Kind``."""
        return text

    def accept(self, value: object) -> str:
        """See ``Kind``."""
        if isinstance(value, str):
            return self.check(value)
        raise ValueError("must be a string")


@dataclass(frozen=True, slots=True)
class FilePath:
    """A path, relative to the working directory; where it may be missing, an empty string stands for none."""

    may_be_missing: bool

    def from_text(self, text: str) -> object:
        """See ``Kind``."""
        return text

    def accept(self, value: object) -> Path | None:
        """See ``Kind``."""
        if not isinstance(value, str) or "\0" in value:
            raise ValueError("must be a path")
        if not value and not self.may_be_missing:
            raise ValueError("must not be empty")
        return Path(value) if value else None


@dataclass(frozen=True, slots=True)
class Networks:
    """A list of addresses and networks, with commas between them in a variable."""

    def from_text(self, text: str) -> object:
        """See ``Kind``."""
        return [part.strip() for part in text.split(",")] if text.strip() else []

    def accept(self, value: object) -> tuple[Network, ...]:
        """See ``Kind``."""
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            raise ValueError('must be a list of networks like "10.0.0.0/8"')
        return tuple(network(part) for part in value)


def network(text: str) -> Network:
    """An IP address or a network in CIDR notation. Raises ``ValueError`` with a clause that follows its name."""
    try:
        return ip_network(text)
    except ValueError as error:
        if "has host bits set" in str(error):
            corrected = ip_network(text, strict=False)
            raise ValueError(f"has host bits set: {text} is not a network, {corrected} is") from None
        raise ValueError("must be an address or a network like 10.0.0.0/8 or 2001:db8::/32") from None
