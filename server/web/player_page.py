"""``GET /play?session=<token>``: the page that plays a session, framed only by its operator.

The token is in the query string of the page's address: it is never logged, never sent on as a referrer, never cached.
"""

import re
from html import escape
from urllib.parse import urlsplit

from quart import Blueprint, Response, request

from server.http.errors import answered_within
from server.ports.session_frames import SessionFrame
from server.web.authentication import Authenticator
from server.web.page_template import PageTemplate
from server.web.request_facts import facts
from server.web.services import WebServices
from server.web.static_files import StaticFiles
from server.web.tokens import token_digest

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_FRAME_ORIGIN = re.compile(r"[\x21-\x2b\x2d-\x3a\x3c-\x7e]+")  # printable ASCII but for space, comma and semicolon
_NO_FRAMES = "'none'"
_PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"

_WORDS = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/style.css">
</head>
<body class="words"><h1>{title}</h1><p>{text}</p></body>
</html>
"""


def player_page(services: WebServices, files: StaticFiles, authenticator: Authenticator) -> Blueprint:
    """``/play``. Raises ``server.web.static_files.StaticFilesError`` if the page can't be filled in."""
    blueprint = Blueprint("player_page", __name__)
    blueprint.add_url_rule("/play", view_func=PlayerPages(services, files, authenticator).play)
    return blueprint


class PlayerPages:
    """Answers ``/play``. Raises ``server.web.static_files.StaticFilesError`` if the page can't be filled in."""

    def __init__(self, services: WebServices, files: StaticFiles, authenticator: Authenticator) -> None:
        self._services = services
        self._page = PageTemplate(files.player_page)
        self._authenticator = authenticator
        self._connect = " ".join(("'self'", socket_origin(services.settings.public_url)))

    async def play(self) -> Response:
        """The player's page, with status 410 if the session has expired; a page in words for an unknown token (404).

        An expired session gets the page, too: a round may still fly in it, and the page says the rest in the player's
        language and knows the way back to the lobby.
        """
        # Looked up whatever the address did before: nobody can lock out those who come from there with a good token.
        frame = await self._session_frame()
        operator = None if frame is None else self._services.operators.find(frame.operator_id)
        if frame is None or operator is None:
            self._authenticator.charge_failure(facts().address)
            return _page_in_words(
                404, "Unknown session", "This address opens no session. Start the game from the casino again."
            )
        origins = sound_origins(operator.frame_origins)
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
            f"media-src 'self'; connect-src {self._connect}; frame-ancestors {frame_ancestors(origins)}; "
            "base-uri 'none'; form-action 'none'"
        )
        status = 410 if frame.expires_at_ms <= self._services.clock.now_ms() else 200
        return Response(self._page.filled(frame.page, origins), status, headers=_page_headers(policy))

    async def _session_frame(self) -> SessionFrame | None:
        tokens = request.args.getlist("session")
        if len(tokens) != 1 or not _TOKEN.fullmatch(tokens[0]):
            return None
        with answered_within(self._services.settings.answer_timeout_ms):
            return await self._services.sessions.session_frame(token_digest(tokens[0]))


def socket_origin(public_url: str) -> str:
    """The websocket origin of the public one: older browsers do not count it as ``'self'``."""
    parts = urlsplit(public_url)
    return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}"


def sound_origins(origins: tuple[str, ...]) -> list[str]:
    """Those that may frame the page: one that could end the policy's directive is left out."""
    return [origin for origin in origins if _FRAME_ORIGIN.fullmatch(origin)]


def frame_ancestors(origins: list[str]) -> str:
    """The sources of ``frame-ancestors``, from sound origins."""
    return " ".join(origins) or _NO_FRAMES


def _page_in_words(status: int, title: str, text: str) -> Response:
    policy = (
        f"default-src 'none'; style-src 'self'; img-src data:; frame-ancestors {_NO_FRAMES}; "
        "base-uri 'none'; form-action 'none'"
    )
    facts().code = "unknown_session"
    page = _WORDS.format(title=escape(title), text=escape(text))
    return Response(page, status, headers=_page_headers(policy))


def _page_headers(policy: str) -> dict[str, str]:
    return {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        "permissions-policy": _PERMISSIONS,
    }
