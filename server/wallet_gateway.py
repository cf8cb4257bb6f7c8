"""Signed calls to operators' wallets: one attempt in, one of three answers out, and never an exception.

How an answer is classified (what is not listed is ``Unclear``, the careful choice: a bet is then refunded, a win or a
refund is sent again, and both are idempotent by ``operator_tx_id``)::

    200, ok true, balance_minor an integer from 0 to 10^15   Acknowledged
    200, ok false                                            Declined
    4xx but 408, 425 and 429                                 Declined
    a callback URL that policy forbids (nothing was sent)    Declined
    408, 425, 429, 5xx, 3xx, 1xx, any other 2xx              Unclear
    200 that can't be read, or is too large                  Unclear
    no connection, connection lost, no answer in time        Unclear
"""

import json
import logging
import re
import ssl
from dataclasses import dataclass, replace
from functools import lru_cache
from types import TracebackType
from typing import Final, Never, Protocol, Self

import httpx
import trio

from actors.ports import Acknowledged, Declined, Unclear, WalletAnswer
from actors.records import CallKind, Operator, WalletCall
from server.callback_url import wallet_url_error
from server.signing import sign, string_to_sign
from server.wallet_connection import Endpoint, Resolver, StaleConnectionError, WalletConnectionError
from server.wallet_transport import TransportSettings, WalletTransport

log = logging.getLogger("getaway.wallet")

BALANCE_MINOR_MAX: Final = 10**15
_UNCLEAR_4XX: Final = frozenset({408, 425, 429})
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
# A key of ours; anything else could end the header.
_API_KEY: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletGatewaySettings(TransportSettings):
    """Bounds of the gateway; ``allow_insecure_callbacks`` lets a callback URL be http on loopback."""

    allow_insecure_callbacks: bool = False


class Clock(Protocol):
    """The server's clock."""

    def now_ms(self) -> int:
        """Unix milliseconds."""
        ...


@dataclass(frozen=True, slots=True)
class _Destination:
    """Where calls of one kind go. ``target`` is what is signed and sent, ``head`` how each request begins."""

    endpoint: Endpoint
    target: str
    head: str


class HttpWalletGateway:
    """Implements ``actors.ports.WalletGateway`` over HTTP/1.1. A context manager: leaving it closes idle connections.

    Each operator has connections of its own. Nothing comes from the environment or from an earlier answer: no proxies,
    no redirects, no cookies.
    """

    def __init__(
        self,
        settings: WalletGatewaySettings,
        clock: Clock,
        ssl_context: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        """``ssl_context``: in place of one that verifies against the system's authorities."""
        self._allow_insecure = settings.allow_insecure_callbacks
        self._clock = clock
        self._transport = WalletTransport(
            settings,
            ssl_context or ssl.create_default_context(),
            resolver or Resolver(settings.resolver_threads_max),
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

    def fail_overdue(self) -> None:
        """For a patrol, see ``WalletTransport``."""
        self._transport.fail_overdue()

    async def send(self, operator: Operator, call: WalletCall, timeout_ms: int) -> WalletAnswer:
        """One attempt, from the resolution of the host's name to the answer's last byte within ``timeout_ms``."""
        problem = _url_problem(operator.wallet_callback_url, self._allow_insecure)
        if problem is not None:
            return Declined(f"not sent: the wallet callback URL {problem}")
        give_up_at = trio.current_time() + timeout_ms / 1000
        try:
            return await self._answer(operator, call, give_up_at, may_reuse=True)
        except StaleConnectionError:
            pass  # the wallet closed it just as the call went out; a connection of the call's own can't be stale
        return replace(await self._answer(operator, call, give_up_at, may_reuse=False), sends=2)

    async def _answer(
        self, operator: Operator, call: WalletCall, give_up_at: float, *, may_reuse: bool
    ) -> WalletAnswer:
        """Raises ``StaleConnectionError``, if it may reuse a connection, and nothing else."""
        try:
            return await self._exchange(operator, call, give_up_at, may_reuse=may_reuse)
        except StaleConnectionError:
            raise
        except WalletConnectionError as error:
            return Unclear(str(error))
        except Exception as error:  # a call must end in an answer, and an unknown fate is the careful one
            # Only the type is logged: a message may quote a header.
            log.error("a wallet call failed unexpectedly", extra={"error": type(error).__name__})  # noqa: TRY400
            return Unclear("the call failed unexpectedly")

    async def _exchange(
        self, operator: Operator, call: WalletCall, give_up_at: float, *, may_reuse: bool
    ) -> WalletAnswer:
        destination = _destination(operator.wallet_callback_url, call.kind)
        answer = await self._transport.exchange(
            operator.operator_id,
            destination.endpoint,
            self._signed_request(operator, call, destination),
            may_reuse=may_reuse,
            give_up_at=give_up_at,
        )
        if answer.status != 200:
            return classify_status(answer.status)
        if any(name == b"content-encoding" and value != b"identity" for name, value in answer.headers):
            return Unclear("the answer is compressed, which was not asked for")
        return classify_body(answer.body)

    def _signed_request(self, operator: Operator, call: WalletCall, destination: _Destination) -> bytes:
        """All bytes of a call, written here: what a client would add (cookies, redirects, proxies, lines in the log
        with every URL) is all that must not be in it, and costs as much as all the rest of the call."""
        if not _API_KEY.fullmatch(operator.api_key):
            raise ValueError("an API key must be printable ASCII without spaces")
        timestamp = str(self._clock.now_ms() // 1000)
        text = string_to_sign(timestamp, "POST", destination.target, call.body)
        head = (
            f"{destination.head}Content-Length: {len(call.body)}\r\nX-Operator-Id: {operator.operator_id}\r\n"
            f"X-Operator-Key: {operator.api_key}\r\nX-Timestamp: {timestamp}\r\n"
            f"X-Signature: {sign(operator.hmac_secret, text)}\r\n\r\n"
        )
        return head.encode("ascii") + call.body


def classify_status(status: int) -> WalletAnswer:
    """What a status other than 200 says."""
    is_refusal = 400 <= status <= 499 and status not in _UNCLEAR_4XX
    return (Declined if is_refusal else Unclear)(f"the wallet answered {status}")


def classify_body(body: bytes) -> WalletAnswer:
    """What the body of a 200 says. Anything that two readers could understand differently is ``Unclear``."""
    try:
        answer = _STRICT_JSON.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):  # not UTF-8, not JSON, a repeated key, or digits without end
        return Unclear("the answer is not valid JSON")
    if not isinstance(answer, dict):
        return Unclear("the answer is not a JSON object")
    accepted = answer.get("ok")
    if accepted is False:
        return Declined("the wallet answered 200 with ok false")
    if accepted is not True:
        return Unclear("the answer has no boolean ok")
    balance_minor = answer.get("balance_minor")
    if type(balance_minor) is not int:
        return Unclear("the answer has no integer balance_minor")
    if not 0 <= balance_minor <= BALANCE_MINOR_MAX:
        return Unclear("the answer's balance_minor is out of range")
    return Acknowledged(balance_minor)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key appears twice")
    return document


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not JSON")


_STRICT_JSON: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)


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
