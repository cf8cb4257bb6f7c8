"""What a launch may ask of the player's page, and how the page is told: by a block of JSON in it.

A block of this type is data: browsers never run it, whatever the page's policy allows.
"""

import json
import re

from actors.facts.records import PageOptions
from server.config.callback_url import web_url_error
from server.http.errors import MalformedError
from server.http.strict_json import is_given, take_integer, take_text
from server.web.static_files import StaticFilesError

LANG_CHARACTERS_MAX = 35
REALITY_CHECK_MINUTES_MAX = 1_440

_LANG = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_OPENING, _CLOSING = b'<script type="application/json" id="launch">', b"</script>"
_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}


def take_page_options(document: dict[str, object], *, allow_insecure: bool) -> PageOptions:
    """The optional members of a launch. ``allow_insecure``: the lobby may be http on loopback.

    Raises ``MalformedError``.
    """
    minutes = None
    if is_given(document, "reality_check_minutes"):
        minutes = take_integer(document, "reality_check_minutes", 1, REALITY_CHECK_MINUTES_MAX)
    lang, lobby_url = _lang(document), _lobby_url(document, allow_insecure)
    return PageOptions(lang=lang, reality_check_minutes=minutes, lobby_url=lobby_url)


def _lang(document: dict[str, object]) -> str | None:
    if not is_given(document, "lang"):
        return None
    lang = take_text(document, "lang")
    if len(lang) > LANG_CHARACTERS_MAX or not _LANG.fullmatch(lang):
        message = f"lang must be a language tag such as de or pt-BR, of at most {LANG_CHARACTERS_MAX} characters."
        raise MalformedError("lang", message)
    return lang


def _lobby_url(document: dict[str, object], allow_insecure: bool) -> str | None:
    if not is_given(document, "lobby_url"):
        return None
    url = take_text(document, "lobby_url")
    error = web_url_error(url, allow_insecure)
    if error is not None:
        raise MalformedError("lobby_url", f"lobby_url {error}.")
    return url


class PageTemplate:
    """The page, split once where each session's options go.

    Raises ``StaticFilesError`` if it has not exactly one such place.
    """

    def __init__(self, page: bytes) -> None:
        parts = page.split(_OPENING + b"{}" + _CLOSING)
        if len(parts) != 2:
            raise StaticFilesError(f"index.html must hold one {(_OPENING + b'{}' + _CLOSING).decode()}")
        self._before, self._after = parts[0] + _OPENING, _CLOSING + parts[1]

    def filled(self, options: PageOptions, frame_origins: list[str]) -> bytes:
        """The page of a session. ``frame_origins`` may embed it."""
        document: dict[str, object] = {
            "lang": options.lang,
            "lobby_url": options.lobby_url,
            "reality_check_minutes": options.reality_check_minutes,
            "frame_origins": frame_origins,
        }
        return self._before + json_block(document) + self._after


def json_block(document: dict[str, object]) -> bytes:
    """JSON that no HTML parser takes for anything but text: ASCII, without ``<``, ``>`` and ``&``."""
    return json.dumps(document, separators=(",", ":")).translate(_ESCAPES).encode("ascii")
