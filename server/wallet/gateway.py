"""Signed calls to operators' wallets: one attempt in, one answer out, and never an exception.

An attempt is one sending, or two if a kept connection ended under the first; the answer is what both come to.
``server.wallet.verdict`` says what a sending's answer means. Without one it is ``Unclear``, or ``NotSent`` if nothing
left.
"""

import logging
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
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
from server.wallet.connection import Sending, UnansweredError
from server.wallet.transport import Lookup, TransportSettings, WalletTransport
from server.wallet.verdict import verdict

log = logging.getLogger("getaway.wallet")

# A key of ours; anything else could end the header.
_API_KEY: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletGatewaySettings(TransportSettings):
    """Bounds of the gateway. ``allow_insecure_callbacks`` lets a wallet be on loopback, by http, too;
    ``private_networks`` are those outside the internet that it may be in."""

    allow_insecure_callbacks: bool = False
    private_networks: tuple[Network, ...] = ()


class Clock(Protocol):
    def now_ms(self) -> int:
        """The time that all nodes share, in unix milliseconds: what a wallet's dates are compared with."""

    def wall_ms(self) -> int:
        """The machine's time, in unix milliseconds: others judge our signatures by theirs."""


class HttpWalletGateway:
    """Implements ``actors.ports.WalletGateway`` over HTTP/1.1. An async context manager: leaving it closes idle
    connections.

    Each operator has a client of its own. Nothing comes from the environment or from an earlier answer: no proxies, no
    redirects, no cookies.
    """

    def __init__(
        self,
        settings: WalletGatewaySettings,
        clock: Clock,
        ssl_context: ssl.SSLContext | None = None,
        lookup: Lookup = socket.getaddrinfo,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """``ssl_context``: in place of one that verifies against the system's authorities. ``transport``: for all
        operators, in place of those over the network, which ``ssl_context`` and ``lookup`` are for."""
        self._allow_insecure = settings.allow_insecure_callbacks
        self._clock = clock
        policy = AddressPolicy(settings.private_networks, allow_loopback=settings.allow_insecure_callbacks)
        over_network = partial(WalletTransport, settings, ssl_context or ssl.create_default_context(), policy, lookup)
        self._new_transport: Callable[[], httpx.AsyncBaseTransport] = (lambda: transport) if transport else over_network
        self._clients: dict[UUID, httpx.AsyncClient] = {}
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the idle connections; calls in flight go on, and no more are sent."""
        self._is_closed = True
        for client in self._clients.values():
            await client.aclose()

    async def send(self, operator: Operator, call: WalletCall, timeout_ms: int) -> WalletAnswer:
        """One attempt, from the resolution of the host's name to the answer's last byte within ``timeout_ms``."""
        problem = _url_problem(operator.wallet_callback_url, self._allow_insecure)
        if problem is not None:
            return NotSent(f"the wallet callback URL {problem}")
        give_up_at = trio.current_time() + timeout_ms / 1000
        first = Sending(may_reuse=True)
        answer = await self._answer(operator, call, give_up_at, first)
        if not first.is_stale:
            return answer
        # The wallet closed it just as the call went out. A connection of the call's own can't be stale.
        return answer_of_all([answer, await self._answer(operator, call, give_up_at, Sending(may_reuse=False))])

    async def _answer(self, operator: Operator, call: WalletCall, give_up_at: float, sending: Sending) -> WalletAnswer:
        """What one sending comes to."""
        if self._is_closed:
            return NotSent("the server is stopping")
        try:
            request = self._signed_request(operator, call, sending)
            client = self._client_of(operator.operator_id)
        except Exception as error:
            what = {"error": type(error).__name__}
            log.error("a wallet call could not be written", extra=what)  # noqa: TRY400 - no trace, it may quote a header
            return NotSent("the call could not be written")
        try:
            with trio.move_on_at(give_up_at):
                response = await client.send(request)
                return verdict(call.kind, response, self._clock.now_ms())
            return _unanswered(sending, f"no {'answer' if sending.has_left else 'connection to the wallet'} in time")
        except UnansweredError as error:
            return _unanswered(sending, str(error))
        except Exception as error:  # a call must end in an answer, and an unknown fate is the careful one
            # Only the type is logged: a message may quote a header.
            what = {"error": type(error).__name__}
            log.error("a wallet call failed unexpectedly", extra=what)  # noqa: TRY400 - no trace, it may quote a header
            return Unclear("the call failed unexpectedly")

    def _client_of(self, operator_id: UUID) -> httpx.AsyncClient:
        client = self._clients.get(operator_id)
        if client is None:
            client = httpx.AsyncClient(transport=self._new_transport(), trust_env=False)
            self._clients[operator_id] = client
        return client

    def _signed_request(self, operator: Operator, call: WalletCall, sending: Sending) -> httpx.Request:
        """Not made by a client: it has these headers and no others."""
        if not _API_KEY.fullmatch(operator.api_key):
            raise ValueError("an API key must be printable ASCII without spaces")
        url = _url(operator.wallet_callback_url, call.kind)
        timestamp = str(self._clock.wall_ms() // 1000)
        text = string_to_sign(timestamp, "POST", url.raw_path.decode("ascii"), call.body)
        headers = {
            "User-Agent": "getaway",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "X-Operator-Id": str(operator.operator_id),
            "X-Operator-Key": operator.api_key,
            "X-Timestamp": timestamp,
            "X-Signature": sign(operator.hmac_secret, text),
        }
        return httpx.Request("POST", url, headers=headers, content=call.body, extensions={"sending": sending})


def _unanswered(sending: Sending, problem: str) -> Unclear | NotSent:
    """What a sending without an answer comes to."""
    return Unclear(problem) if sending.has_left else NotSent(problem, is_unreachable=True)


@lru_cache(maxsize=1024)
def _url_problem(url: str, allow_insecure: bool) -> str | None:
    # The policy is pure, and a call is sent far more often than a URL changes.
    return wallet_url_error(url, allow_insecure)


@lru_cache(maxsize=4096)
def _url(base: str, kind: CallKind) -> httpx.URL:
    """``base`` is a URL without a problem: its parts are ASCII without spaces."""
    return httpx.URL(f"{base.rstrip('/')}/{kind.value}")
