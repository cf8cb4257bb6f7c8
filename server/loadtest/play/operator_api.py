"""An operator's backend: signed requests to the server under test."""

import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import trio

from server.loadtest.plan.plan import Credentials
from server.loadtest.plan.quantities import Target
from server.secrets.signing import sign, string_to_sign

LAUNCH: Final = "/api/public/rgs/launch"
ROUND: Final = "/api/public/rgs/round/"
_RETRY_S_MAX: Final = 5.0


class ApiError(Exception):
    """No good answer: its ``code`` is the server's, or one of ours."""

    def __init__(self, code: str, message: str, *, status: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def is_unreachable(self) -> bool:
        """Whether nothing answered, or nothing that can serve."""
        return self.status in {0, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Launched:
    """A session: who has the token plays with the player's money."""

    session_id: str
    token: str = field(repr=False)


class OperatorApi:
    """Sends signed requests over kept connections. Every method raises ``ApiError``."""

    def __init__(self, client: httpx.AsyncClient, target: Target, credentials: Credentials) -> None:
        self._client = client
        self._target = target
        self._credentials = credentials

    async def launch(self, name: str, currency: str, balance_minor: int, ttl_s: int) -> Launched:
        fields = {"operator_player_id": name, "currency": currency, "balance_minor": balance_minor}
        answer = await self._request("POST", LAUNCH, json.dumps(fields | {"ttl_seconds": ttl_s}).encode())
        try:
            (token,) = parse_qs(urlsplit(answer["launch_url"]).query)["session"]
            return Launched(str(answer["session_id"]), token)
        except (KeyError, ValueError, TypeError, AttributeError):
            raise ApiError("bad_answer", "the answer to a launch has no session and launch_url", status=200) from None

    async def round(self, round_id: str) -> dict[str, Any]:
        """A round, as the server tells its operator."""
        return await self._request("GET", ROUND + round_id, b"")

    async def _request(self, method: str, target: str, body: bytes) -> dict[str, Any]:
        try:
            answer = await self._client.request(
                method, self._target.origin + target, content=body or None, headers=self._headers(method, target, body)
            )
        except httpx.TimeoutException:
            raise ApiError("timeout", f"{self._target.origin} did not answer in time") from None
        except (httpx.TransportError, OSError) as error:
            words = str(error) or type(error).__name__
            raise ApiError("no_connection", f"{self._target.origin} can't be reached: {words}") from None
        return _document(answer)

    def _headers(self, method: str, target: str, body: bytes) -> dict[str, str]:
        timestamp = str(int(time.time()))
        string = string_to_sign(timestamp, method, target, body)
        return {
            "X-Operator-Id": self._credentials.operator_id,
            "X-Operator-Key": self._credentials.api_key,
            "X-Timestamp": timestamp,
            "X-Signature": sign(self._credentials.hmac_secret, string),
        } | ({"Content-Type": "application/json"} if body else {})


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except (ValueError, RecursionError):
        document = None
    if answer.status_code == 200 and isinstance(document, dict) and document.get("ok") is True:
        return document
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, Mapping):
        message = f"status {answer.status_code} and no error that the contract knows: is this a Getaway server?"
        raise ApiError(f"http_{answer.status_code}", message, status=answer.status_code)
    raise ApiError(
        str(error.get("code")),
        str(error.get("message")),
        status=answer.status_code,
        retry_after_s=_retry_after_s(answer.headers.get("retry-after")),
    )


def _retry_after_s(text: str | None) -> float | None:
    if text is None or not text.isascii() or not text.isdigit():
        return None
    return min(float(text), _RETRY_S_MAX)


@asynccontextmanager
async def operator_api(
    target: Target, credentials: Credentials, *, connections_max: int, timeout_s: float
) -> AsyncIterator[OperatorApi]:
    """An API whose connections end with the block. What the machine's certificates or SSL_CERT_FILE vouch for is good.

    Proxies of the environment are not used: they would be measured, too.
    """
    limits = httpx.Limits(max_connections=connections_max, max_keepalive_connections=connections_max)
    context = ssl.create_default_context() if target.is_tls else False
    async with httpx.AsyncClient(verify=context, limits=limits, timeout=timeout_s, trust_env=False) as client:
        yield OperatorApi(client, target, credentials)


async def patiently(api: OperatorApi, round_id: str, deadline_at: float) -> dict[str, Any]:
    """A round, however often the server asks to come again, until ``deadline_at`` by trio's clock."""
    while True:
        try:
            return await api.round(round_id)
        except ApiError as error:
            wait_s = error.retry_after_s
            if wait_s is None or trio.current_time() + wait_s > deadline_at:
                raise
            await trio.sleep(wait_s)
