"""``POST /api/public/rgs/launch``: a player's session, and the same session again for a repeated request."""

import hashlib
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from quart import Response
from quart_schema import document_request, document_response

from actors.facts.records import PageOptions
from actors.facts.transitions import CreateSession, Launched
from actors.rules.money import MINOR_MAX
from server.config.callback_url import web_url_error
from server.http.errors import MalformedError, answered_within, draining, unavailable
from server.http.strict_json import parse_object
from server.web.authentication import TIMESTAMP_TOLERANCE_S, check_active
from server.web.members import json_answer, read_members
from server.web.request_facts import Caller, signed
from server.web.services import WebServices
from server.web.tokens import open_token, seal_token, token_digest

REPLAY_MARGIN_S = 60
"""How much longer than its signature lives a launch is remembered: the clocks of two nodes may differ."""

_PLAYER_ID = "1 to 128 printable characters"
_LANG = "a language tag such as de or pt-BR, of at most 35 characters"
_LANG_PATTERN = r"^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*$(?!\n)"


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """A launch as an operator asks for it. An optional member that is null is absent."""

    operator_player_id: Annotated[str, Meta(min_length=1, max_length=128, description=_PLAYER_ID)]
    currency: Annotated[str, Meta(description="the code of one of the operator's currencies")]
    balance_minor: Annotated[int, Meta(ge=0, le=MINOR_MAX)]
    ttl_seconds: Annotated[int, Meta(ge=60, le=86_400)]
    reality_check_minutes: Annotated[int, Meta(ge=1, le=1_440)] | None = None
    lang: Annotated[str, Meta(pattern=_LANG_PATTERN, max_length=35, description=_LANG)] | None = None
    lobby_url: Annotated[str, Meta(description="an https URL")] | None = None

    def __post_init__(self) -> None:
        if not self.operator_player_id.isprintable():
            raise MalformedError("operator_player_id", f"operator_player_id must be {_PLAYER_ID}.")


class LaunchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The session, where its player finds it, and until when."""

    ok: bool = True
    session_id: str
    launch_url: str
    expires_at: str


class LaunchApi:
    def __init__(self, services: WebServices) -> None:
        self._services = services

    @document_request(Launch)
    @document_response(LaunchAnswer)
    async def launch(self) -> Response:
        """Create a session, or find the one that this very request created before."""
        request = signed()
        check_active(request.caller.operator)
        if self._services.is_draining():
            raise draining()
        if not self._services.operators.is_fresh:
            raise unavailable()
        return json_answer(await self.create(request.caller, request.body))

    async def create(self, caller: Caller, body: bytes) -> LaunchAnswer:
        """Commit what a request's body asks for. Raises ``MalformedError`` and ``unavailable``."""
        token = self._services.entropy.token()
        transition = self._transition(caller, read_members(parse_object(body), Launch), token)
        with answered_within(self._services.settings.answer_timeout_ms):
            answer = await self._services.ledger.commit(transition)
        if not isinstance(answer, Launched):
            raise unavailable()
        if answer.replayed:
            token = self._first_token(answer, caller)
        self._services.metrics.launched(answer.replayed)
        return LaunchAnswer(
            session_id=str(answer.session_id),
            launch_url=f"{self._services.settings.public_url.rstrip('/')}/play?session={token}",
            expires_at=datetime.fromtimestamp(answer.expires_at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    def _first_token(self, answer: Launched, caller: Caller) -> str:
        """The token of the launch that this one repeats. What is kept of it may be damaged: that is no session then."""
        token = open_token(answer.sealed_token, caller.signature, answer.session_id.bytes)
        if token is None:
            self._services.log.error(
                "a launch that is kept does not open", extra={"session_id": str(answer.session_id)}
            )
            raise unavailable()
        return token

    def _transition(self, caller: Caller, asked: Launch, token: str) -> CreateSession:
        entropy = self._services.entropy
        self._check_currency(caller, asked.currency)
        page = PageOptions(
            lang=asked.lang,
            reality_check_minutes=asked.reality_check_minutes,
            lobby_url=self._lobby_url(asked),
        )
        now_ms = self._services.clock.now_ms()
        session_id = entropy.identifier()
        return CreateSession(
            operator_id=caller.operator.operator_id,
            session_id=session_id,
            operator_player_id=asked.operator_player_id,
            currency=asked.currency,
            balance_minor=asked.balance_minor,
            token_digest=token_digest(token),
            created_at_ms=now_ms,
            # A whole second, so that what the operator is told is exactly what holds.
            expires_at_ms=(now_ms // 1000 + asked.ttl_seconds) * 1000,
            client_seed=entropy.client_seed(),
            server_seed=entropy.server_seed(),
            signature_digest=hashlib.sha256(caller.signature).digest(),
            sealed_token=seal_token(token, caller.signature, session_id.bytes),
            replay_until_ms=(int(caller.timestamp) + TIMESTAMP_TOLERANCE_S + REPLAY_MARGIN_S) * 1000,
            page=page,
        )

    def _check_currency(self, caller: Caller, currency: str) -> None:
        operator = caller.operator
        if currency not in operator.bet_limits or self._services.limits.limits_for(operator, currency) is None:
            raise MalformedError("currency", f"currency must be one of: {', '.join(sorted(operator.bet_limits))}.")

    def _lobby_url(self, asked: Launch) -> str | None:
        allow_insecure = self._services.settings.allow_insecure_lobbies
        error = None if asked.lobby_url is None else web_url_error(asked.lobby_url, allow_insecure)
        if error is not None:
            raise MalformedError("lobby_url", f"lobby_url {error}.")
        return asked.lobby_url
