"""The security log: who came in, who was refused and which limit was hit, on the logger ``getaway.security``.

Addresses are personal data, so a line has a keyed digest of one in its place: equal digests are equal addresses (of
IPv6, equal /64 networks), and without the master key nobody can try which address it is. No line has a token, a key,
a signature or a player's name. What outsiders can cause is sampled, see ``server.process.sampling``.
"""

import hmac
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Final, Protocol
from uuid import UUID

from actors.facts.records import Operator
from server.http.forwarded import address_group
from server.metrics.metrics import EdgeMetrics
from server.process.sampling import Sampler

LOGGER: Final = "getaway.security"
REFUSALS_PER_SECOND: Final = 10
"""Of each kind of refusal. Overflow: counted, and told by ``left_out`` of the next line or by a line of its own."""
ACCEPTED_PER_SECOND: Final = 500
"""Hellos that are accepted: more than a node's players need unless they all come back at once. Overflow: the same."""
DIGEST_CHARACTERS: Final = 16

_CLIENTS_ENDS: Final = frozenset({"left", "shutdown", "handshake"})
"""How a socket ends before a hello by itself or by us: nobody was refused."""
_ABUSIVE_ENDS: Final = frozenset({"flood", "control", "fragments", "too_large"})
"""How a socket ends that sent more than a player can."""

log = logging.getLogger(LOGGER)


class Directory(Protocol):
    @property
    def ids(self) -> Collection[UUID]: ...

    def find(self, operator_id: UUID, /) -> Operator | None: ...


class SecurityLog:
    """Writes the lines. ``key`` digests addresses, see ``server.secrets.vault.Vault.address_key``."""

    def __init__(self, key: bytes, now_s: Callable[[], float] = time.monotonic) -> None:
        self._key = key
        self._refusals = Sampler(REFUSALS_PER_SECOND, now_s)
        self._accepted = Sampler(ACCEPTED_PER_SECOND, now_s)

    def digest(self, address: str) -> str:
        """What stands for an address."""
        group = address_group(address).encode("utf-8", "replace")
        return hmac.digest(self._key, group, "sha256").hex()[:DIGEST_CHARACTERS]

    def hello_accepted(self, address: str) -> None:
        """A player's socket has its session."""
        left_out = self._accepted.admit("hello_accepted")
        if left_out is not None:
            log.info("hello accepted", extra=self._fields(address, left_out))

    def hello_refused(self, address: str, end: str) -> None:
        """A player's socket ended without a session; ``end`` as in ``EdgeObserver.player_ended``."""
        self._refused("hello refused", address, end)

    def request_refused(self, address: str, code: str, route: str, operator_id: str | None, request_id: str) -> None:
        """A request failed to say who it is, or may not do what it asks for, or hit a limit."""
        self._refused("request refused", address, code, route=route, operator_id=operator_id, request_id=request_id)

    def player_cut_off(self, address: str, end: str) -> None:
        """A player's socket that had its session was cut off for what it sent; ``end`` as in ``EdgeObserver``."""
        self._refused("player cut off", address, end)

    def connection_refused(self) -> None:
        """A connection was turned away unread, for want of a place."""
        left_out = self._refusals.admit("connection refused")
        if left_out is not None:
            log.warning("connection refused", extra={"left_out": left_out} if left_out else {})

    def tell_left_out(self) -> None:
        """To be called about every second: tells of lines that were left out with none of their kind after them."""
        for sampler in (self._refusals, self._accepted):
            for kind, count in sampler.left_out():
                log.warning("lines were left out", extra={"kind": kind, "left_out": count})

    def _refused(self, event: str, address: str, code: str, **fields: str | None) -> None:
        left_out = self._refusals.admit(f"{event} {code}")
        if left_out is not None:
            log.warning(event, extra=self._fields(address, left_out) | {"code": code} | fields)

    def _fields(self, address: str, left_out: int) -> dict[str, object]:
        return {"address_digest": self.digest(address)} | ({"left_out": left_out} if left_out else {})


class EdgeSecurity:
    """Implements the edge's ``EdgeObserver`` and ``HelloObserver``: counts, and tells the security log."""

    def __init__(self, metrics: EdgeMetrics, security: SecurityLog) -> None:
        self._metrics = metrics
        self.log = security

    def connection_refused(self) -> None:
        self._metrics.connection_refused()
        self.log.connection_refused()

    def player_ended(self, end: str) -> None:
        self._metrics.player_ended(end)

    def accepted(self, address: str) -> None:
        self.log.hello_accepted(address)

    def refused(self, address: str, code: str) -> None:
        if code not in _CLIENTS_ENDS:
            self.log.hello_refused(address, code)

    def ended(self, address: str, end: str) -> None:
        if end in _ABUSIVE_ENDS:
            self.log.player_cut_off(address, end)


class OperatorWatch:
    """Tells the security log which operators have changed, whoever changed them: this node has noticed it.

    To be called whenever the directory has changed something; what it has at first is no change.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._known = self._present()

    def __call__(self) -> None:
        """Compare with what was known."""
        before, self._known = self._known, self._present()
        for operator_id in sorted({*before, *self._known}):
            changed = _changes(before.get(operator_id), self._known.get(operator_id))
            if changed:
                log.warning("operator changed", extra={"operator_id": str(operator_id), "changed": changed})

    def _present(self) -> dict[UUID, Operator]:
        found = ((operator_id, self._directory.find(operator_id)) for operator_id in self._directory.ids)
        return {operator_id: operator for operator_id, operator in found if operator is not None}


def _changes(before: Operator | None, after: Operator | None) -> list[str]:
    """What has changed, by name: the values are nobody's business, and some are secrets."""
    if before is None or after is None:
        return [] if before is after else ["created" if before is None else "removed"]
    return [item.name for item in fields(Operator) if getattr(before, item.name) != getattr(after, item.name)]
