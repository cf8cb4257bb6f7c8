"""Durations and addresses as people write them. Pure; wrong texts raise ``ValueError`` with a clause about them."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from server.config.origins import canonical_origin, is_host

_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(us|ms|s|m|h)")
_LISTEN: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """A server's public origin, taken apart."""

    origin: str
    host: str
    port: int
    is_tls: bool

    @property
    def authority(self) -> str:
        """What the Host header says."""
        return urlsplit(self.origin).netloc


def duration_s(text: str, minimum_s: float = 0.0, maximum_s: float = 43_200.0) -> float:
    """``500us``, ``20ms``, ``60s``, ``1.5m`` or ``2h`` in seconds."""
    match = _DURATION.fullmatch(text) if text.isascii() else None
    if match is None:
        raise ValueError("must be a number with its unit (us, ms, s, m, h), such as 60s or 20ms")
    value_s = float(match[1]) * _SECONDS[match[2]]
    if not minimum_s <= value_s <= maximum_s:
        raise ValueError(f"must be from {duration_text(minimum_s)} to {duration_text(maximum_s)}")
    return value_s


def duration_text(value_s: float) -> str:
    """A duration for people, in the unit that suits it."""
    if value_s == 0:
        return "0s"
    if value_s < 1:
        return f"{value_s * 1000:.3g}ms"
    for unit, unit_s in (("h", 3600.0), ("m", 60.0)):
        if value_s >= 2 * unit_s:
            return f"{value_s / unit_s:.3g}{unit}"
    return f"{value_s:.4g}s"


def listen_address(text: str) -> Address:
    """``127.0.0.1:9100`` or ``[::1]:9100``; port 0 for any free one is refused, since operators must know it."""
    match = _LISTEN.fullmatch(text) if text.isascii() else None
    host = "" if match is None else match[1].strip("[]")
    if match is None or not is_host(host) or not 1 <= int(match[2]) <= 65_535:
        raise ValueError("must be HOST:PORT, such as 127.0.0.1:9100")
    return Address(host, int(match[2]))


def target_origin(text: str) -> Target:
    """Such as ``https://game.example.com`` or ``http://127.0.0.1:8080``."""
    origin = canonical_origin(text.removesuffix("/"))
    parts = urlsplit(origin)
    is_tls = parts.scheme == "https"
    assert parts.hostname is not None, "an origin has a host"
    return Target(origin, parts.hostname, parts.port or (443 if is_tls else 80), is_tls)
