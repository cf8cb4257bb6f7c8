"""Who sends a request: the operator's id, key and signature, checked in the order that the contract gives.

First the headers alone (present once each, the timestamp's age, id and key), then the signature over the body, then
what the operator may do. A refusal says what to fix, never a secret or the signature that was expected.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from uuid import UUID

from quart import request

from actors.facts.records import Operator, OperatorStatus
from actors.rules.rate_limits import RateLimits
from server.http.errors import ApiError, rate_limited
from server.http.forwarded import address_group
from server.metrics.metrics import WebMetrics
from server.secrets.signing import sign, string_to_sign
from server.web.request_facts import Caller, ClientGoneError, RequestFacts, Signed, facts
from server.web.services import Clock, OperatorLookup, WebSettings

TIMESTAMP_TOLERANCE_S = 300

_REQUIRED = ("X-Operator-Id", "X-Operator-Key", "X-Timestamp", "X-Signature")
_CREDENTIALS = frozenset({b"x-operator-id", b"x-operator-key"})
_TIMESTAMP = re.compile(r"[0-9]{10}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def parse_uuid(text: str) -> UUID | None:
    """A UUID in its hyphenated form of 36 characters, in either case; ``None`` for any other text."""
    return UUID(text) if _UUID.fullmatch(text) else None


class Authenticator:
    """Identifies, verifies and admits callers. Keeps nothing but rate limits."""

    def __init__(self, operators: OperatorLookup, clock: Clock, metrics: WebMetrics, settings: WebSettings) -> None:
        self._operators = operators
        self._clock = clock
        self._metrics = metrics
        self._decoy_key = secrets.token_urlsafe()
        self._failures = RateLimits(settings.failures_per_second, settings.failures_burst, settings.addresses_max)
        self._requests = RateLimits(settings.requests_per_second, settings.requests_burst, settings.addresses_max)

    async def authenticate(self) -> None:
        """Find out who sends the request at hand, and whether it may. Nothing in the body is believed before.

        Raises the refusals of ``identify``, ``verify`` and ``admit``, 408 and 413 for its body, or ``ClientGoneError``.
        """
        known = facts()
        caller = self.identify(known)
        body = await request.get_data(cache=True, as_text=False, parse_form_data=False)
        if known.is_client_gone:
            raise ClientGoneError
        self.verify(caller, known, body)
        known.note_signed()
        known.signed = Signed(caller, body)
        self.admit(caller, known)

    def identify(self, known: RequestFacts) -> Caller:
        """The caller, by headers alone, whatever the body is.

        Raises ``missing_header``, ``stale_timestamp`` or ``invalid_credentials``; all of them become
        ``rate_limited`` for an address that fails too often. Right credentials pass whatever the address did, so
        that nobody can lock an operator out.
        """
        try:
            caller = self._identify()
        except ApiError:
            self._count_hmac_header(known, "unknown")
            self.charge_failure(known.address)
            raise
        self._count_hmac_header(known, str(caller.operator.operator_id))
        return caller

    def charge_failure(self, address: str) -> None:
        """Count a request that failed; raises ``rate_limited`` for an address that fails too often."""
        wait_ms = self._failures.take(address_group(address), self._clock.steady_ms())
        if wait_ms > 0:
            raise rate_limited(wait_ms)

    def _identify(self) -> Caller:
        operator_id, key, timestamp, signature = (_only_value(name) for name in _REQUIRED)
        self._check_timestamp(timestamp)
        known_id = parse_uuid(operator_id)
        operator = None if known_id is None else self._operators.find(known_id)
        expected = self._decoy_key if operator is None else operator.api_key
        # Digests have equal lengths, and an unknown id is compared too: neither can be told by the time it takes.
        given = hashlib.sha256(key.encode("latin-1")).digest()
        matches = hmac.compare_digest(given, hashlib.sha256(expected.encode()).digest())
        if operator is None or not matches:
            raise ApiError(401, "invalid_credentials", "The operator id is unknown, or the key is wrong.")
        return Caller(operator, timestamp, signature.encode("latin-1"))

    def _check_timestamp(self, timestamp: str) -> None:
        now_s = self._clock.wall_ms() // 1000
        if _TIMESTAMP.fullmatch(timestamp) and abs(now_s - int(timestamp)) <= TIMESTAMP_TOLERANCE_S:
            return
        message = f"X-Timestamp must be 10 digits, unix seconds, within {TIMESTAMP_TOLERANCE_S} s of server_time."
        raise ApiError(401, "stale_timestamp", message, {"header": "X-Timestamp", "server_time": now_s})

    def _count_hmac_header(self, known: RequestFacts, operator_id: str) -> None:
        if known.brought_secret:
            self._metrics.hmac_header_seen(operator_id)

    def verify(self, caller: Caller, known: RequestFacts, body: bytes) -> None:
        """Check the signature over the path, or over path and query, or over a whole target of absolute form.

        Raises ``bad_signature``.
        """
        secret, target = caller.operator.hmac_secret, known.target
        plain = string_to_sign(caller.timestamp, request.method, target.path, body)
        matches = hmac.compare_digest(sign(secret, plain).encode(), caller.signature)
        extra: dict[str, str | int] = {"string_to_sign": plain, "body_sha256": plain[-64:]}
        if target.query:
            with_query = string_to_sign(caller.timestamp, request.method, f"{target.path}?{target.query}", body)
            matches |= hmac.compare_digest(sign(secret, with_query).encode(), caller.signature)
            extra["string_to_sign_with_query"] = with_query
        if target.absolute is not None:
            whole = string_to_sign(caller.timestamp, request.method, target.absolute, body)
            matches |= hmac.compare_digest(sign(secret, whole).encode(), caller.signature)
        if not matches:
            self.charge_failure(known.address)
            message = "X-Signature must be the HMAC-SHA256 of string_to_sign, as 64 lower-case hex digits."
            raise ApiError(401, "bad_signature", message, extra)

    def admit(self, caller: Caller, known: RequestFacts) -> None:
        """Check the operator's address list and rate. Raises ``ip_not_allowed`` or ``rate_limited``."""
        operator = caller.operator
        if operator.allow_cidrs and not _is_inside(known.address, _networks(operator.allow_cidrs)):
            message = f"The operator's allow-list does not contain {known.address}."
            raise ApiError(403, "ip_not_allowed", message, {"address": known.address})
        wait_ms = self._requests.take(operator.operator_id, self._clock.steady_ms())
        if wait_ms > 0:
            raise rate_limited(wait_ms)


def has_key(operators: OperatorLookup, head: bytes) -> bool:
    """Whether a request's head, which nobody has parsed yet, has an operator's id and its key.

    That proves nothing yet: it says only that the request need not wait behind those of strangers. Anybody may send any
    head, so this takes time in proportion to its length, whatever is in it; a pattern that tries how many spaces end a
    value does not.
    """
    lines = (line.partition(b":") for line in head.split(b"\n"))
    found = {name.lower(): value.strip(b" \t\r") for name, _, value in lines if name.lower() in _CREDENTIALS}
    operator_id, key = found.get(b"x-operator-id", b""), found.get(b"x-operator-key", b"")
    known_id = parse_uuid(operator_id.decode("latin-1"))
    operator = None if known_id is None else operators.find(known_id)
    return operator is not None and hmac.compare_digest(key, operator.api_key.encode())


def check_active(operator: Operator) -> None:
    """Raise ``operator_suspended`` for a suspended operator. Reads stay open to it: it has books to close."""
    if operator.status is not OperatorStatus.ACTIVE:
        raise ApiError(403, "operator_suspended", "The operator is suspended and can't launch sessions.")


def _only_value(name: str) -> str:
    values = request.headers.getlist(name)
    if len(values) != 1 or not values[0]:
        message = f"{name} is required, exactly once and not empty."
        raise ApiError(401, "missing_header", message, {"header": name})
    return values[0]


@lru_cache(maxsize=1024)
def _networks(cidrs: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(cidr, strict=False) for cidr in cidrs)


def _is_inside(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    try:
        client = ip_address(address)
    except ValueError:
        return False
    if isinstance(client, IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    return any(client in network for network in networks)
