"""The server's configuration: a TOML file, environment variables over it, checked as a whole before anything starts.

Every key has a default; ``config.toml`` shows and explains them all. ``GETAWAY_<SECTION>_<KEY>`` in the environment
overrides a key, ``GETAWAY_CURRENCIES_<CODE>_<KEY>`` a currency's. A file that lists currencies replaces the default
list as a whole, so that a currency can be left out. ``GETAWAY_MASTER_KEY`` is a secret and no key of this file.
"""

import dataclasses
import re
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from actors.rules.limits import CASHOUT_HUNDREDTHS_MIN, BetLimits, payout_cap_hundredths
from actors.rules.money import MINOR_MAX
from server.config.currencies import CURRENCY_EXPONENTS, DEFAULT_BET_LIMITS
from server.config.origins import canonical_origin, is_host
from server.config.service_links import is_service_link
from server.config.values import (
    FilePath,
    Networks,
    OptionalFilePath,
    Port,
    accepted,
    decimal_between,
    from_text,
    text_that,
)
from server.db.driver.url import SCHEMES, clean_url
from server.db.errors import DatabaseUrlError

DEFAULT_FILE: Final = Path("config.toml")
PREFIX: Final = "GETAWAY_"
PORT_MAX: Final = 65_535
NODE_LENGTH_MAX: Final = 64
_NODE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_RETRY_PERIOD_MS_MIN: Final = 76 * 3_600_000
_WEEKS_MS: Final = 60 * 24 * 3_600_000


class ConfigError(Exception):
    """The configuration can't be used; the message is one line that names the ``[section] key``."""


def _host(text: str) -> str:
    if not is_host(text):
        raise ValueError("must be an IP address or a host name")
    return text


def _optional_origin(text: str) -> str:
    return canonical_origin(text) if text else ""


def _optional_node(text: str) -> str:
    if text and not _NODE.fullmatch(text):
        raise ValueError("must have 1 to 64 characters of A-Z a-z 0-9 . _ -")
    return text


def _database_url(text: str) -> str:
    text = text.strip()  # a secret that is read from a file ends in a newline
    if text == "embedded":
        return text
    if not text.startswith(SCHEMES):
        raise ValueError('must be "embedded" or begin with postgresql://')
    try:
        return clean_url(text)
    except DatabaseUrlError as error:
        raise ValueError(str(error).removeprefix("its URL ")) from None


class ServerConfig(Struct, frozen=True, kw_only=True):
    """``[server]``. After loading, ``public_url`` is an origin and ``node`` a name: never empty."""

    host: Annotated[str, text_that(_host)] = "127.0.0.1"
    port: Port = 8080
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    public_url: Annotated[str, text_that(_optional_origin)] = ""
    metrics_host: Annotated[str, text_that(_host)] = "127.0.0.1"
    metrics_port: Port = 9090
    trusted_proxies: Networks = ()
    tls_certificate_file: OptionalFilePath = None
    tls_key_file: OptionalFilePath = None
    node: Annotated[str, text_that(_optional_node)] = ""
    connections_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    drain_ms_max: Annotated[int, Meta(ge=0, le=600_000)] = 30_000

    @property
    def metrics_ports(self) -> range:
        """The metrics ports of all workers, in their order; none if each takes any free one."""
        first = self.metrics_port
        return range(first, first + self.workers) if first else range(0)


class DatabaseConfig(Struct, frozen=True, kw_only=True):
    """``[database]``. ``url`` may hold a password, so that no text of this shows it."""

    url: Annotated[str, text_that(_database_url)] = "embedded"
    data_dir: FilePath = Path("var")
    pool_size: Annotated[int, Meta(ge=1, le=200)] = 8
    command_timeout_ms: Annotated[int, Meta(ge=100, le=60_000)] = 5_000
    connection_age_ms_max: Annotated[int, Meta(ge=1_000, le=86_400_000)] = 600_000
    allow_unsafe_durability: bool = False

    def __repr__(self) -> str:
        return f"DatabaseConfig(data_dir={self.data_dir!r}, pool_size={self.pool_size}, ...)"


class GameConfig(Struct, frozen=True, kw_only=True):
    """``[game]``."""

    growth_rate_per_ms: Annotated[Decimal, decimal_between("0.000001", "0.01", decimals_max=12)] = Decimal("0.00006")
    tick_ms: Annotated[int, Meta(ge=10, le=1_000)] = 100


class WalletConfig(Struct, frozen=True, kw_only=True):
    """``[wallet]``."""

    bet_timeout_ms: Annotated[int, Meta(ge=100, le=60_000)] = 5_000
    delivery_timeout_ms: Annotated[int, Meta(ge=100, le=60_000)] = 10_000
    pending_wait_ms: Annotated[int, Meta(ge=0, le=60_000)] = 3_000
    retry_first_ms: Annotated[int, Meta(ge=10, le=60_000)] = 1_000
    retry_max_ms: Annotated[int, Meta(ge=10, le=3_600_000)] = 60_000
    retry_period_ms: Annotated[int, Meta(ge=_RETRY_PERIOD_MS_MIN, le=_WEEKS_MS)] = _RETRY_PERIOD_MS_MIN
    bets_in_flight_max: Annotated[int, Meta(ge=1, le=10_000)] = 64
    deliveries_in_flight_max: Annotated[int, Meta(ge=1, le=10_000)] = 32
    breaker_failures_max: Annotated[int, Meta(ge=1, le=10_000)] = 8
    breaker_pause_ms_max: Annotated[int, Meta(ge=1_000, le=600_000)] = 10_000
    allow_insecure_callbacks: bool = False
    allow_private_networks: Networks = ()


class LimitsConfig(Struct, frozen=True, kw_only=True):
    """``[limits]``: requests of one operator, messages of one player's socket."""

    requests_per_second: Annotated[int, Meta(ge=1, le=100_000)] = 200
    requests_burst: Annotated[int, Meta(ge=1, le=100_000)] = 400
    messages_per_second: Annotated[int, Meta(ge=1, le=1_000)] = 20
    messages_burst: Annotated[int, Meta(ge=1, le=10_000)] = 40
    sessions_of_player_max: Annotated[int, Meta(ge=1, le=1_000)] = 50
    sessions_of_operator_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    void_rounds_of_session_per_minute: Annotated[int, Meta(ge=1, le=10_000)] = 30
    void_rounds_of_operator_per_second: Annotated[int, Meta(ge=1, le=100_000)] = 20


class LogConfig(Struct, frozen=True, kw_only=True):
    """``[log]``."""

    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Struct, frozen=True, kw_only=True):
    """A whole, checked configuration. ``currencies`` are the configured bet limits by ISO 4217 code."""

    server: ServerConfig = ServerConfig()
    database: DatabaseConfig = DatabaseConfig()
    game: GameConfig = GameConfig()
    wallet: WalletConfig = WalletConfig()
    limits: LimitsConfig = LimitsConfig()
    log: LogConfig = LogConfig()
    currencies: Mapping[str, BetLimits] = DEFAULT_BET_LIMITS


_CURRENCIES: Final = "currencies"
_SECTIONS: Final[Mapping[str, type]] = MappingProxyType(
    {section.name: section.type for section in msgspec.structs.fields(Config) if section.name != _CURRENCIES}
)
_KEYS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {name: {key.name: key.type for key in msgspec.structs.fields(section)} for name, section in _SECTIONS.items()}
)
"""What each key of each section may be."""
_BET_LIMITS: Final[Mapping[str, Any]] = MappingProxyType(
    {limit.name: Annotated[int, Meta(ge=1, le=MINOR_MAX)] for limit in dataclasses.fields(BetLimits)}
)

Values = dict[str, Any]
"""Accepted values of one table by key; ``Any`` because each key's kind has made sure of its type."""


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
    variables, currency_variables = _variables(environ)
    sections: dict[str, Any] = {
        name: section(**_table(_Label(source, name), document.get(name, {}), variables.get(name, {}), _KEYS[name]))
        for name, section in _SECTIONS.items()
    }
    currencies = _currencies(source, document.get(_CURRENCIES), currency_variables)
    config = Config(**sections, currencies=currencies)
    _check(config)
    return msgspec.structs.replace(config, server=_resolved(config.server))


def foreign_variables(environ: Mapping[str, str]) -> list[str]:
    """``GETAWAY_*`` variables that name no section: perhaps misspelt, perhaps another program's. Sorted."""
    linked = {"GETAWAY_MASTER_KEY", *service_variables(environ)}
    names = (name.removeprefix(PREFIX) for name in environ if name.startswith(PREFIX) and name not in linked)
    return sorted(PREFIX + name for name in names if _section_of(name) is None)


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


def _table(label: "_Label", given: object, variables: Mapping[str, "_Variable"], kinds: Mapping[str, Any]) -> Values:
    """The accepted values of one table, the environment's over the file's."""
    if not isinstance(given, dict):
        raise ConfigError(f"{label.in_file} must be a table")
    values: Values = {}
    for key, value in given.items():
        if key not in kinds:
            raise ConfigError(f"{label.in_file} {_printable(key)} is no setting (there are {', '.join(kinds)})")
        values[key] = _accepted(f"{label.in_file} {key}", kinds[key], value)
    for key, variable in variables.items():
        here = f"{variable.name}: [{label.section}] {_printable(key)}"
        if key not in kinds:
            raise ConfigError(f"{here} is no setting (there are {', '.join(kinds)})")
        values[key] = _accepted(here, kinds[key], from_text(kinds[key], variable.text))
    return values


def _accepted(label: str, kind: Any, value: object) -> object:  # noqa: ANN401 - a type, or an annotated one
    try:
        return accepted(kind, value)
    except ValueError as error:
        raise ConfigError(f"{label} {_printable(str(error))}") from None


@dataclass(frozen=True, slots=True)
class _Label:
    """How a table is named in errors; ``source`` is its file with a colon, or empty."""

    source: str
    section: str

    @property
    def in_file(self) -> str:
        return f"{self.source}[{self.section}]"


@dataclass(frozen=True, slots=True)
class _Variable:
    """An environment variable that overrides a key."""

    name: str
    text: str = field(repr=False)


Variables = dict[str, dict[str, _Variable]]


def _currencies(source: str, given: object, variables: Variables) -> Mapping[str, BetLimits]:
    if given is None:
        given = {code: _as_values(limits) for code, limits in DEFAULT_BET_LIMITS.items()}
    if not isinstance(given, dict):
        raise ConfigError(f"{source}[{_CURRENCIES}] must hold a table for each currency")
    codes = sorted({*given, *variables})
    if not codes:
        raise ConfigError(f"{source}[{_CURRENCIES}] must list at least one currency")
    return MappingProxyType(
        {code: _bet_limits(source, code, given.get(code, {}), variables.get(code, {})) for code in codes}
    )


def _bet_limits(source: str, code: str, given: object, variables: Mapping[str, _Variable]) -> BetLimits:
    label = _Label(source, f"{_CURRENCIES}.{_printable(code)}")
    if code not in CURRENCY_EXPONENTS:
        raise ConfigError(f"{label.in_file} is no ISO 4217 currency (three capital letters)")
    values = _table(label, given, variables, _BET_LIMITS)
    for key in _BET_LIMITS:
        if key not in values:
            raise ConfigError(f"{label.in_file} {key} is missing")
    error = bet_limits_error(values)
    if error is not None:
        raise ConfigError(f"{label.in_file} {error}")
    return BetLimits(**values)


def _as_values(limits: BetLimits) -> Values:
    return {key: getattr(limits, key) for key in _BET_LIMITS}


def _variables(environ: Mapping[str, str]) -> tuple[Variables, Variables]:
    """Overrides by section and key, and those of currencies by code and key."""
    sections: Variables = {}
    currencies: Variables = {}
    for name in sorted(environ):
        section = _section_of(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
        if section is None or is_service_link(name, environ[name]):
            continue
        key = name[len(PREFIX) + len(section) + 1 :]
        variable = _Variable(name, environ[name].rstrip("\r\n"))  # what was read from a file ends in one
        if section == _CURRENCIES:
            code, _, key = key.partition("_")
            currencies.setdefault(code, {})[key.lower()] = variable
        else:
            sections.setdefault(section, {})[key.lower()] = variable
    return sections, currencies


def _section_of(name: str) -> str | None:
    section, _, key = name.partition("_")
    is_known = section.isupper() and section.lower() in {*_SECTIONS, _CURRENCIES}
    return section.lower() if is_known and key else None


def _check(config: Config) -> None:
    """What concerns two keys at once."""
    server, wallet, limits = config.server, config.wallet, config.limits
    for is_wrong, message in (
        (
            server.port != 0 and server.port in server.metrics_ports,
            "[server] metrics_port must differ from port"
            + (", and so must the port of each further worker, one above the other" if server.workers > 1 else ""),
        ),
        (
            server.metrics_ports.stop - 1 > PORT_MAX,
            f"[server] metrics_port must be at most {PORT_MAX + 1 - server.workers}:"
            f" each of the {server.workers} workers takes the port after the one before",
        ),
        (
            (server.tls_certificate_file is None) != (server.tls_key_file is None),
            "[server] tls_certificate_file and tls_key_file must be given together",
        ),
        (
            server.port == 0 and not server.public_url,
            "[server] public_url must be given when port is 0 (any free port)",
        ),
        (
            wallet.retry_max_ms < wallet.retry_first_ms,
            "[wallet] retry_max_ms must not be less than retry_first_ms",
        ),
        (
            limits.requests_burst < limits.requests_per_second,
            "[limits] requests_burst must not be less than requests_per_second",
        ),
        (
            limits.messages_burst < limits.messages_per_second,
            "[limits] messages_burst must not be less than messages_per_second",
        ),
    ):
        if is_wrong:
            raise ConfigError(message)


def _resolved(server: ServerConfig) -> ServerConfig:
    """With the values that follow from others where none is given."""
    node = server.node or socket.gethostname()[:64]
    if server.workers > 1:
        length_max = NODE_LENGTH_MAX - len(f"-{server.workers}")
        if len(server.node) > length_max:
            raise ConfigError(
                f"[server] node must have at most {length_max} characters: workers add their number to it"
            )
        node = node[:length_max]
    if not _NODE.fullmatch(node):
        raise ConfigError("[server] node must be given: this host's name can't be used for it")
    return msgspec.structs.replace(server, node=node, public_url=server.public_url or _derived_origin(server))


def _derived_origin(server: ServerConfig) -> str:
    scheme = "http" if server.tls_certificate_file is None else "https"
    host = "localhost" if server.host in {"0.0.0.0", "::"} else server.host  # noqa: S104  (compared, not bound)
    return canonical_origin(f"{scheme}://[{host}]:{server.port}" if ":" in host else f"{scheme}://{host}:{server.port}")


def _printable(text: str) -> str:
    """One line, whatever a file's author or a file's name put into it."""
    return "".join(character if character.isprintable() else " " for character in text)[:200]
