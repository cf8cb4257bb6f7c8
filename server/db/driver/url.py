"""The database's URL, read once for both drivers, by libpq's own parser.

What the URL leaves out comes from libpq's environment variables (``PGUSER``, ``PGSSLMODE``, ...), then from libpq's
defaults. asyncpg is given each value by name and parses nothing. What only one of the drivers could obey is refused
with its name: a parameter that silently counts for half of the connections is worse than none.

No error quotes a value: a URL that is not one may have its password anywhere.
"""

import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Final

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from server.db.errors import DatabaseUrlError

SCHEMES: Final = ("postgresql://", "postgres://")
FORM: Final = "postgresql://user:password@host:port/name"
APPLICATION_NAME: Final = "getaway"
PORT_DEFAULT: Final = "5432"
SILENT_S_MAX: Final = 1.5
"""How long one of several places may take for the whole of a connection before the next one is tried."""
CONNECT_TIMEOUT_S_MIN: Final = 2
"""libpq's own least value of ``connect_timeout``."""
_SOCKET_FOLDERS: Final = ("/run/postgresql", "/var/run/postgresql", "/tmp")  # noqa: S108 - sockets, no files
_HOSTS_DEFAULT: Final = (*_SOCKET_FOLDERS, "localhost")
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]+")
_PARAMETER: Final = re.compile(r"[a-z_]{2,40}")

SYSTEM_ROOT: Final = "system"
"""As ``sslrootcert``: whoever the system trusts."""
_SYSTEM_ROOT_FILES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep them (Debian, Red Hat, SUSE, Alpine). libpq comes with an OpenSSL that looks elsewhere."""

_TLS_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
PASSED_ON: Final = (
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "options",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "channel_binding",
    "target_session_attrs",
    *_TLS_FILES,
)
"""Both drivers obey these; ``Places.parameters`` holds those that are given."""
_OURS: Final = (
    "user",
    "password",
    "passfile",
    "dbname",
    "host",
    "port",
    "connect_timeout",
    "application_name",
    "fallback_application_name",
)


def _one_of(*words: str) -> Callable[[str], bool]:
    return lambda value: value in words


_ALLOWED: Final[Mapping[str, Callable[[str], bool]]] = MappingProxyType(
    {
        "client_encoding": lambda value: value.replace("-", "").lower() in {"utf8", "auto"},
        "gssencmode": _one_of("disable", "prefer"),
        "sslmode": _one_of("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
        "sslnegotiation": _one_of("postgres", "direct"),
        "channel_binding": _one_of("disable", "prefer", "require"),
        "target_session_attrs": _one_of("read-write", "primary", "any"),
        **dict.fromkeys(("connect_timeout", "tcp_user_timeout"), str.isdecimal),
        **dict.fromkeys(("keepalives_idle", "keepalives_interval", "keepalives_count"), str.isdecimal),
        "keepalives": _one_of("0", "1"),
        **dict.fromkeys(
            ("ssl_min_protocol_version", "ssl_max_protocol_version"), _one_of("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
        ),
    }
)
"""Of the parameters that may have some values only."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server may be: a host's name or address, or the folder of a socket; and the port."""

    host: str
    port: str

    @property
    def is_near(self) -> bool:
        """Whether what is said to it stays on this machine."""
        if self.is_socket or self.host == "localhost":
            return True
        try:
            return ip_address(self.host.partition("%")[0]).is_loopback
        except ValueError:
            return False

    @property
    def is_socket(self) -> bool:
        """Whether it is a socket of the file system, or an abstract one."""
        return self.host.startswith(("/", "@"))


@dataclass(slots=True)
class Places:
    """What a URL says, with the environment's words and the defaults in it. The place that answered last is the first
    to be asked the next time."""

    places: tuple[Place, ...]
    user: str
    database: str
    application_name: str
    password: str | None = field(repr=False)
    passfile: str | None
    connect_timeout_s: int | None
    parameters: Mapping[str, str] = field(repr=False)
    _first: int = 0

    def in_order(self) -> Iterator[Place]:
        """All places to try, each once."""
        first = self._first
        for number in range(len(self.places)):
            yield self.places[(first + number) % len(self.places)]

    def note_answer(self, place: Place) -> None:
        """This one let us in."""
        self._first = self.places.index(place)

    def share_s(self, whole_s: float, count: int | None = None) -> float:
        """How long each of ``count`` places (or addresses; by default all places) may take of ``whole_s``."""
        count = len(self.places) if count is None else count
        share_s = whole_s if count == 1 else min(SILENT_S_MAX, whole_s / max(count, 1))
        return share_s if self.connect_timeout_s is None else min(share_s, self.connect_timeout_s)

    def conninfo(self, place: Place, address: str) -> bytes:
        """Libpq's settings for one place, whose host was looked up: libpq would block for that."""
        settings = {
            "host": place.host,
            "hostaddr": address,
            "port": place.port,
            "user": self.user,
            "dbname": self.database,
            "application_name": self.application_name,
            "gssencmode": "disable",  # a ticket server would be asked without asking trio
            "password": self.password or None,
            "passfile": self.passfile,
            **self.parameters,
        }
        return make_conninfo("", **{name: value for name, value in settings.items() if value is not None}).encode()


def clean_url(text: str) -> str:
    """The URL without white space around it (a secret that is read from a file ends in a newline).

    Raises ``DatabaseUrlError`` if it is none, or has a parameter that is refused, whatever the environment says.
    """
    url = text.strip()
    _check(_parsed(url))
    return url


def read_url(text: str) -> Places:
    """Everything that both drivers need. Raises ``DatabaseUrlError``."""
    given = _parsed(text.strip())
    defaults = {option.keyword.decode(): option for option in pq.Conninfo.get_defaults()}
    said: dict[str, str] = {}
    for name, option in defaults.items():
        variable = "" if option.envvar is None else option.envvar.decode()
        if name in given:
            said[name] = given[name]
        elif os.environ.get(variable):
            said[name] = os.environ[variable]
    _check(said)
    user = said.get("user") or (defaults["user"].val or b"").decode()
    if not user:
        raise DatabaseUrlError(
            f"its URL names no user, and the system has no name for this process's user id {os.geteuid()}: write {FORM}"
        )
    parameters = {name: said[name] for name in PASSED_ON if said.get(name)}
    parameters.setdefault("target_session_attrs", "read-write")
    if parameters.get("sslrootcert") == SYSTEM_ROOT:
        parameters["sslrootcert"] = _system_root(parameters)
    places = _places(said)
    _check_secrecy(places, parameters)
    return Places(
        places=places,
        user=user,
        database=said.get("dbname") or user,
        application_name=said.get("application_name") or said.get("fallback_application_name") or APPLICATION_NAME,
        password=said.get("password"),
        passfile=said.get("passfile"),
        connect_timeout_s=_connect_timeout_s(said),
        parameters=MappingProxyType(parameters),
    )


def _parsed(url: str) -> dict[str, str]:
    if not url.startswith(SCHEMES):
        raise DatabaseUrlError(f"its URL must be {FORM}")
    said: dict[str, str] | None = None
    # What libpq says quotes the URL, and its password with it: nothing is raised from its errors.
    with suppress(psycopg.Error, ValueError):
        said = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    if said is None:
        unknown = _unknown_parameter(url)
        raise DatabaseUrlError(f"its URL must be {FORM}" + (f"; libpq knows no {unknown}" if unknown else ""))
    return said


def _unknown_parameter(url: str) -> str | None:
    """The name of a parameter that libpq does not know, if it can't be a part of the password."""
    _, _, query = url.partition("?")
    if "@" in query:
        return None
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    names = [part.partition("=")[0] for part in query.split("&")]
    return next((name for name in names if _PARAMETER.fullmatch(name) and name not in known | {"ssl"}), None)


def _check(said: Mapping[str, str]) -> None:
    """Raises ``DatabaseUrlError`` if a parameter, or its value, would not count for both drivers."""
    compiled = {option.keyword.decode(): option.compiled for option in pq.Conninfo.get_defaults()}
    for name, value in said.items():
        if name in _ALLOWED:
            if value and not _ALLOWED[name](value):
                raise DatabaseUrlError(f"its URL's (or environment's) {name} is not a value that Getaway can work with")
        elif name not in (*_OURS, *PASSED_ON) and value.encode() != (compiled[name] or b""):
            raise DatabaseUrlError(f"its URL (or environment) has {name}, which Getaway can't work with")
    if said.get("channel_binding") == "require" and said.get("sslmode") not in {None, "verify-full"}:
        raise DatabaseUrlError(
            "its URL has channel_binding=require, which needs sslmode=verify-full here: the pool's connections can't"
            " bind the channel, and prove the server by its certificate alone"
        )


def _places(said: Mapping[str, str]) -> tuple[Place, ...]:
    hosts = said["host"].split(",") if said.get("host") else list(_HOSTS_DEFAULT)
    ports = (said.get("port") or PORT_DEFAULT).split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    if len(ports) != len(hosts):
        raise DatabaseUrlError("its URL must have one port, or one for each host")
    ports = [port or PORT_DEFAULT for port in ports]
    if not all(port.isascii() and port.isdecimal() and 0 < int(port) < 65_536 for port in ports):
        raise DatabaseUrlError(f"its URL must be {FORM}, the port a number up to 65535")
    return tuple(Place(host or "localhost", port) for host, port in zip(hosts, ports, strict=True))


def _check_secrecy(places: tuple[Place, ...], parameters: Mapping[str, str]) -> None:
    """Raises ``DatabaseUrlError`` if passwords and seeds might cross a network in the clear, and nobody said so."""
    far = next((place for place in places if not place.is_near), None)
    if far is not None and "sslmode" not in parameters:
        raise DatabaseUrlError(
            f"the database on {_shown(far.host)} would be spoken to in the clear: add sslmode=verify-full"
            " (and sslrootcert) to its URL, or sslmode=disable if the network between is trusted"
        )
    if parameters.get("channel_binding") == "require" and parameters.get("sslmode") != "verify-full":
        raise DatabaseUrlError("its URL has channel_binding=require, which needs sslmode=verify-full here")


def _shown(host: str) -> str:
    """The host, unless it may be the end of a password with an @ in it."""
    return host if _HOST.fullmatch(host) else "another host"


def _system_root(parameters: Mapping[str, str]) -> str:
    if parameters.get("sslmode") != "verify-full":
        raise DatabaseUrlError("its URL has sslrootcert=system, which needs sslmode=verify-full")
    files = (ssl.get_default_verify_paths().cafile, *_SYSTEM_ROOT_FILES)
    found = next((file for file in files if file and Path(file).is_file()), None)
    if found is None:
        raise DatabaseUrlError("its URL has sslrootcert=system, and this system has no file of certificates it trusts")
    return found


def _connect_timeout_s(said: Mapping[str, str]) -> int | None:
    """As libpq has it: none if it is 0, and never less than two seconds."""
    timeout_s = int(said.get("connect_timeout") or 0)
    return max(timeout_s, CONNECT_TIMEOUT_S_MIN) if timeout_s else None


def home_file(name: str) -> Path | None:
    """A file of libpq's in the user's home folder, if it is there."""
    try:
        path = Path.home() / ".postgresql" / name
        return path if path.is_file() else None
    except (OSError, RuntimeError):
        return None
