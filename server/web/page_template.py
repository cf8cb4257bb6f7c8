"""How the player's page is told what its launch has asked of it: by a block of JSON in it.

A block of this type is data: browsers never run it, whatever the page's policy allows.
"""

import json

from actors.facts.records import PageOptions
from server.web.static_files import StaticFilesError

_OPENING, _CLOSING = b'<script type="application/json" id="launch">', b"</script>"
_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}


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
