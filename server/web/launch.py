"""``POST /api/public/rgs/launch``: a player's session, and the same session again for a repeated request."""

import hashlib
import hmac
import os
from contextlib import suppress
from datetime import UTC, datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from actors.facts.transitions import CreateSession, Launched
from actors.rules.money import MINOR_MAX
from server.http.errors import MalformedError, answered_within, draining, unavailable
from server.http.exchange import Request, Response, json_response
from server.http.strict_json import parse_object, take_integer, take_text
from server.web.authentication import TIMESTAMP_TOLERANCE_S, Caller, check_active
from server.web.page_options import take_page_options
from server.web.services import WebServices

PLAYER_ID_CHARACTERS_MAX = 128
TTL_SECONDS_MIN = 60
TTL_SECONDS_MAX = 86_400

REPLAY_MARGIN_S = 60
"""How much longer than its signature lives a launch is remembered: the clocks of two nodes may differ."""

_NONCE_BYTES = 12


def token_digest(token: str) -> bytes:
    """What is kept of a session's token."""
    return hashlib.sha256(token.encode("ascii")).digest()


def seal_token(token: str, signature: bytes, session_id: bytes) -> bytes:
    """Seal a token so that only who has the request's signature, the sender, can open it: nonce and ciphertext."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(_replay_key(signature)).encrypt(nonce, token.encode("ascii"), session_id)


def open_token(sealed: bytes, signature: bytes, session_id: bytes) -> str:
    """The token of an earlier launch. Raises ``cryptography.exceptions.InvalidTag`` for another signature."""
    opened = AESGCM(_replay_key(signature)).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], session_id)
    return opened.decode("ascii")


def _replay_key(signature: bytes) -> bytes:
    return hmac.digest(signature, b"getaway/launch-replay/v1", "sha256")


class LaunchApi:
    """Answers launches."""

    def __init__(self, services: WebServices) -> None:
        self._services = services

    async def launch(self, request: Request, caller: Caller, body: bytes) -> Response:
        """Create a session, or find the one that this very request created before."""
        check_active(caller.operator)
        if self._services.is_draining():
            raise draining()
        if not self._services.operators.is_fresh:
            raise unavailable()
        token = self._services.entropy.token()
        transition = self._transition(caller, parse_object(body), token)
        with answered_within(self._services.settings.answer_timeout_ms):
            answer = await self._services.ledger.commit(transition)
        if not isinstance(answer, Launched):
            raise unavailable()
        if answer.replayed:
            token = self._first_token(answer, caller)
        self._services.metrics.launched(answer.replayed)
        return json_response(
            {
                "ok": True,
                "session_id": str(answer.session_id),
                "launch_url": f"{self._services.settings.public_url.rstrip('/')}/play?session={token}",
                "expires_at": datetime.fromtimestamp(answer.expires_at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )

    def _first_token(self, answer: Launched, caller: Caller) -> str:
        """The token of the launch that this one repeats. What is kept of it may be damaged: that is no session then."""
        with suppress(InvalidTag):
            return open_token(answer.sealed_token, caller.signature, answer.session_id.bytes)
        self._services.log.error("a launch that is kept does not open", session_id=str(answer.session_id))
        raise unavailable()

    def _transition(self, caller: Caller, document: dict[str, object], token: str) -> CreateSession:
        entropy = self._services.entropy
        player_id = _player_id(document)
        currency = self._currency(caller, document)
        balance_minor = take_integer(document, "balance_minor", 0, MINOR_MAX)
        ttl_s = take_integer(document, "ttl_seconds", TTL_SECONDS_MIN, TTL_SECONDS_MAX)
        page = take_page_options(document, allow_insecure=self._services.settings.allow_insecure_lobbies)
        now_ms = self._services.clock.now_ms()
        session_id = entropy.identifier()
        return CreateSession(
            operator_id=caller.operator.operator_id,
            session_id=session_id,
            operator_player_id=player_id,
            currency=currency,
            balance_minor=balance_minor,
            token_digest=token_digest(token),
            created_at_ms=now_ms,
            # A whole second, so that what the operator is told is exactly what holds.
            expires_at_ms=(now_ms // 1000 + ttl_s) * 1000,
            client_seed=entropy.client_seed(),
            server_seed=entropy.server_seed(),
            signature_digest=hashlib.sha256(caller.signature).digest(),
            sealed_token=seal_token(token, caller.signature, session_id.bytes),
            replay_until_ms=(int(caller.timestamp) + TIMESTAMP_TOLERANCE_S + REPLAY_MARGIN_S) * 1000,
            page=page,
        )

    def _currency(self, caller: Caller, document: dict[str, object]) -> str:
        currency = take_text(document, "currency")
        operator = caller.operator
        if currency not in operator.bet_limits or self._services.limits.limits_for(operator, currency) is None:
            raise MalformedError("currency", f"currency must be one of: {', '.join(sorted(operator.bet_limits))}.")
        return currency


def _player_id(document: dict[str, object]) -> str:
    player_id = take_text(document, "operator_player_id")
    if not 1 <= len(player_id) <= PLAYER_ID_CHARACTERS_MAX or not player_id.isprintable():
        message = f"operator_player_id must have 1 to {PLAYER_ID_CHARACTERS_MAX} printable characters."
        raise MalformedError("operator_player_id", message)
    return player_id
