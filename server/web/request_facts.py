"""What is known of the request at hand beside what Quart tells of it: ``facts()``, wherever Quart's ``request`` is."""

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from hypercorn.typing import HTTPScope, WWWScope
from quart import request

from actors.facts.records import Operator
from server.http.errors import ApiError
from server.http.forwarded import Network, client_address
from server.web.targets import Target, refusal_of

_KEY: Final = "getaway.facts"
_HIDDEN_HEADER: Final = b"x-operator-hmac"
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")


CLIENT_GONE_STATUS: Final = 499
"""For log and metrics only: nobody waits for an answer."""


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An operator whose id and key were right. ``timestamp`` (10 digits) and ``signature`` are as presented."""

    operator: Operator
    timestamp: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """Who signed the request, and the body that it signed, as it came."""

    caller: Caller
    body: bytes


def _nobody_asked() -> None:
    """Whoever serves the connection does not want to know."""


@dataclass(slots=True, kw_only=True)
class RequestFacts:
    """``address`` is the client's, behind trusted proxies. ``brought_secret``: it carried X-Operator-Hmac.

    ``refusal`` is of a target that names no resource. ``signed`` is filled in once the signature was found right,
    ``status`` and ``code`` (of an error) once there is an answer.
    """

    target: Target
    refusal: ApiError | None
    address: str
    request_id: str
    brought_secret: bool
    note_signed: Callable[[], object]
    """To be called once its signature was found right."""
    started_s: float = field(default_factory=time.perf_counter)
    signed: Signed | None = None
    is_client_gone: bool = False
    """Before the end of the body."""
    status: int | None = None
    code: str | None = None


def facts() -> RequestFacts:
    """Of the request at hand."""
    return facts_of(request.scope)


def signed() -> Signed:
    """What was signed of the request at hand. To be asked behind ``Authenticator.authenticate`` only."""
    found = facts().signed
    assert found is not None
    return found


def facts_of(scope: WWWScope) -> RequestFacts:
    """What ``take_facts`` has put into the scope."""
    found = cast(dict[str, Any], scope)[_KEY]
    assert isinstance(found, RequestFacts)
    return found


def take_facts(scope: HTTPScope, trusted: Sequence[Network]) -> None:
    """Read what is not Quart's business out of a request's scope.

    The secret itself is dropped here, before anything below or around could log it; that it came is remembered. The
    path becomes what is on the wire, undecoded: it is what operators sign.
    """
    raw_path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    target, refusal = refusal_of(scope["method"], raw_path, query)
    brought_secret = bool(_values(scope, _HIDDEN_HEADER))
    if brought_secret:
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name.lower() != _HIDDEN_HEADER]
    peer = scope["client"][0] if scope["client"] else ""
    forwarded_for = [value.decode("latin-1") for value in _values(scope, b"x-forwarded-for")]
    scope["path"] = target.path or "/"
    state = cast(dict[str, Any], scope.get("state") or {})
    cast(dict[str, Any], scope)[_KEY] = RequestFacts(
        target=target,
        refusal=refusal,
        address=client_address(peer, forwarded_for, trusted),
        request_id=request_id(scope),
        brought_secret=brought_secret,
        note_signed=state.get("signed", _nobody_asked),
    )


def request_id(scope: WWWScope) -> str:
    """The client's own request id, if it gave a sane one, else a random one."""
    given = _values(scope, b"x-request-id")
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        return given[0].decode("ascii")
    return os.urandom(16).hex()


def _values(scope: WWWScope, header: bytes) -> list[bytes]:
    return [value for name, value in scope["headers"] if name.lower() == header]
