"""From a TOML file, and environment variables over it, to the configuration, checked as a whole before anything starts.

``GETAWAY_<SECTION>_<KEY>`` in the environment overrides a key, ``GETAWAY_CURRENCIES_<CODE>_<KEY>`` a currency's. A file
that lists currencies replaces the default list as a whole, so that a currency can be left out. ``GETAWAY_MASTER_KEY``
is a secret and no key of this file.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

from msgspec import Meta, structs

from actors.rules.limits import CASHOUT_HUNDREDTHS_MIN, BetLimits, payout_cap_hundredths
from actors.rules.money import MINOR_MAX
from server.config.configuration import Config, ConfigError, completed
from server.config.currencies import CURRENCY_EXPONENTS, DEFAULT_BET_LIMITS
from server.config.service_links import is_service_link
from server.config.values import accepted, from_text

DEFAULT_FILE: Final = Path("config.toml")
PREFIX: Final = "GETAWAY_"

_CURRENCIES: Final = "currencies"
_SECTIONS: Final[Mapping[str, type]] = MappingProxyType(
    {section.name: section.type for section in structs.fields(Config) if section.name != _CURRENCIES}
)
_BET_LIMITS: Final = MappingProxyType(
    {limit.name: Annotated[int, Meta(ge=1, le=MINOR_MAX)] for limit in fields(BetLimits)}
)


@dataclass(frozen=True, slots=True)
class _Variable:
    """An environment variable that overrides a key."""

    name: str
    table: str
    key: str
    text: str = field(repr=False)


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration of ``path``, or of ``config.toml`` in the working directory, or the defaults if it has none.

    Raises ``ConfigError``.
    """
    if path is None and DEFAULT_FILE.is_file():
        path = DEFAULT_FILE
    document = {} if path is None else _read(path)
    source = "" if path is None else f"{_printable(str(path))}: "
    for name in document:
        if name not in _SECTIONS and name != _CURRENCIES:
            known = ", ".join([*_SECTIONS, _CURRENCIES])
            raise ConfigError(f"{source}[{_printable(name)}] is no section (there are {known})")
    variables = list(_variables(environ))
    sections: dict[str, Any] = {}
    for name, section in _SECTIONS.items():
        keys = {key.name: key.type for key in structs.fields(section)}
        sections[name] = section(**_table(source, name, document.get(name, {}), variables, keys))
    return completed(Config(**sections, currencies=_currencies(source, document.get(_CURRENCIES), variables)))


def foreign_variables(environ: Mapping[str, str]) -> list[str]:
    """``GETAWAY_*`` variables that name no section: perhaps misspelt, perhaps another program's. Sorted."""
    linked = {"GETAWAY_MASTER_KEY", *service_variables(environ)}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in linked and not _section_of(name))


def service_variables(environ: Mapping[str, str]) -> list[str]:
    """``GETAWAY_*`` variables that Kubernetes made for a service of such a name: no settings. Sorted."""
    return sorted(name for name, value in environ.items() if name.startswith(PREFIX) and is_service_link(name, value))


def bet_limits_error(limits: Mapping[str, int]) -> str | None:
    """What is wrong with a currency's four limits, as ``key clause``; ``None`` if they fit each other.

    Every value must lie between 1 and ``MINOR_MAX``.
    """
    smallest, largest = limits["min_bet_minor"], limits["max_bet_minor"]
    if smallest > largest:
        return "max_bet_minor must not be less than min_bet_minor"
    for key, amount in (("min_bet_minor", smallest), ("max_bet_minor", largest)):
        if amount % limits["bet_step_minor"] != 0:
            return f"{key} must be a multiple of bet_step_minor"
    if payout_cap_hundredths(largest, limits["max_payout_minor"]) < CASHOUT_HUNDREDTHS_MIN:
        return "max_payout_minor must be at least 1.01 times max_bet_minor"
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"), parse_float=Decimal)
    except OSError as error:
        raise ConfigError(f"{_printable(str(path))}: can't be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{_printable(str(path))}: is not UTF-8") from None
    except RecursionError:
        raise ConfigError(f"{_printable(str(path))}: is nested too deeply") from None
    except (ValueError, ArithmeticError) as error:
        raise ConfigError(f"{_printable(str(path))}: {_printable(str(error))}") from None


def _table(
    source: str, table: str, given: object, variables: list[_Variable], kinds: Mapping[str, object]
) -> dict[str, Any]:
    """The accepted values of one table by key, the environment's over the file's."""
    in_file = f"{source}[{_printable(table)}]"
    if not isinstance(given, dict):
        raise ConfigError(f"{in_file} must be a table")
    values = {key: _accepted(in_file, kinds, key, value) for key, value in given.items()}
    for variable in variables:
        if variable.table == table:
            here = f"{variable.name}: [{table}]"
            values[variable.key] = _accepted(here, kinds, variable.key, variable)
    return values


def _accepted(table: str, kinds: Mapping[str, object], key: str, value: object) -> object:
    if key not in kinds:
        raise ConfigError(f"{table} {_printable(key)} is no setting (there are {', '.join(kinds)})")
    try:
        return accepted(kinds[key], from_text(kinds[key], value.text) if isinstance(value, _Variable) else value)
    except ValueError as error:
        raise ConfigError(f"{table} {key} {_printable(str(error))}") from None


def _currencies(source: str, given: object, variables: list[_Variable]) -> Mapping[str, BetLimits]:
    if given is None:
        given = {code: asdict(limits) for code, limits in DEFAULT_BET_LIMITS.items()}
    if not isinstance(given, dict):
        raise ConfigError(f"{source}[{_CURRENCIES}] must hold a table for each currency")
    named = (variable.table.partition(".") for variable in variables)
    codes = sorted({*given, *(code for section, _, code in named if section == _CURRENCIES)})
    if not codes:
        raise ConfigError(f"{source}[{_CURRENCIES}] must list at least one currency")
    return MappingProxyType({code: _bet_limits(source, code, given.get(code, {}), variables) for code in codes})


def _bet_limits(source: str, code: str, given: object, variables: list[_Variable]) -> BetLimits:
    table = f"{_CURRENCIES}.{code}"
    in_file = f"{source}[{_printable(table)}]"
    if code not in CURRENCY_EXPONENTS:
        raise ConfigError(f"{in_file} is no ISO 4217 currency (three capital letters)")
    values = _table(source, table, given, variables, _BET_LIMITS)
    for key in _BET_LIMITS:
        if key not in values:
            raise ConfigError(f"{in_file} {key} is missing")
    error = bet_limits_error(values)
    if error is not None:
        raise ConfigError(f"{in_file} {error}")
    return BetLimits(**values)


def _variables(environ: Mapping[str, str]) -> Iterator[_Variable]:
    """The overrides, by the variables' names."""
    for name in sorted(environ):
        section = _section_of(name)
        if section is None or is_service_link(name, environ[name]):
            continue
        table, key = section, name[len(PREFIX) + len(section) + 1 :]
        if section == _CURRENCIES:
            code, _, key = key.partition("_")
            table = f"{section}.{code}"
        yield _Variable(name, table, key.lower(), environ[name].rstrip("\r\n"))  # what a file held ends in one


def _section_of(name: str) -> str | None:
    """The section that a variable's name begins with, if it has one of ours and a key."""
    section, _, key = name.removeprefix(PREFIX).partition("_")
    is_known = name.startswith(PREFIX) and section.isupper() and section.lower() in {*_SECTIONS, _CURRENCIES}
    return section.lower() if is_known and key else None


def _printable(text: str) -> str:
    """One line, whatever a file's author or a file's name put into it."""
    return "".join(character if character.isprintable() else " " for character in text)[:200]
