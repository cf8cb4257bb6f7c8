"""The forms of a request's target, RFC 9112 section 3.2. Pure.

::

    /livez?a=1                 origin-form, the usual one
    http://host:8080/livez     absolute-form: what is sent to a proxy, and what every server must accept
    host:443                   authority-form, for CONNECT alone: we are no proxy
    *                          asterisk-form, for OPTIONS alone: asks the server, not a resource
"""

import re
from dataclasses import dataclass
from typing import Final

from server.http.errors import ApiError, MalformedError, method_not_allowed

METHODS_TAKEN: Final = "GET, HEAD, OPTIONS, POST"
"""What the server as a whole knows; OPTIONS only for itself, by the target ``*``."""
SERVER_ITSELF: Final = "*"
_ABSOLUTE: Final = re.compile(r"(?i:https?)://(?P<authority>[^/?#@]+)(?P<path>/[^?#]*)?")


@dataclass(frozen=True, slots=True)
class Target:
    """``path`` and ``query`` as on the wire, undecoded. ``absolute``: the whole target, if it named a host, too."""

    path: str
    query: str
    absolute: str | None = None


def read_target(method: str, raw_path: str, query: str) -> Target:
    """The target whose part before the first question mark is ``raw_path``.

    Which host an absolute target names does not matter, as the Host header does not: there is one site here.
    Raises ``MalformedError`` for a target of no form that fits the method, and 405 for CONNECT.
    """
    if method == "CONNECT":
        raise method_not_allowed(METHODS_TAKEN)
    if raw_path.startswith("/") or (raw_path == SERVER_ITSELF and method == "OPTIONS" and not query):
        return Target(raw_path, query)
    match = _ABSOLUTE.fullmatch(raw_path)
    if match is None:
        message = "The request's target must be a path, or an http or https URL without user info."
        raise MalformedError("target", message)
    whole = f"{raw_path}?{query}" if query else raw_path
    return Target(match["path"] or "/", query, whole)


def refusal_of(method: str, raw_path: str, query: str) -> tuple[Target, ApiError | None]:
    """As ``read_target``, with the refusal beside a target that names no resource."""
    try:
        return read_target(method, raw_path, query), None
    except ApiError as error:
        return Target("", ""), error
