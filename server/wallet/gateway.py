"""Signed calls to operators' wallets: one attempt in, one answer out, and never an exception.

An attempt is one sending, or two if a kept connection ended under the first; the answer is what both come to.
``server.wallet.verdict`` says what a sending's answer means. Without one it is ``Unclear``, or ``NotSent`` if nothing
left.
"""

import logging
import re
import ssl
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Final, Protocol, Self
from uuid import UUID

import httpx
import trio

from actors.facts.records import CallKind, Operator, WalletCall
from actors.ports.wallet import NotSent, Unclear, WalletAnswer, answer_of_all
from server.config.callback_url import wallet_url_error
from server.secrets.signing import sign, string_to_sign
from server.wallet.address_policy import AddressPolicy, Network
from server.wallet.connection import Endpoint, HttpAnswer, Resolver, StaleConnectionError, WalletConnectionError
from server.wallet.transport import TransportSettings, WalletTransport
from server.wallet.verdict import verdict

log = logging.getLogger("getaway.wallet")

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
# A key of ours; anything else could end the header.
_API_KEY: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletGatewaySettings(TransportSettings):
    """Bounds of the gateway. ``allow_insecure_callbacks`` lets a wallet be on loopback, by http, too;
    ``private_networks`` are those outside the internet that it may be in."""

    allow_insecure_callbacks: bool = False
    private_networks: tuple[Network, ...] = ()


class Clock(Protocol):
    """The server's clock."""

    def now_ms(self) -> int:
        """The time that all nodes share, in unix milliseconds: what a wallet's dates are compared with."""
        ...

    def wall_ms(self) -> int:
        """The machine's time, in unix milliseconds: others judge our signatures by theirs."""
        ...


class Transport(Protocol):
    """How whole requests travel; ``WalletTransport`` is the real one."""

    async def exchange(
        self, operator_id: UUID, endpoint: Endpoint, request: bytes, *, may_reuse: bool, give_up_at: float
    ) -> HttpAnswer:
        """Send a request and read its answer, until ``give_up_at`` by trio's clock. Raises ``WalletConnectionError``;
        ``StaleConnectionError`` only if it ``may_reuse`` a connection."""
        ...

    def close(self) -> None:
        """Keep no connection any more."""
        ...


@dataclass(frozen=True, slots=True)
class _Destination:
    """Where calls of one kind go. ``target`` is what is signed and sent, ``head`` how each request begins."""

    endpoint: Endpoint
    target: str
    head: str


class HttpWalletGateway:
    """Implements ``actors.ports.wallet.WalletGateway`` over HTTP/1.1. As a context it closes idle connections.

    Each operator has connections of its own. Nothing comes from the environment or from an earlier answer: no proxies,
    no redirects, no cookies.
    """

    def __init__(
        self,
        settings: WalletGatewaySettings,
        clock: Clock,
        ssl_context: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
        transport: Transport | None = None,
    ) -> None:
        """``ssl_context``: in place of one that verifies against the system's authorities. ``transport``: in place of
        one over the network, which ``ssl_context`` and ``resolver`` are for."""
        self._allow_insecure = settings.allow_insecure_callbacks
        self._clock = clock
        self._transport: Transport = transport or WalletTransport(
            settings,
            ssl_context or ssl.create_default_context(),
            resolver or Resolver(settings.resolver_threads_max),
            AddressPolicy(settings.private_networks, allow_loopback=settings.allow_insecure_callbacks),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections and keep no more; calls in flight go on. To be called inside trio."""
        self._transport.close()

    async def send(self, operator: Operator, call: WalletCall, timeout_ms: int) -> WalletAnswer:
        """One attempt, from the resolution of the host's name to the answer's last byte within ``timeout_ms``."""
        problem = _url_problem(operator.wallet_callback_url, self._allow_insecure)
        if problem is not None:
            return NotSent(f"the wallet callback URL {problem}")
        give_up_at = trio.current_time() + timeout_ms / 1000
        try:
            return await self._answer(operator, call, give_up_at, may_reuse=True)
        except StaleConnectionError as error:
            lost = _unanswered(error)
        # The wallet closed it just as the call went out. A connection of the call's own can't be stale.
        return answer_of_all([lost, await self._answer(operator, call, give_up_at, may_reuse=False)])

    async def _answer(
        self, operator: Operator, call: WalletCall, give_up_at: float, *, may_reuse: bool
    ) -> WalletAnswer:
        """One sending. Raises ``StaleConnectionError``, if it may reuse a connection, and nothing else."""
        try:
            destination = _destination(operator.wallet_callback_url, call.kind)
            request = self._signed_request(operator, call, destination)
        except Exception as error:
            log.error("a wallet call could not be written", extra={"error": type(error).__name__})  # noqa: TRY400
            return NotSent("the call could not be written")
        try:
            answer = await self._transport.exchange(
                operator.operator_id, destination.endpoint, request, may_reuse=may_reuse, give_up_at=give_up_at
            )
            return verdict(call.kind, answer, self._clock.now_ms())
        except StaleConnectionError:
            raise
        except WalletConnectionError as error:
            return _unanswered(error)
        except Exception as error:  # a call must end in an answer, and an unknown fate is the careful one
            # Only the type is logged: a message may quote a header.
            log.error("a wallet call failed unexpectedly", extra={"error": type(error).__name__})  # noqa: TRY400
            return Unclear("the call failed unexpectedly")

    def _signed_request(self, operator: Operator, call: WalletCall, destination: _Destination) -> bytes:
        """All bytes of a call, written here: what a client would add (cookies, redirects, proxies, lines in the log
        with every URL) is all that must not be in it, and costs as much as all the rest of the call."""
        if not _API_KEY.fullmatch(operator.api_key):
            raise ValueError("an API key must be printable ASCII without spaces")
        timestamp = str(self._clock.wall_ms() // 1000)
        text = string_to_sign(timestamp, "POST", destination.target, call.body)
        head = (
            f"{destination.head}Content-Length: {len(call.body)}\r\nX-Operator-Id: {operator.operator_id}\r\n"
            f"X-Operator-Key: {operator.api_key}\r\nX-Timestamp: {timestamp}\r\n"
            f"X-Signature: {sign(operator.hmac_secret, text)}\r\n\r\n"
        )
        return head.encode("ascii") + call.body


def _unanswered(error: WalletConnectionError) -> Unclear | NotSent:
    """What a sending without an answer comes to."""
    return Unclear(str(error)) if error.has_left else NotSent(str(error), is_unreachable=True)


@lru_cache(maxsize=1024)
def _url_problem(url: str, allow_insecure: bool) -> str | None:
    # The policy is pure, and a call is sent far more often than a URL changes.
    return wallet_url_error(url, allow_insecure)


@lru_cache(maxsize=4096)
def _destination(base: str, kind: CallKind) -> _Destination:
    """``base`` is a URL without a problem: its parts are ASCII without spaces."""
    url = httpx.URL(f"{base.rstrip('/')}/{kind.value}")
    target, host = url.raw_path.decode("ascii"), url.netloc.decode("ascii")
    return _Destination(
        endpoint=Endpoint(url.raw_host.decode("ascii"), url.port or _DEFAULT_PORTS[url.scheme], url.scheme == "https"),
        target=target,
        head=f"POST {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: getaway\r\nAccept: application/json\r\n"
        "Accept-Encoding: identity\r\nContent-Type: application/json\r\n",
    )
