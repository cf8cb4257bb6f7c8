"""The server's configuration as the program has it: each key's name with its unit, what is allowed, its default.

``config.toml`` shows and explains them all; ``server.config.loading`` reads it, and environment variables over it.
"""

import re
import socket
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from actors.rules.limits import BetLimits
from server.config.currencies import DEFAULT_BET_LIMITS
from server.config.origins import canonical_origin, is_host
from server.config.values import FilePath, Networks, OptionalFilePath, Port, decimal_between, text_that
from server.db.driver.url import SCHEMES, clean_url
from server.db.errors import DatabaseUrlError

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
    """Section ``[game]`` of the configuration."""

    growth_rate_per_ms: Annotated[Decimal, decimal_between("0.000001", "0.01", decimals_max=12)] = Decimal("0.00006")
    tick_ms: Annotated[int, Meta(ge=10, le=1_000)] = 100


class WalletConfig(Struct, frozen=True, kw_only=True):
    """Section ``[wallet]`` of the configuration."""

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
    """Section ``[log]`` of the configuration."""

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


def completed(config: Config) -> Config:
    """With the values that follow from others where none is given. Raises ``ConfigError`` if two keys contradict each
    other."""
    _check(config)
    return replace(config, server=_resolved(config.server))


def _check(config: Config) -> None:
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
    return replace(server, node=node, public_url=server.public_url or _derived_origin(server))


def _derived_origin(server: ServerConfig) -> str:
    scheme = "http" if server.tls_certificate_file is None else "https"
    host = "localhost" if server.host in {"0.0.0.0", "::"} else server.host  # noqa: S104 - compared, not bound
    return canonical_origin(f"{scheme}://[{host}]:{server.port}" if ":" in host else f"{scheme}://{host}:{server.port}")
