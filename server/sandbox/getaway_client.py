"""The operator's side of our signed REST API, on the standard library."""

import http.client
import json
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from server.sandbox.signatures import Credentials, signed_headers

LAUNCH_TARGET: Final = "/api/public/rgs/launch"
_ANSWER_BYTES_MAX: Final = 65_536


class GetawayError(Exception):
    """The game server did not launch a session; the message says why in one line."""


@dataclass(frozen=True)
class LaunchedSession:
    """What a launch answers. Only the player's browser may see ``launch_url``."""

    session_id: str
    launch_url: str
    expires_at: str


class GetawayClient:
    """Calls the game server, without redirects and proxies. Safe to use from many threads."""

    def __init__(self, base_url: str, credentials: Credentials, timeout_s: float = 10) -> None:
        self._parts: SplitResult = urlsplit(base_url)
        self._credentials = credentials
        self._timeout_s = timeout_s

    @property
    def origin(self) -> str:
        """The game server's origin, which the lobby embeds."""
        return f"{self._parts.scheme}://{self._parts.netloc}"

    def launch(
        self,
        player: str,
        currency: str,
        balance_minor: int,
        ttl_seconds: int,
        *,
        lang: str | None = None,
        reality_check_minutes: int | None = None,
        lobby_url: str | None = None,
    ) -> LaunchedSession:
        """Open a game session for a player. Raises ``GetawayError``."""
        body = json.dumps(
            {
                "operator_player_id": player,
                "currency": currency,
                "balance_minor": balance_minor,
                "ttl_seconds": ttl_seconds,
                "lang": lang,
                "reality_check_minutes": reality_check_minutes,
                "lobby_url": lobby_url,
            }
        ).encode()
        status, answer = self._post(LAUNCH_TARGET, body)
        if status != 200 or answer.get("ok") is not True:
            error = answer.get("error")
            code = error.get("code") if isinstance(error, dict) else None
            raise GetawayError(f"the game server refused the launch: {status} {code or ''}".rstrip())
        try:
            return LaunchedSession(str(answer["session_id"]), str(answer["launch_url"]), str(answer["expires_at"]))
        except KeyError as missing:
            raise GetawayError(f"the game server's answer lacks {missing}") from None

    def _post(self, target: str, body: bytes) -> tuple[int, dict[str, object]]:
        connect = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = connect(self._parts.hostname or "", self._parts.port, timeout=self._timeout_s)
        try:
            headers = signed_headers(self._credentials, int(time.time()), "POST", target, body)
            connection.request("POST", target, body, headers)
            response = connection.getresponse()
            answer = json.loads(response.read(_ANSWER_BYTES_MAX))
        except (OSError, http.client.HTTPException):
            raise GetawayError("the game server does not answer") from None
        except ValueError:
            raise GetawayError("the game server's answer is not JSON") from None
        finally:
            connection.close()
        return response.status, answer if isinstance(answer, dict) else {}
