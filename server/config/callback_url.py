"""Which URLs an operator may name: of its wallet at provisioning, of a lobby at a launch. Pure."""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

URL_LENGTH_MAX = 2048
# What a URI path may hold as it is: anything else would be rewritten on its way to the wire, and the path is signed.
_PATH = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
# Such a name is an address to some and a name to others.
_NUMERIC_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")


def callback_url_error(url: str, allow_insecure: bool) -> str | None:
    """Why ``url`` can't be a ``wallet_callback_url``, as a clause that follows the field's name; ``None`` if it can.

    As ``web_url_error``, with a plain path, and without query or fragment.
    """
    for mark, part in (("?", "a query"), ("#", "a fragment")):
        if mark in url:
            return f"must not have {part}"
    return web_url_error(url, allow_insecure) or _path_error(urlsplit(url).path)


def wallet_url_error(url: str, allow_insecure: bool) -> str | None:
    """As ``callback_url_error``, with the way out for who runs the server: of an insecure URL, the setting."""
    error = callback_url_error(url, allow_insecure)
    if error is not None and not allow_insecure and callback_url_error(url, allow_insecure=True) is None:
        return (
            "must be https. For a wallet on this machine set [wallet] allow_insecure_callbacks = true, or "
            "GETAWAY_WALLET_ALLOW_INSECURE_CALLBACKS=true, for this command and for the server"
        )
    return error


def web_url_error(url: str, allow_insecure: bool) -> str | None:
    """Why ``url`` can't be an absolute https URL, as a clause that follows the field's name; ``None`` if it can.

    Printable ASCII with a host and without user info. With ``allow_insecure`` http is accepted, but only on loopback
    (``localhost``, ``127.0.0.0/8``, ``[::1]``).
    """
    if not 0 < len(url) <= URL_LENGTH_MAX:
        return f"must have 1 to {URL_LENGTH_MAX} characters"
    if not url.isascii() or any(not "!" <= character <= "~" for character in url):
        return "must be printable ASCII without spaces (use punycode and percent-encoding)"
    if "\\" in url:
        return "must not have a backslash"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is not a valid URL"
    if port == 0 or parts.netloc.endswith(":"):
        return "has an invalid port"
    return _origin_error(parts, allow_insecure)


def _origin_error(parts: SplitResult, allow_insecure: bool) -> str | None:
    if parts.scheme not in {"https", "http"}:
        return "must begin with https://"
    if "@" in parts.netloc:
        return "must not have user info"
    host = parts.hostname
    if not host or not _is_host(host):
        return "must name a host"
    if parts.scheme == "http" and not (allow_insecure and _is_loopback(host)):
        return "must be https" if not allow_insecure else "must be https, or http on loopback"
    return None


def _path_error(path: str) -> str | None:
    if not _PATH.fullmatch(path):
        return "has a path with characters that must be percent-encoded"
    if any(segment in {".", ".."} for segment in path.split("/")):
        return "must not have . or .. in its path"
    return None


def _is_host(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return _HOST.fullmatch(host) is not None and ".." not in host and not _NUMERIC_END.fullmatch(host)
    return "%" not in host


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
