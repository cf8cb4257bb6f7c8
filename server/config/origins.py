"""Web origins: ``scheme://host[:port]``, as browsers write them. Pure."""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

ORIGIN_LENGTH_MAX: Final = 300
_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")


def canonical_origin(text: str) -> str:
    """The origin as a browser would write it: lower case, without a scheme's usual port.

    Raises ``ValueError`` with a clause that follows the field's name.
    """
    parts = _split(text)
    if parts.path or parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ValueError("must end after the host or port, without a path")
    return origin_of(text)


def origin_of(url: str) -> str:
    """The origin of an http or https URL. Raises ``ValueError`` with a clause that follows the field's name."""
    parts = _split(url)
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    port = parts.port
    return f"{parts.scheme}://{shown}" + ("" if port in {None, _PORTS[parts.scheme]} else f":{port}")


def is_host(text: str) -> bool:
    """Whether this is an IP address or could be a host's name."""
    try:
        ip_address(text)
    except ValueError:
        return _HOST.fullmatch(text) is not None and ".." not in text
    return "%" not in text


def _split(url: str) -> SplitResult:
    is_plain = len(url) <= ORIGIN_LENGTH_MAX and all("!" <= character <= "~" for character in url)
    if not is_plain or "\\" in url:
        raise ValueError("must be like https://casino.example")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is not a valid URL") from None
    if parts.scheme not in _PORTS:
        raise ValueError("must begin with https:// or http://")
    if "@" in parts.netloc or parts.netloc.endswith(":") or port == 0:
        raise ValueError("must be scheme://host or scheme://host:port")
    if not is_host(parts.hostname or ""):
        raise ValueError("must name a host")
    return parts
