"""Kinds of option values, each refused with words that say what is right."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final, TypeVar, cast
from uuid import UUID

import click

from actors.rules.limits import BetLimits
from actors.rules.money import MINOR_MAX
from server.config.loading import bet_limits_error
from server.config.origins import canonical_origin
from server.config.values import network

Value = TypeVar("Value")

NAME_LENGTH_MAX: Final = 100
MAX_WIN_MAX: Final = 100_000
ANY_ORIGIN: Final = "*"
CONFIGURED_LIMITS: Final = "default"
_PERCENT: Final = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


class Parsed(click.ParamType[Value]):
    """A value that ``parse`` makes of the option's text; ``parse`` raises ``ValueError`` with a clause about it."""

    def __init__(self, name: str, parse: Callable[[str], Value]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Value:
        """What ``parse`` makes of a text; other values come from here and are left alone."""
        if not isinstance(value, str):
            return cast(Value, value)
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@dataclass(frozen=True, slots=True)
class CurrencyLimits:
    """An operator's own limits in a currency; ``None``: the configured ones."""

    currency: str
    limits: BetLimits | None


def percent_bps(text: str, minimum: int, maximum: int) -> int:
    """Percent with at most two decimals as hundredths of a percent: ``96.25`` is 9625."""
    match = _PERCENT.fullmatch(text) if text.isascii() else None
    bps = -1 if match is None else int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
    if not minimum * 100 <= bps <= maximum * 100:
        raise ValueError(f"must be a percentage from {minimum} to {maximum} with at most two decimals")
    return bps


def operator_name(text: str) -> str:
    name = text.strip()
    if not 0 < len(name) <= NAME_LENGTH_MAX or not name.isprintable():
        raise ValueError(f"must have 1 to {NAME_LENGTH_MAX} printable characters")
    return name


def currency_code(text: str) -> str:
    """Three capital letters; whether it is configured is for the command to say."""
    if not _CURRENCY.fullmatch(text):
        raise ValueError("must be an ISO 4217 code: three capital letters")
    return text


def frame_origin(text: str) -> str:
    """An origin, or ``*`` for any."""
    return text if text == ANY_ORIGIN else canonical_origin(text)


def cidr(text: str) -> str:
    """An address or network, as it is stored."""
    return str(network(text))


def uuid(text: str) -> UUID:
    """A UUID in its usual form."""
    try:
        value = UUID(text)
    except ValueError:
        value = None
    if value is None or str(value) != text.lower():
        raise ValueError("must be a UUID")
    return value


def currency_limits(text: str) -> CurrencyLimits:
    """``USD:min:max:step:max_payout`` in minor units, or ``USD:default``."""
    code, *numbers = text.split(":")
    currency = currency_code(code)
    if numbers == [CONFIGURED_LIMITS]:
        return CurrencyLimits(currency, None)
    keys = [item.name for item in fields(BetLimits)]
    if len(numbers) != len(keys) or not all(number.isascii() and number.isdigit() for number in numbers):
        raise ValueError(f"must be CODE:{':'.join(keys)} in minor units, or CODE:{CONFIGURED_LIMITS}")
    amounts = dict(zip(keys, (int(number) if len(number) <= 16 else MINOR_MAX + 1 for number in numbers), strict=True))
    for key, amount in amounts.items():
        if not 1 <= amount <= MINOR_MAX:
            raise ValueError(f"{key} must be an integer from 1 to {MINOR_MAX}")
    error = bet_limits_error(amounts)
    if error is not None:
        raise ValueError(error)
    return CurrencyLimits(currency, BetLimits(**amounts))


PERCENT_OF_RETURN: Final = Parsed("percent", lambda text: percent_bps(text, 1, 100))
PERCENT_OF_SHARE: Final = Parsed("percent", lambda text: percent_bps(text, 0, 100))
MAX_WIN: Final = click.IntRange(2, MAX_WIN_MAX)
NAME: Final = Parsed("name", operator_name)
CURRENCY: Final = Parsed("code", currency_code)
FRAME_ORIGIN: Final = Parsed("origin", frame_origin)
CIDR: Final = Parsed("cidr", cidr)
IDENTIFIER: Final = Parsed("id", uuid)
LIMITS: Final = Parsed("limits", currency_limits)
