"""Player protocol 1, what players send: each frame is a type, read from its text.

``docs/protocol.md`` describes them for those who write clients; ``frames_out`` has what players are sent.
"""

import json
import math
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NoReturn
from uuid import UUID

from actors.rules.fairness import is_client_seed

IDENTIFIER_LENGTH_MAX = 64
HISTORY_LIMIT_MAX = 50
HISTORY_WELCOME = 20
TOKEN_LENGTH_MAX = 128
AUTO_CASHOUT_MAX = 10**6
"""Far above any operator's largest multiplier; that one is checked where it is known."""


class FrameError(Exception):
    """A frame that can't be taken: ``code`` of the protocol, words for the developer of the client, the frame's id."""

    def __init__(self, code: str, message: str, frame_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.frame_id = frame_id


@dataclass(frozen=True, slots=True)
class HelloIn:
    """Opens or resumes a session. ``history``: so many of the newest rounds come with the welcome."""

    frame_id: str | None
    token: str = field(repr=False)
    history: int = HISTORY_WELCOME


@dataclass(frozen=True, slots=True)
class BetIn:
    """Starts a round. ``auto_cashout_hundredths`` and ``client_seed`` are ``None`` where the frame has none."""

    frame_id: str | None
    amount_minor: int
    auto_cashout_hundredths: int | None
    client_seed: str | None


@dataclass(frozen=True, slots=True)
class CashoutIn:
    """Takes the multiplier at the moment of receipt; ``round_id`` is ``None`` if it was not the id of any round."""

    frame_id: str | None
    round_id: UUID | None


@dataclass(frozen=True, slots=True)
class ClientSeedIn:
    """The client seed for the next rounds."""

    frame_id: str | None
    value: str


@dataclass(frozen=True, slots=True)
class HistoryIn:
    """Asks for finished rounds, newest first."""

    frame_id: str | None
    before: UUID | None
    limit: int


@dataclass(frozen=True, slots=True)
class PingIn:
    """Round trip and clock offset. ``t`` goes back as it came."""

    frame_id: str | None
    t: int | Decimal


SessionIn = BetIn | CashoutIn | ClientSeedIn | HistoryIn
"""What a session answers."""
ClientIn = HelloIn | PingIn | SessionIn


def parse_frame(text: bytes) -> ClientIn:
    """A client's frame. Raises ``FrameError``; unknown fields are ignored, an unknown type is an error."""
    try:
        frame = _JSON.decode(text.decode("utf-8"))
    except (ValueError, RecursionError, ArithmeticError):
        raise FrameError("bad_message", "The frame is not valid JSON in UTF-8.") from None
    if not isinstance(frame, dict):
        raise FrameError("bad_message", "The frame must be a JSON object.")
    frame_id = _frame_id(frame)
    try:
        return _parse_typed(frame, frame_id)
    except FrameError as error:
        raise FrameError(error.code, error.message, frame_id) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_JSON: Final = json.JSONDecoder(parse_float=Decimal, parse_constant=_no_constant)


def _frame_id(frame: dict[str, Any]) -> str | None:
    frame_id = frame.get("id")
    if frame_id is None:
        return None
    if not isinstance(frame_id, str) or len(frame_id) > IDENTIFIER_LENGTH_MAX:
        raise FrameError("bad_message", "`id` must be a string of at most 64 characters.")
    return frame_id


def _parse_typed(frame: dict[str, Any], frame_id: str | None) -> ClientIn:
    match frame.get("type"):
        case "hello":
            token = _text(frame, "session")
            if len(token) > TOKEN_LENGTH_MAX:
                raise FrameError("bad_message", "`session` is too long to be a session token.")
            return HelloIn(frame_id, token, _welcome_history(frame))
        case "bet":
            return BetIn(
                frame_id, _amount(frame), _auto_cashout(frame), _client_seed(frame, "client_seed", needed=False)
            )
        case "cashout":
            return CashoutIn(frame_id, _uuid(_text(frame, "round_id")))
        case "client_seed":
            value = _client_seed(frame, "value", needed=True)
            assert value is not None
            return ClientSeedIn(frame_id, value)
        case "history":
            return _history(frame, frame_id)
        case "ping":
            t = frame.get("t")
            if isinstance(t, bool) or not isinstance(t, int | Decimal):
                raise FrameError("bad_message", "`t` must be a number.")
            if isinstance(t, Decimal) and not math.isfinite(float(t)):
                raise FrameError("bad_message", "`t` must be a number that a double can hold.")
            return PingIn(frame_id, t)
        case str():
            raise FrameError("bad_message", "`type` is not one of hello, bet, cashout, client_seed, history, ping.")
        case _:
            raise FrameError("bad_message", "`type` must be a string.")


def _text(frame: dict[str, Any], name: str) -> str:
    value = frame.get(name)
    if not isinstance(value, str):
        raise FrameError("bad_message", f"`{name}` must be a string.")
    return value


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _amount(frame: dict[str, Any]) -> int:
    amount = frame.get("amount_minor")
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise FrameError("bad_message", "`amount_minor` must be an integer in minor units.")
    return amount


def _auto_cashout(frame: dict[str, Any]) -> int | None:
    value = frame.get("auto_cashout")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise FrameError("bad_auto_cashout", "`auto_cashout` must be a number with at most two decimals.")
    if not 1 <= value <= AUTO_CASHOUT_MAX:
        raise FrameError("bad_auto_cashout", "`auto_cashout` must be at least 1.01 and at most the largest multiplier.")
    hundredths = int(value * 100)
    # Rounded, if it has more digits than a context keeps; compared exactly.
    if Decimal(hundredths).scaleb(-2) != value:
        raise FrameError("bad_auto_cashout", "`auto_cashout` must have at most two decimals.")
    return hundredths


def _client_seed(frame: dict[str, Any], name: str, *, needed: bool) -> str | None:
    value = frame.get(name)
    if value is None and not needed:
        return None
    if not isinstance(value, str) or not is_client_seed(value):
        raise FrameError("bad_client_seed", f"`{name}` must be 1 to 64 characters of A-Z, a-z, 0-9, _ and -.")
    return value


def _welcome_history(frame: dict[str, Any]) -> int:
    """How many rounds the welcome is to have: ``false`` for none, else a number; a page of before says nothing."""
    wish = frame.get("history", True)
    if isinstance(wish, bool):
        return HISTORY_WELCOME if wish else 0
    if not isinstance(wish, int) or not 0 <= wish <= HISTORY_WELCOME:
        raise FrameError("bad_message", f"`history` must be true, false or an integer from 0 to {HISTORY_WELCOME}.")
    return wish


def _history(frame: dict[str, Any], frame_id: str | None) -> HistoryIn:
    limit = frame.get("limit", HISTORY_WELCOME)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= HISTORY_LIMIT_MAX:
        raise FrameError("bad_message", "`limit` must be an integer from 1 to 50.")
    if frame.get("before") is None:
        return HistoryIn(frame_id, None, limit)
    before = _uuid(_text(frame, "before"))
    if before is None:
        raise FrameError("bad_message", "`before` must be the id of a round.")
    return HistoryIn(frame_id, before, limit)
